//! Parts of a pipeline that give their memory back while nobody needs them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;

/// Loads a part again.
type Load<T> = dyn Fn() -> Result<T> + Send + Sync;

/// A part of a pipeline. Once it was released, whoever wants it next has it loaded again. Clones share what is loaded.
pub struct OnDemand<T> {
    loaded: Arc<Mutex<Option<Arc<T>>>>,
    /// None for a part that is nowhere else: it is not released.
    load: Option<Arc<Load<T>>>,
}

impl<T> OnDemand<T> {
    /// Loads a part that can be loaded again.
    ///
    /// # Errors
    /// Those of loading it.
    pub fn load(load: impl Fn() -> Result<T> + Send + Sync + 'static) -> Result<Self> {
        let part = load()?;
        Ok(Self { loaded: Arc::new(Mutex::new(Some(Arc::new(part)))), load: Some(Arc::new(load)) })
    }

    /// A part that is nowhere else.
    pub fn kept(part: T) -> Self {
        Self { loaded: Arc::new(Mutex::new(Some(Arc::new(part)))), load: None }
    }

    /// The part, loaded again where it was released.
    ///
    /// # Errors
    /// Those of loading it.
    pub fn get(&self) -> Result<Arc<T>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = &*loaded {
            return Ok(Arc::clone(part));
        }
        let load = self.load.as_ref().expect("invariant: what cannot be loaded again is not released");
        let part = Arc::new(load()?);
        *loaded = Some(Arc::clone(&part));
        Ok(part)
    }

    /// Lets the part go, if it can be loaded again. Its memory is free once nobody else has it.
    pub fn release(&self) {
        if self.load.is_some() {
            *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// The part, where it is loaded.
    pub fn if_loaded(&self) -> Option<Arc<T>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T: Clone> OnDemand<T> {
    /// Changes a copy of the part, which is this one's from then on; clones that were made before keep what they have.
    ///
    /// # Errors
    /// Those of loading the part and of the change.
    pub fn change(&mut self, change: impl FnOnce(&mut T) -> Result<()>) -> Result<()> {
        let mut part = T::clone(&*self.get()?);
        change(&mut part)?;
        *self = Self::kept(part);
        Ok(())
    }
}

impl<T> Clone for OnDemand<T> {
    fn clone(&self) -> Self {
        Self { loaded: Arc::clone(&self.loaded), load: self.load.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::error::Error;

    #[test]
    fn what_was_released_is_loaded_again_when_it_is_wanted() {
        let times = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&times);
        let part = OnDemand::load(move || Ok(counted.fetch_add(1, Ordering::Relaxed))).unwrap();
        let clone = part.clone();
        assert_eq!((*part.get().unwrap(), *clone.get().unwrap()), (0, 0));
        part.release();
        assert!(clone.if_loaded().is_none());
        assert_eq!((*clone.get().unwrap(), *part.get().unwrap()), (1, 1));
        assert_eq!(times.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_changed_part_is_nobody_elses_and_stays() {
        let part = OnDemand::load(|| Ok(1)).unwrap();
        let mut changed = part.clone();
        let add = |number: &mut i32| {
            *number += 1;
            Ok(())
        };
        changed.change(add).unwrap();
        changed.release();
        assert_eq!((*part.get().unwrap(), *changed.get().unwrap()), (1, 2));
        assert!(changed.change(|_| Err(Error::Lora("It is damaged.".to_owned()))).is_err());
        assert_eq!(*changed.get().unwrap(), 2);
    }
}
