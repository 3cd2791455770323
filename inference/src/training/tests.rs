//! Trainings of every family from beginning to end, on tiny models with drawn weights.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use burn::{
    backend::Flex,
    module::{AutodiffModule, Module},
    optim::GradientsParams,
    tensor::{ElementConversion, Tensor, backend::AutodiffBackend},
};

use super::{
    TrainedLayers, TrainingPicture, TrainingReport, TrainingSpec,
    bucketing::Frame,
    loss::noise_prediction,
    trainable::{Batch, Trainable},
    trainer::first_pairs,
};
use crate::{
    Control, DeviceName, Error, Layout, LoraUse, Model, Picture, Precision, Progress, Quiet, RenderRequest, Sink,
    inspect,
    lora::{
        LowRankPair,
        inject::{self, Adaptable},
        read::read,
        save::save,
    },
    model::{Pipeline, PipelineWork},
    schedulers::discrete::Prediction,
    sdxl::{
        conditioning::{sizes, whole},
        pipeline::SdxlPipeline,
        text_context::TextContext,
        unet::Conditions,
    },
};

/// Cases whose models are small: of SDXL, of SDXL-Turbo, of FLUX.2.
const MODELS: [&str; 3] = ["sdxl", "sdxl-turbo", "klein-training"];

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity").join(case).join("model")
}

fn model(case: &str) -> Model {
    Model::load(&folder(case), &DeviceName::Cpu, Precision::F32).unwrap()
}

/// Wide and tall pictures of stripes, four in all.
fn pictures(directory: &Path) -> Vec<TrainingPicture> {
    let picture = |number: u32| {
        let (width, height) = if number.is_multiple_of(2) { (96, 64) } else { (64, 80) };
        let colour = |place: u32| {
            let (x, y) = (place % width, place / width);
            if ((x + number * y) / 6).is_multiple_of(2) { [230, 90, 20] } else { [20, 40 * number as u8, 160] }
        };
        let rgb = (0..width * height).flat_map(colour).collect();
        let path = directory.join(format!("{number}.png"));
        std::fs::write(&path, Picture { width, height, rgb }.encode_png(&[])).unwrap();
        TrainingPicture { path, caption: format!("stripes {number}") }
    };
    (0..4).map(picture).collect()
}

/// Two epochs of two steps each: three pictures are learnt from, and one is held out.
fn spec(directory: &Path, pictures: &Path) -> TrainingSpec {
    TrainingSpec {
        directory: directory.to_owned(),
        pictures: self::pictures(pictures),
        trigger_word: "inkfox".to_owned(),
        epochs: 2,
        rank: 4,
        alpha: 2.0,
        layers: TrainedLayers::All,
        learning_rate: 5e-3,
        batch_size: 2,
        resolution: Some(64),
        seed: 3,
        validation_share: 0.25,
        repeats: 1,
        sample_prompts: Vec::new(),
        sample_seed: 1,
        samples_strength: 1.0,
        init_lora: None,
        checkpointing: None,
        metadata: BTreeMap::new(),
    }
}

/// Stops after a number of steps.
struct Impatient {
    steps: u32,
}

impl Sink for Impatient {
    fn report(&mut self, progress: &Progress) -> Control {
        match progress {
            Progress::Training { step, .. } if *step == self.steps => Control::Stop,
            _ => Control::Continue,
        }
    }
}

/// A report without how long it took and where its files are.
fn losses(report: &TrainingReport) -> (u32, [u32; 2], Vec<[Option<u32>; 2]>) {
    let bits = [report.validation_loss_base.to_bits(), report.validation_loss.to_bits()];
    let of_epoch =
        |epoch: &crate::EpochOutput| [Some(epoch.training_loss.to_bits()), epoch.validation_loss.map(f32::to_bits)];
    (report.steps, bits, report.epochs_output.iter().map(of_epoch).collect())
}

#[test]
fn a_training_that_was_stopped_ends_with_the_same_bits() {
    for case in ["sdxl", "klein-training"] {
        let model = model(case);
        let (whole, parted, pictures) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at_once = model.train(&spec(whole.path(), pictures.path()), &mut Quiet).unwrap();
        let again = spec(parted.path(), pictures.path());
        // In the middle of the first epoch, and of the second.
        for steps in [1, 3] {
            let stopped = model.train(&again, &mut Impatient { steps });
            assert!(matches!(stopped, Err(Error::Stopped)), "{case}: {stopped:?}");
        }
        let resumed = model.train(&again, &mut Quiet).unwrap();
        assert_eq!((at_once.steps, losses(&at_once)), (4, losses(&resumed)), "{case}");
        for (one, other) in at_once.epochs_output.iter().zip(&resumed.epochs_output) {
            assert_eq!(std::fs::read(&one.adapter).unwrap(), std::fs::read(&other.adapter).unwrap(), "{case}");
        }
    }
}

/// How many numbers of a model's text encoders are in memory.
struct InMemory;

impl PipelineWork for InMemory {
    type Output = usize;

    fn run<B: AutodiffBackend>(self, pipeline: &Pipeline<B::InnerBackend>) -> crate::Result<usize> {
        Ok(match pipeline {
            Pipeline::Flux2(pipeline) => Trainable::<B>::text_encoder_numbers(pipeline.as_ref()),
            Pipeline::Sdxl(pipeline) => Trainable::<B>::text_encoder_numbers(pipeline.as_ref()),
        })
    }
}

/// Looks at a model's text encoders while pictures are encoded, while steps are made and while samples are drawn.
struct Watching<'a> {
    model: &'a Model,
    seen: BTreeMap<&'static str, BTreeSet<usize>>,
}

impl Sink for Watching<'_> {
    fn report(&mut self, progress: &Progress) -> Control {
        let doing = match progress {
            Progress::CachingLatents { .. } => "caching",
            Progress::Training { .. } => "training",
            Progress::Sampling { .. } => "sampling",
            _ => return Control::Continue,
        };
        self.seen.entry(doing).or_default().insert(self.model.with_pipeline(InMemory).unwrap());
        Control::Continue
    }
}

#[test]
fn text_encoders_give_their_memory_back_while_a_lora_learns() {
    for case in MODELS {
        let model = model(case);
        let (directory, pictures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sample_prompts = vec!["an inkfox".to_owned(), "stripes".to_owned()];
        let spec = TrainingSpec { sample_prompts, ..spec(directory.path(), pictures.path()) };
        let drawn = |model: &Model| model.render(&request(Vec::new()), &mut Quiet).unwrap().swap_remove(0).picture;
        let before = drawn(&model);
        let whole = model.with_pipeline(InMemory).unwrap();
        let mut watching = Watching { model: &model, seen: BTreeMap::new() };
        model.train(&spec, &mut watching).unwrap();
        let expected = [("caching", whole), ("sampling", 0), ("training", 0)];
        assert_eq!(watching.seen, expected.map(|(doing, numbers)| (doing, BTreeSet::from([numbers]))).into(), "{case}");
        assert!(whole > 0, "{case}");
        assert!(before == drawn(&model), "{case}: a text encoder that was loaded again reads differently");
        assert_eq!(model.with_pipeline(InMemory).unwrap(), whole, "{case}");
    }
}

#[test]
fn the_last_words_of_a_long_caption_are_learnt_from() {
    let (model, pictures) = (model("sdxl"), tempfile::tempdir().unwrap());
    let train = |ending: &str| {
        let directory = tempfile::tempdir().unwrap();
        let mut spec = TrainingSpec { epochs: 1, ..spec(directory.path(), pictures.path()) };
        // One of them is longer than CLIP takes in at once, and the others are not.
        spec.pictures[0].caption = format!("{} {ending}", "stripes ".repeat(100));
        losses(&model.train(&spec, &mut Quiet).unwrap())
    };
    assert_eq!(train("at night"), train("at night"));
    assert_ne!(train("at night"), train("at noon"));
}

#[test]
fn a_training_is_not_gone_on_from_on_another_model() {
    let (directory, pictures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let spec = spec(directory.path(), pictures.path());
    let stopped = model("sdxl").train(&spec, &mut Impatient { steps: 1 });
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    // The same architecture with other weights.
    let refused = model("sdxl-turbo").train(&spec, &mut Quiet).unwrap_err();
    assert!(refused.to_string().contains("another base model"), "{refused}");
}

/// The gradients of every pair of some layers, plain and with checkpoints.
struct BothWays(TrainedLayers);

impl PipelineWork for BothWays {
    type Output = Vec<(String, f32, f32)>;

    fn run<B: AutodiffBackend>(self, pipeline: &Pipeline<B::InnerBackend>) -> crate::error::Result<Self::Output> {
        Ok(match pipeline {
            Pipeline::Flux2(pipeline) => both_ways::<B, _>(pipeline.as_ref(), self.0),
            Pipeline::Sdxl(pipeline) => both_ways::<B, _>(pipeline.as_ref(), self.0),
        })
    }
}

/// For every matrix of every pair: its layer, how far its gradients lie apart, and their norm.
fn both_ways<B: AutodiffBackend, P: Trainable<B>>(pipeline: &P, layers: TrainedLayers) -> Vec<(String, f32, f32)> {
    let nowhere = std::path::PathBuf::new();
    let folder = tempfile::tempdir().unwrap();
    let mut pairs = first_pairs::<B, P>(pipeline, &TrainingSpec { layers, ..spec(&nowhere, folder.path()) });
    // Where B is zero, A has no gradient.
    let values = pairs.values_mut().flat_map(|pair| pair.b.iter_mut());
    values.enumerate().for_each(|(number, value)| *value = ((number * 37 % 101) as f32 - 50.0) / 500.0);
    let mut network = P::Network::from_inner(pipeline.network().clone()).no_grad();
    inject::attach(&mut network, &pairs, 1.0, pipeline.device()).unwrap();
    let shown = Picture { width: 64, height: 64, rgb: (0..64 * 64 * 3).map(|value| (value * 7 % 251) as u8).collect() };
    let (latents, grid) = pipeline.encode_picture(&shown);
    let batch = || Batch {
        noise: Tensor::from_inner(latents.clone().flip([1])),
        latents: Tensor::from_inner(latents.clone()),
        times: pipeline.even_times(1),
        texts: Tensor::from_inner(pipeline.encode_text("a red fox", 1).unwrap()),
        frames: vec![Frame { original: (64, 64), corner: (0, 0), target: (64, 64) }],
        grid,
    };
    let loss = pipeline.loss(&network, batch()).mul_scalar(0.5);
    let plain_loss: f32 = loss.clone().inner().into_scalar().elem();
    let plain = GradientsParams::from_grads(loss.backward(), &network);
    let (checkpointed_loss, checkpointed) = pipeline.checkpointed_gradients(&network, batch(), 0.5);
    assert!((plain_loss - checkpointed_loss).abs() < 1e-6 * plain_loss, "{plain_loss} and {checkpointed_loss}");
    let mut compared = Vec::new();
    for (name, layer) in network.linear_layers() {
        let Some(pair) = layer.adapters.last() else { continue };
        for id in [pair.a.id, pair.b.id] {
            let of = |gradients: &GradientsParams| gradients.get::<B::InnerBackend, 2>(id).expect("a gradient");
            let norm = |tensor: Tensor<B::InnerBackend, 2>| tensor.square().sum().sqrt().into_scalar().elem::<f32>();
            compared.push((name.clone(), norm(of(&plain) - of(&checkpointed)), norm(of(&plain))));
        }
    }
    compared
}

#[test]
fn checkpointed_gradients_are_the_same() {
    for (case, layers) in [
        ("klein-training", TrainedLayers::All),
        // Nothing is learnt before the first block.
        ("klein-training", TrainedLayers::Blocks),
        ("sdxl", TrainedLayers::All),
    ] {
        let compared = model(case).with_pipeline(BothWays(layers)).unwrap();
        assert!(compared.len() > 20, "{case}: {}", compared.len());
        for (layer, apart, norm) in compared {
            assert!(norm > 0.0 && apart <= 1e-5 * norm, "{case}: {layer} lies {apart} apart, of {norm}");
        }
    }
}

#[test]
fn a_checkpointed_training_learns_the_same() {
    let model = model("sdxl");
    let train = |checkpointing: bool| {
        let (directory, pictures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let spec = TrainingSpec { checkpointing: Some(checkpointing), ..spec(directory.path(), pictures.path()) };
        let report = model.train(&spec, &mut Quiet).unwrap();
        report.epochs_output.iter().map(|epoch| epoch.training_loss).collect::<Vec<_>>()
    };
    let (plain, checkpointed) = (train(false), train(true));
    for (one, other) in plain.iter().zip(&checkpointed) {
        assert!((one - other).abs() < 1e-4 * one, "{plain:?} and {checkpointed:?}");
    }
}

#[test]
fn sdxl_learns_and_its_lora_is_read_told_and_used() {
    for case in ["sdxl", "sdxl-turbo"] {
        let model = model(case);
        let (directory, pictures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let spec = TrainingSpec {
            epochs: 3,
            learning_rate: 2e-2,
            repeats: 6,
            sample_prompts: vec!["inkfox stripes".to_owned()],
            ..spec(directory.path(), pictures.path())
        };
        let report = model.train(&spec, &mut Quiet).unwrap();
        let (first, last) = (&report.epochs_output[0], &report.epochs_output[2]);
        assert!(report.validation_loss < report.validation_loss_base, "{case}: {report:#?}");
        assert!(last.training_loss < first.training_loss, "{case}: {report:#?}");
        let sample = Picture::decode(&std::fs::read(&last.samples[0]).unwrap()).unwrap();
        assert_eq!((sample.width, sample.height), (model.facts().native_width, model.facts().native_height));

        let told = inspect(&last.adapter).unwrap();
        assert_eq!((told.family.as_str(), told.layout, told.matched_share), ("sdxl", Layout::Kohya, 1.0));
        assert_eq!((told.rank, told.alpha, told.problems), (4, 2.0, Vec::new()));
        assert_eq!(told.declared.as_deref(), Some("stable-diffusion-xl-v1-base/lora"));
        assert_eq!(told.metadata["ss_base_model_version"], "sdxl_base_v1-0");
        assert_eq!(told.trigger_words, ["inkfox"]);

        let render = |strengths: &[f64]| {
            let lora = |strength: &f64| LoraUse { path: last.adapter.clone(), strength: *strength };
            let loras = strengths.iter().map(lora).collect();
            model.render(&request(loras), &mut Quiet).unwrap()[0].picture.clone()
        };
        assert_ne!(render(&[]), render(&[1.0]), "{case}");
        assert_eq!(render(&[]), render(&[0.0]), "{case}");
    }
}

fn request(loras: Vec<LoraUse>) -> RenderRequest {
    RenderRequest {
        prompt: "inkfox stripes".to_owned(),
        negative_prompt: String::new(),
        width: 64,
        height: 64,
        steps: 2,
        guidance: 2.0,
        seeds: vec![7],
        loras,
        merges_loras: false,
        preview_every: None,
        references: Vec::new(),
        start: None,
        size_conditioning: None,
    }
}

#[test]
fn only_the_layers_that_are_named_are_trained() {
    for (case, attention) in [("klein-training", ".attn."), ("sdxl", ".attn")] {
        let (model, pictures) = (model(case), tempfile::tempdir().unwrap());
        let trained = |layers: TrainedLayers| {
            let directory = tempfile::tempdir().unwrap();
            let spec = TrainingSpec { epochs: 1, layers, ..spec(directory.path(), pictures.path()) };
            let adapter = model.train(&spec, &mut Quiet).unwrap().epochs_output[0].adapter.clone();
            let said = format!("{{\"layers\":\"{layers}\"}}");
            assert_eq!(inspect(&adapter).unwrap().metadata["ss_network_args"], said, "{case}");
            // Another choice is another training.
            let other = if layers == TrainedLayers::All { TrainedLayers::Blocks } else { TrainedLayers::All };
            let refused = model.train(&TrainingSpec { layers: other, ..spec }, &mut Quiet).unwrap_err();
            assert!(refused.to_string().contains("other settings"), "{refused}");
            read(&adapter).unwrap().targets.into_keys().collect::<BTreeSet<_>>()
        };
        let (all, of_blocks, of_attention) =
            (trained(TrainedLayers::All), trained(TrainedLayers::Blocks), trained(TrainedLayers::Attention));
        let is_in_block = |name: &&String| name.contains("transformer_blocks.");
        assert_eq!(of_blocks, all.iter().filter(is_in_block).cloned().collect(), "{case}");
        let is_telling = |name: &str| name == "transformer_blocks.0.ff.linear_in";
        let attends = |name: &&String| is_in_block(name) && name.contains(attention) || is_telling(name);
        assert_eq!(of_attention, all.iter().filter(attends).cloned().collect(), "{case}");
        assert!(of_attention.len() < of_blocks.len() && of_blocks.len() < all.len(), "{case}");
    }
}

#[test]
fn a_training_goes_on_from_a_lora_of_the_unet() {
    let model = model("sdxl");
    let (directory, more, pictures) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let report = model.train(&spec(directory.path(), pictures.path()), &mut Quiet).unwrap();
    let adapter = report.epochs_output[1].adapter.clone();
    let further = TrainingSpec { init_lora: Some(adapter.clone()), ..spec(more.path(), pictures.path()) };
    let second = model.train(&further, &mut Quiet).unwrap();
    assert_ne!(losses(&second), losses(&report));
    // Its own rank and alpha hold, whatever the spec says of new pairs, and its file says so.
    let other = TrainingSpec { directory: more.path().join("other"), rank: 8, alpha: 8.0, epochs: 1, ..further };
    let third = model.train(&other, &mut Quiet).unwrap();
    let told = inspect(&third.epochs_output[0].adapter).unwrap();
    assert_eq!((told.rank, told.alpha), (4, 2.0));
    assert_eq!((&*told.metadata["ss_network_dim"], &*told.metadata["ss_network_alpha"]), ("4", "2"));
}

#[test]
fn a_lora_that_a_training_would_lose_something_of_is_not_gone_on_from() {
    let pictures = tempfile::tempdir().unwrap();
    let pair = |kernel: Option<[usize; 2]>| {
        let size = kernel.map_or(1, |[height, width]| height * width);
        let (a, b) = (vec![0.5; 16 * size], vec![0.5; 16]);
        LowRankPair { a, b, rank: 1, inputs: 16 * size, outputs: 16, kernel, scale: 1.0 }
    };
    let strange = [
        ("sdxl", "text_encoder.text_model.encoder.layers.0.self_attn.q_proj", None),
        ("sdxl", "unet.mid_block.resnets.0.conv1", Some([3, 3])),
        ("sdxl", "unet.time_embedding.linear_1", None),
        ("klein-training", "norm_out.linear", None),
        ("klein-training", "time_guidance_embed.timestep_embedder.linear_1", None),
    ];
    for (case, name, kernel) in strange {
        let (model, directory) = (model(case), tempfile::tempdir().unwrap());
        let learnt = TrainingSpec { epochs: 1, ..spec(&directory.path().join("first"), pictures.path()) };
        let learnt = model.train(&learnt, &mut Quiet).unwrap().epochs_output[0].adapter.clone();
        let mut adapter = read(&learnt).unwrap();
        adapter.targets.insert(name.to_owned(), pair(kernel));
        let lora = directory.path().join("lora.safetensors");
        save(&adapter, Layout::Diffusers, &lora).unwrap();
        let refused = TrainingSpec { init_lora: Some(lora), ..spec(&directory.path().join("none"), pictures.path()) };
        let error = model.train(&refused, &mut Quiet).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(error.to_string().contains("convolution"), kernel.is_some(), "{error}");
        assert!(!refused.directory.exists(), "{name}");
    }
    // One for another model is refused with both names.
    let directory = tempfile::tempdir().unwrap();
    let first = TrainingSpec { epochs: 1, ..spec(directory.path(), pictures.path()) };
    let learnt = model("sdxl").train(&first, &mut Quiet).unwrap().epochs_output[0].adapter.clone();
    let other = TrainingSpec { init_lora: Some(learnt), ..spec(&directory.path().join("none"), pictures.path()) };
    let error = model("klein-training").train(&other, &mut Quiet).unwrap_err().to_string();
    assert!(error.contains("SDXL") && error.contains("FLUX.2"), "{error}");
}

#[test]
fn what_a_model_predicts_decides_its_loss() {
    let (directory, pictures, copy) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = folder("sdxl").join("scheduler/scheduler_config.json");
    let text = std::fs::read_to_string(file).unwrap();
    for (predicts, of) in [("epsilon", "noise"), ("v_prediction", "velocity")] {
        let model = copy.path().join(predicts);
        copy_folder(&folder("sdxl"), &model);
        let changed = text.replace("\"epsilon\"", &format!("\"{predicts}\""));
        std::fs::write(model.join("scheduler/scheduler_config.json"), changed).unwrap();
        let pipeline = SdxlPipeline::<Flex>::load(&model, Precision::F32, &Default::default()).unwrap();
        let expected = if of == "noise" { Prediction::Noise } else { Prediction::Velocity };
        assert_eq!(pipeline.configs.scheduler.prediction(), expected);
        check_loss(&pipeline, expected);
        let model = Model::load(&model, &DeviceName::Cpu, Precision::F32).unwrap();
        let spec = TrainingSpec { epochs: 1, ..spec(&directory.path().join(predicts), pictures.path()) };
        assert!(model.train(&spec, &mut Quiet).unwrap().validation_loss_base > 0.0);
    }
}

/// The loss of two pictures, computed by hand from the UNet's prediction.
fn check_loss(pipeline: &SdxlPipeline<Flex>, predicts: Prediction) {
    let device = pipeline.device;
    let drawn = |from: f32| {
        let values: Vec<f32> = (0..2 * 4 * 8 * 8).map(|place| from + ((place * 37 % 101) as f32) / 50.0).collect();
        Tensor::<Flex, 1>::from_floats(values.as_slice(), &device).reshape([2, 4, 8, 8])
    };
    let (picture, noise, signal) = (drawn(-0.3), drawn(-1.1), [0.64, 0.36]);
    let text = pipeline.encode_prompt("stripes").unwrap().for_batch(2);
    let conditions = Conditions {
        times: Tensor::from_floats([200.0, 500.0], &device),
        text: TextContext::of_one_look(text.context),
        pooled: text.pooled,
        sizes: sizes(&[whole(64, 64); 2], &device),
    };
    let mut sum = 0.0;
    let roots = [(0.8, 0.6), (0.6, 0.8)];
    let one = |tensor: &Tensor<Flex, 4>, row: usize| tensor.clone().narrow(0, row, 1);
    let mixed = |row: usize, of_picture: f64, of_noise: f64| {
        one(&picture, row).mul_scalar(of_picture) + one(&noise, row).mul_scalar(of_noise)
    };
    let noisy = (0..2).map(|row| mixed(row, roots[row].0, roots[row].1)).collect();
    let predicted = pipeline.unet.forward(Tensor::cat(noisy, 0), conditions.clone());
    for (row, (kept, added)) in roots.into_iter().enumerate() {
        let wanted = match predicts {
            Prediction::Noise => one(&noise, row),
            Prediction::Velocity => mixed(row, -added, kept),
        };
        sum += (one(&predicted, row) - wanted).square().mean().into_scalar().elem::<f32>() / 2.0;
    }
    let loss = noise_prediction(&pipeline.unet, picture.clone(), noise.clone(), &signal, predicts, conditions);
    let loss = loss.into_scalar().elem::<f32>();
    assert!((loss - sum).abs() < 1e-5 * sum, "{loss} is not {sum}");
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn memory_is_estimated_before_anything_is_written() {
    for case in MODELS {
        let model = model(case);
        let (directory, pictures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let small = spec(&directory.path().join("none"), pictures.path());
        let estimate = model.training_memory(&small).unwrap();
        assert!(estimate.adapters > 0 && estimate.activations > 0 && estimate.cache > 0, "{case}: {estimate:?}");
        // More than any machine has, where the system says what it has.
        let large = TrainingSpec { resolution: Some(4096), batch_size: 256, ..small };
        if estimate.available.is_none() {
            continue;
        }
        let refused = model.train(&large, &mut Quiet).unwrap_err();
        assert!(matches!(refused, Error::Memory(_)), "{case}: {refused}");
        assert!(!large.directory.exists(), "{case}");
    }
}
