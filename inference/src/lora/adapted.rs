//! Networks with the LoRAs that were used last. The same LoRAs again find them as they were left, with everything that was made of them
//! meanwhile, such as what a card was told.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::backend::Backend;

use super::inject::Prepared;
use crate::error::Result;

/// A LoRA and its strength.
pub type Laid<B> = (Arc<Prepared<B>>, f64);

/// Networks, and the LoRAs beside their weights. Clones share what they hold.
#[derive(Clone, Debug)]
pub struct LastAdapted<B: Backend, N>(Arc<Mutex<Option<Adapted<B, N>>>>);

#[derive(Debug)]
struct Adapted<B: Backend, N> {
    loras: Vec<Laid<B>>,
    networks: N,
}

impl<B: Backend, N> Default for LastAdapted<B, N> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<B: Backend, N: Clone> LastAdapted<B, N> {
    /// The networks with these LoRAs: those of the last time if they were the same then, in this order and of these strengths, otherwise
    /// made anew.
    ///
    /// # Errors
    /// Those of making them; what was there stays then.
    pub fn find_or_make(&self, loras: Vec<Laid<B>>, make: impl FnOnce(&[Laid<B>]) -> Result<N>) -> Result<N> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |(one, strength): &Laid<B>, (other, other_strength): &Laid<B>| {
            Arc::ptr_eq(one, other) && strength == other_strength
        };
        let are_same = |known: &Adapted<B, N>| {
            known.loras.len() == loras.len() && known.loras.iter().zip(&loras).all(|(one, other)| is_same(one, other))
        };
        if let Some(known) = lock().as_ref().filter(|known| are_same(known)) {
            return Ok(known.networks.clone());
        }
        let networks = make(&loras)?;
        *lock() = Some(Adapted { loras, networks: networks.clone() });
        Ok(networks)
    }

    /// Lets the networks go.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeMap, sync::Arc};

    use burn::backend::Flex;

    use super::{LastAdapted, Prepared};
    use crate::error::Error;

    #[test]
    fn the_same_loras_in_the_same_order_find_what_was_made() {
        let lora = || Arc::new(Prepared::<Flex>::new(BTreeMap::new(), &Default::default()).unwrap());
        let (one, other) = (lora(), lora());
        let (last, made) = (LastAdapted::<Flex, usize>::default(), Cell::new(0));
        let find = |loras: &[(&Arc<Prepared<Flex>>, f64)]| {
            let loras = loras.iter().map(|(lora, strength)| (Arc::clone(lora), *strength)).collect();
            last.find_or_make(loras, |_| {
                made.set(made.get() + 1);
                Ok(made.get())
            })
        };
        assert_eq!(find(&[(&one, 0.5), (&other, 1.0)]).unwrap(), 1);
        assert_eq!(find(&[(&one, 0.5), (&other, 1.0)]).unwrap(), 1);
        assert_eq!(find(&[(&other, 1.0), (&one, 0.5)]).unwrap(), 2, "the order decides which is computed first");
        assert_eq!(find(&[(&other, 1.0), (&one, 0.6)]).unwrap(), 3);
        let failed = last.find_or_make(vec![], |_| Err(Error::Lora("It is damaged.".to_owned())));
        assert!(failed.is_err());
        assert_eq!(find(&[(&other, 1.0), (&one, 0.6)]).unwrap(), 3, "what could not be made takes nothing away");
    }
}
