//! One thread owns a device. Work reaches it as a queue of calls, so that nothing else ever blocks on the device, and
//! the models used last stay loaded.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use atelier_inference::{DeviceName, Model, Precision, Scorer, memory};
use tokio::sync::oneshot;

/// The share of a device's memory that models may fill where nobody says how much: the rest is for what a step computes,
/// and on the processor for everything else that runs there.
const SHARE_FOR_MODELS: f64 = 0.5;

type Call = Box<dyn FnOnce(&mut Models) + Send>;

/// A handle to the thread that owns a device.
#[derive(Clone)]
pub struct Device {
    calls: mpsc::Sender<Call>,
    name: DeviceName,
}

/// The models that a device holds.
pub struct Models {
    device: DeviceName,
    precision: Precision,
    warm: Warm<Model>,
    /// CLIP, and the folder that it is from.
    scorer: Option<(PathBuf, Scorer)>,
}

impl Models {
    /// The model of a folder, loaded if it is not warm. Those that were used longest ago make room for it.
    ///
    /// # Errors
    /// When the folder is missing or holds no model that is understood.
    pub fn get(&mut self, folder: &Path) -> atelier_inference::Result<&Model> {
        let (device, precision) = (&self.device, self.precision);
        let size = || memory::of_model(folder, device, precision);
        self.warm.get(folder, size, || Model::load(folder, device, precision))
    }

    /// The model of a folder beside a scorer with the CLIP of another, or without weights. CLIP stays loaded.
    ///
    /// # Errors
    /// When either folder is missing or holds nothing that is understood.
    pub fn get_with_scorer(
        &mut self,
        folder: &Path,
        clip: Option<&Path>,
    ) -> atelier_inference::Result<(&Model, &Scorer)> {
        let wanted = clip.unwrap_or(Path::new(""));
        if self.scorer.as_ref().is_none_or(|(loaded, _)| loaded != wanted) {
            let load = |folder| Scorer::load(folder, &self.device, self.precision);
            self.scorer = Some((wanted.to_owned(), clip.map_or_else(|| Ok(Scorer::without_weights()), load)?));
        }
        self.get(folder)?;
        let model = self.warm.loaded.last().map(|(.., model)| model);
        let scorer = self.scorer.as_ref().map(|(_, scorer)| scorer);
        Ok(model.zip(scorer).expect("invariant: both were loaded just now"))
    }
}

/// What was used last, as much of it as there is room for.
struct Warm<T> {
    room: u64,
    /// Folder, bytes and what was loaded; what was used last stands at the end.
    loaded: Vec<(PathBuf, u64, T)>,
}

impl<T> Warm<T> {
    fn get<E>(
        &mut self,
        folder: &Path,
        size: impl FnOnce() -> Result<u64, E>,
        load: impl FnOnce() -> Result<T, E>,
    ) -> Result<&T, E> {
        if let Some(place) = self.loaded.iter().position(|(path, ..)| path == folder) {
            let found = self.loaded.remove(place);
            self.loaded.push(found);
        } else {
            let size = size()?;
            // Room is made first: two large models together may not fit. One that is larger than all room is tried alone.
            while !self.loaded.is_empty() && self.filled() + size > self.room {
                self.loaded.remove(0);
            }
            self.loaded.push((folder.to_owned(), size, load()?));
        }
        Ok(&self.loaded.last().expect("invariant: something was pushed just now").2)
    }

    fn filled(&self) -> u64 {
        self.loaded.iter().map(|(_, size, _)| size).sum()
    }
}

impl Device {
    /// Starts the thread of a device whose models may fill so many bytes, or half of its memory.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: DeviceName, precision: Precision, room: Option<u64>) -> anyhow::Result<Self> {
        let (calls, queue) = mpsc::channel::<Call>();
        let half = || memory::of_device(&name).map(|bytes| (bytes as f64 * SHARE_FOR_MODELS) as u64);
        // Where nobody knows how much there is, one model stays.
        let room = room.or_else(half).unwrap_or_default();
        let mut models =
            Models { device: name.clone(), precision, warm: Warm { room, loaded: Vec::new() }, scorer: None };
        thread::Builder::new().name(format!("device {name}")).spawn(move || {
            for call in queue {
                // A call that panics must not take the device with it: its answer is dropped, which its caller sees.
                if catch_unwind(AssertUnwindSafe(|| call(&mut models))).is_err() {
                    models.warm.loaded.clear();
                }
            }
        })?;
        Ok(Self { calls, name })
    }

    /// The device's name.
    pub fn name(&self) -> &DeviceName {
        &self.name
    }

    /// Runs a call on the device's thread and waits for its answer.
    ///
    /// # Errors
    /// When the call panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Models) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |models| {
            // Nobody waits any more when the worker is shutting down.
            let _ = answer.send(call(models));
        });
        self.calls.send(call).map_err(|_| anyhow::anyhow!("The device's thread has ended."))?;
        answered
            .await
            .map_err(|_| anyhow::anyhow!("The model stopped working on this job in a way that it should not."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let mut warm = Warm { room: 10, loaded: Vec::new() };
        let mut loads = Vec::new();
        for (name, size) in [("a", 4), ("b", 5), ("a", 4), ("c", 3), ("a", 4), ("b", 5), ("large", 50), ("a", 4)] {
            let load = || {
                loads.push(name);
                Ok::<_, ()>(name)
            };
            assert_eq!(warm.get(Path::new(name), || Ok(size), load), Ok(&name));
        }
        // The second "a" was warm; "c" took the room of "b", "b" that of "c", and the large one all of it.
        assert_eq!(loads, ["a", "b", "c", "b", "large", "a"]);
        assert_eq!(warm.get(Path::new("broken"), || Ok(1), || Err("damaged")), Err("damaged"));
        assert!(warm.get(Path::new("missing"), || Err("missing"), || Ok("never")).is_err());
    }
}
