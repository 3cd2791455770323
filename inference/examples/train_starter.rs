//! Trains the starter model from nothing, or goes on from where it was left:
//!
//! ```text
//! cargo run --release -p atelier-inference --example train_starter -- autoencoder|model FOLDER MINUTES
//!     [--seed N] [--device cpu|cuda:0] [--dtype f32|bf16] [--batch N] [--fresh N] [--sizes 128,64]
//! ```
//!
//! `--seed` is that of the first picture; go on from another one when training goes on. `--fresh` is how many pictures of a
//! batch of the model's are new, and not drawn from those seen before: a sixth without it. A card wants larger batches than a
//! processor, and fewer new pictures, because processors draw them; it needs the program built with `--features cuda`. It computes
//! several times as fast in bf16, in which the model can be trained; the autoencoder is trained in f32.

use std::{path::PathBuf, time::Duration};

use atelier_inference::{
    Precision,
    device::DeviceName,
    starter::{
        autoencoder_training::{self, AutoencoderTraining},
        base_training::{self, BaseTraining},
        configuration::SIZE,
    },
};
use burn::{
    backend::{Autodiff, Flex},
    tensor::backend::AutodiffBackend,
};

type Failure = Box<dyn std::error::Error>;

/// What is to be done.
struct Wishes {
    what: String,
    folder: PathBuf,
    time: Duration,
    seed: u64,
    device: DeviceName,
    precision: Precision,
    batch: Option<usize>,
    fresh: Option<usize>,
    sizes: Vec<u32>,
}

fn wishes(arguments: &[String]) -> Result<Wishes, Failure> {
    let [what, folder, minutes, options @ ..] = arguments else {
        return Err("Say what to train, into which folder and for how many minutes.".into());
    };
    let time = Duration::from_secs_f64(minutes.parse::<f64>()? * 60.0);
    let mut wishes = Wishes {
        what: what.clone(),
        folder: folder.into(),
        time,
        seed: 1,
        device: DeviceName::Cpu,
        precision: Precision::F32,
        batch: None,
        fresh: None,
        sizes: vec![SIZE],
    };
    for option in options.chunks(2) {
        let [name, value] = option else { return Err(format!("`{}` wants a value.", option.concat()).into()) };
        match name.as_str() {
            "--seed" => wishes.seed = value.parse()?,
            "--device" => wishes.device = value.parse()?,
            "--dtype" => wishes.precision = value.parse()?,
            "--batch" => wishes.batch = Some(value.parse()?),
            "--fresh" => wishes.fresh = Some(value.parse()?),
            "--sizes" => wishes.sizes = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            other => {
                let known = "`--seed`, `--device`, `--dtype`, `--batch`, `--fresh` or `--sizes`";
                return Err(format!("`{other}` is unknown; say {known}.").into());
            }
        }
    }
    Ok(wishes)
}

fn train<B: AutodiffBackend>(wishes: &Wishes, device: &B::Device) -> Result<(), Failure> {
    // A card computes a batch at once; a processor's element-wise work uses one thread.
    let parts = if wishes.device == DeviceName::Cpu { 2 } else { 1 };
    let (folder, time, first_seed) = (&wishes.folder, wishes.time, wishes.seed);
    match wishes.what.as_str() {
        "autoencoder" => {
            let batch = wishes.batch.unwrap_or(16);
            let size = *wishes.sizes.first().ok_or("Name a size.")?;
            let training = AutoencoderTraining { size, batch, parts, time, learning_rate: 6e-4, first_seed };
            autoencoder_training::train::<B>(&folder.join("vae"), &training, device)?;
        }
        "model" => {
            let batch = wishes.batch.unwrap_or(96);
            let (sizes, fresh) = (wishes.sizes.clone(), wishes.fresh.unwrap_or(batch.div_ceil(6)));
            let training = BaseTraining { sizes, batch, fresh, time, parts, learning_rate: 2e-3, first_seed };
            base_training::train::<B>(folder, &folder.with_extension("checkpoint"), &training, device)?;
        }
        other => return Err(format!("`{other}` cannot be trained; say `autoencoder` or `model`.").into()),
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wishes = wishes(&arguments)?;
    wishes.device.check()?;
    if wishes.precision == Precision::Bf16 && (wishes.device == DeviceName::Cpu || wishes.what != "model") {
        return Err("Only the model is trained in bf16, and only on a card.".into());
    }
    match wishes.device {
        DeviceName::Cpu => train::<Autodiff<Flex>>(&wishes, &burn::backend::flex::FlexDevice),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(number) => {
            let device = burn::backend::cuda::CudaDevice::new(number);
            match wishes.precision {
                Precision::F32 => train::<Autodiff<burn::backend::Cuda>>(&wishes, &device),
                Precision::Bf16 => train::<Autodiff<burn::backend::Cuda<half::bf16>>>(&wishes, &device),
                Precision::Fp8 => Err("Weights of eight bits are not trained. Use `--dtype bf16`.".into()),
            }
        }
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda(_) => Err("This program was built without CUDA.".into()),
    }
}
