//! Trains the starter model from nothing, or goes on from where it was left:
//!
//! ```text
//! cargo run --release -p atelier-inference --example train_starter -- autoencoder FOLDER MINUTES [SEED]
//! cargo run --release -p atelier-inference --example train_starter -- model FOLDER MINUTES [SEED]
//! ```

use std::{path::PathBuf, time::Duration};

use atelier_inference::starter::{
    autoencoder_training::{self, AutoencoderTraining},
    base_training::{self, BaseTraining},
};
use burn::backend::{Autodiff, Flex};

type Device = burn::backend::flex::FlexDevice;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, folder, minutes, rest @ ..] = arguments.as_slice() else {
        return Err("Say what to train, into which folder and for how many minutes.".into());
    };
    let folder = PathBuf::from(folder);
    let time = Duration::from_secs_f64(minutes.parse::<f64>()? * 60.0);
    let first_seed = rest.first().map(|seed| seed.parse()).transpose()?.unwrap_or(1);
    let device = Device::default();
    match what.as_str() {
        "autoencoder" => {
            let training = AutoencoderTraining { size: 64, batch: 16, parts: 2, time, learning_rate: 6e-4, first_seed };
            autoencoder_training::train::<Autodiff<Flex>>(&folder.join("vae"), &training, &device)?;
        }
        "model" => {
            let training = BaseTraining { batch: 96, fresh: 16, time, parts: 2, learning_rate: 2e-3, first_seed };
            base_training::train::<Autodiff<Flex>>(&folder, &folder.with_extension("checkpoint"), &training, &device)?;
        }
        other => return Err(format!("`{other}` cannot be trained; say `autoencoder` or `model`.").into()),
    }
    Ok(())
}
