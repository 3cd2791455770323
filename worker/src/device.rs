//! One thread owns a device. Work reaches it as a queue of calls, so that nothing else ever blocks on the device, and
//! the models used last stay loaded.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use atelier_inference::{DeviceName, Model, Precision};
use tokio::sync::oneshot;

/// How many models stay loaded.
const WARM_MODELS: usize = 1;

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
    warm: Vec<(PathBuf, Model)>,
}

impl Models {
    /// The model of a folder, loaded if it is not warm.
    ///
    /// # Errors
    /// When the folder is missing or holds no model that is understood.
    pub fn get(&mut self, folder: &Path) -> atelier_inference::Result<&Model> {
        if let Some(at) = self.warm.iter().position(|(path, _)| path == folder) {
            let model = self.warm.remove(at);
            self.warm.push(model);
        } else {
            // Room is made first: two large models together may not fit.
            while self.warm.len() >= WARM_MODELS {
                self.warm.remove(0);
            }
            let model = Model::load(folder, &self.device, self.precision)?;
            self.warm.push((folder.to_owned(), model));
        }
        Ok(&self.warm.last().expect("invariant: a model was pushed just now").1)
    }
}

impl Device {
    /// Starts the thread of a device.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: DeviceName, precision: Precision) -> anyhow::Result<Self> {
        let (calls, queue) = mpsc::channel::<Call>();
        let mut models = Models { device: name.clone(), precision, warm: Vec::new() };
        thread::Builder::new().name(format!("device {name}")).spawn(move || {
            for call in queue {
                // A call that panics must not take the device with it: its answer is dropped, which its caller sees.
                if catch_unwind(AssertUnwindSafe(|| call(&mut models))).is_err() {
                    models.warm.clear();
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
