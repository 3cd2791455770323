//! Trains a LoRA from a folder of pictures and measures it:
//!
//! ```text
//! cargo run --release -p atelier-inference --example train_lora -- MODEL PICTURES OUT [NAME=VALUE…]
//! ```
//!
//! Names are epochs, repeats, rank, alpha, layers, rate, batch, seed. One line of JSON says the losses on held-out pictures and how far
//! generated pictures lie from the training pictures in style, without and with the LoRA.

use std::{collections::BTreeMap, path::PathBuf};

use atelier_inference::{
    DeviceName, LoraUse, Model, Picture, Precision, Quiet, RenderRequest, TrainedLayers, TrainingPicture, TrainingSpec,
    quality::{Row, contact_sheet, style_distance, style_statistics},
};

/// What is rendered to compare.
const PROMPTS: [&str; 4] =
    ["a house beside a tree", "a photo of a mountain", "a boat on the sea", "a portrait of a cat"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, pictures, out, settings @ ..] = arguments.as_slice() else {
        return Err("Say a model folder, a folder of pictures and where the results go.".into());
    };
    let settings: BTreeMap<&str, &str> = settings.iter().filter_map(|setting| setting.split_once('=')).collect();
    let number = |name: &str, otherwise: f64| settings.get(name).map_or(Ok(otherwise), |text| text.parse::<f64>());
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(pictures)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    let spec = TrainingSpec {
        directory: PathBuf::from(out),
        pictures: files.iter().map(|path| TrainingPicture { path: path.clone(), caption: String::new() }).collect(),
        trigger_word: "mystyle".to_owned(),
        epochs: number("epochs", 8.0)? as u32,
        rank: number("rank", 16.0)? as u32,
        alpha: number("alpha", 16.0)?,
        layers: settings.get("layers").map_or(Ok(TrainedLayers::All), |name| name.parse())?,
        learning_rate: number("rate", 1e-3)?,
        batch_size: number("batch", 8.0)? as u32,
        resolution: None,
        seed: number("seed", 1.0)? as u64,
        validation_share: 0.15,
        repeats: number("repeats", 16.0)? as u32,
        sample_prompts: Vec::new(),
        sample_seed: 1,
        samples_strength: 1.0,
        init_lora: None,
        checkpointing: None,
        metadata: BTreeMap::new(),
    };
    let model = Model::load(&PathBuf::from(model), &DeviceName::Cpu, Precision::F32)?;
    let report = model.train(&spec, &mut Quiet)?;
    let chosen = number("epoch", f64::from(report.best_epoch))? as usize;
    let best = &report.epochs_output[chosen - 1];
    let render = |loras: Vec<LoraUse>| -> Result<Vec<Picture>, atelier_inference::Error> {
        let mut rendered = Vec::new();
        for prompt in PROMPTS {
            let request = RenderRequest {
                prompt: format!("{}, {prompt}", spec.trigger_word),
                negative_prompt: String::new(),
                width: model.facts().native_width,
                height: model.facts().native_height,
                steps: model.facts().default_steps,
                guidance: model.facts().default_guidance,
                seeds: vec![1, 2],
                loras: loras.clone(),
                merges_loras: false,
                preview_every: None,
                references: Vec::new(),
                start: None,
                size_conditioning: None,
            };
            rendered.extend(model.render(&request, &mut Quiet)?.into_iter().map(|one| one.picture));
        }
        Ok(rendered)
    };
    let base = render(Vec::new())?;
    let with = render(vec![LoraUse { path: best.adapter.clone(), strength: 1.0 }])?;
    let learnt: Vec<Picture> = files
        .iter()
        .map(|file| Picture::decode(&std::fs::read(file)?).map_err(Into::into))
        .collect::<Result<_, Box<dyn std::error::Error>>>()?;
    let wanted = style_statistics(&learnt);
    let distance = |pictures: &[Picture]| style_distance(&wanted, &style_statistics(pictures));
    let (of_base, of_lora) = (distance(&base), distance(&with));
    let shown = learnt.iter().take(8).map(|picture| picture.resized_covering(64, 64)).collect();
    let rows = [("pictures", shown), ("without", base), ("with", with)];
    let rows: Vec<Row> = rows.into_iter().map(|(title, pictures)| Row { title: title.to_owned(), pictures }).collect();
    std::fs::write(PathBuf::from(out).join("sheet.png"), contact_sheet(&rows).encode_png(&[]))?;
    let losses: Vec<_> = report.epochs_output.iter().map(|output| output.validation_loss).collect();
    let line = serde_json::json!({
        "steps": report.steps, "seconds": report.seconds, "best_epoch": report.best_epoch,
        "validation_loss_base": report.validation_loss_base, "validation_loss": report.validation_loss,
        "lower_by": 1.0 - report.validation_loss / report.validation_loss_base, "epochs": losses,
        "style_distance_base": of_base, "style_distance_lora": of_lora, "ratio": of_lora / of_base,
    });
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
