//! `atelier inspect`.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use atelier_worker::inference::{
    Recipe,
    image::read_png_text,
    recipe::{RecipeLora, RecipeSource},
};
use clap::Parser;
use serde::Serialize;

use super::say;

/// What a PNG file begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Say what is in a LoRA file, or how a picture was made.
///
/// Recipes are read from PNG files: Atelier's own, and those of AUTOMATIC1111's web UI and its relatives, ComfyUI and InvokeAI.
#[derive(Parser, Debug)]
pub struct Inspect {
    /// A `.safetensors` file, or a PNG picture
    file: PathBuf,

    /// Print a picture's recipe as JSON, as the report of a LoRA always is
    #[arg(long)]
    json: bool,
}

/// A recipe and the program that wrote it.
#[derive(Serialize)]
struct Found {
    source: RecipeSource,
    #[serde(flatten)]
    recipe: Recipe,
}

impl Inspect {
    /// Prints the report of a LoRA as JSON, or the recipe of a picture; status 1 when something is wrong with the LoRA.
    ///
    /// # Errors
    /// When the file is neither a LoRA that is understood nor a picture with a recipe.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if is_png(&self.file)? {
            say(self.recipe()?);
            return Ok(ExitCode::SUCCESS);
        }
        let report = atelier_worker::inference::inspect(&self.file)?;
        say(serde_json::to_string_pretty(&report)?);
        Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The recipe of the picture, as it is printed.
    fn recipe(&self) -> anyhow::Result<String> {
        let file = self.file.display();
        let bytes = std::fs::read(&self.file).with_context(|| format!("`{file}` cannot be read."))?;
        let Some((source, recipe)) = Recipe::from_text_chunks(&read_png_text(&bytes)?) else {
            bail!(
                "`{file}` does not say how it was made, or not in a form that is understood: Atelier's, AUTOMATIC1111's, ComfyUI's and \
                 InvokeAI's are. Programs that edit pictures or send them often leave such text out; look for the file as it was made."
            );
        };
        Ok(if self.json { serde_json::to_string_pretty(&Found { source, recipe })? } else { table(source, &recipe) })
    }
}

/// Whether a file is a PNG picture, by its first bytes.
fn is_png(path: &Path) -> anyhow::Result<bool> {
    let mut first = Vec::with_capacity(PNG.len());
    let file = File::open(path).with_context(|| format!("`{}` cannot be read.", path.display()))?;
    file.take(PNG.len() as u64).read_to_end(&mut first)?;
    Ok(first == PNG)
}

/// A recipe for a person: what it does not say is left out.
fn table(source: RecipeSource, recipe: &Recipe) -> String {
    let program = match source {
        RecipeSource::Atelier => "Atelier",
        RecipeSource::A1111 => "AUTOMATIC1111's web UI, or as it writes them",
        RecipeSource::ComfyUi => "ComfyUI",
        RecipeSource::InvokeAi => "InvokeAI",
    };
    let mut lines = Vec::new();
    let mut line = |name: &str, value: Option<String>| lines.extend(value.map(|value| format!("{name:<16} {value}")));
    line("written by", Some(program.to_owned()));
    line("prompt", Some(recipe.prompt.clone()));
    line("negative prompt", Some(recipe.negative_prompt.clone()).filter(|prompt| !prompt.is_empty()));
    line("model", recipe.model.clone());
    line("model hash", recipe.model_hash.clone());
    line("sampler", recipe.sampler.clone());
    line("steps", recipe.steps.map(|steps| steps.to_string()));
    line("guidance", recipe.guidance.map(|guidance| guidance.to_string()));
    line("seed", recipe.seed.map(|seed| seed.to_string()));
    line("size", recipe.width.zip(recipe.height).map(|(width, height)| format!("{width} x {height}")));
    for RecipeLora { name, hash, strength } in &recipe.loras {
        let hash = hash.as_ref().map(|hash| format!(" ({hash})")).unwrap_or_default();
        line("LoRA", Some(format!("{name}{hash} at {strength}")));
    }
    for reference in &recipe.references {
        line("made from", Some(reference.clone()));
    }
    if let Some(start) = &recipe.start {
        line("begun as", Some(format!("{}, of which {} was drawn anew", start.picture, start.strength)));
        line("mask", start.mask.clone());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use atelier_worker::inference::Picture;

    use super::*;

    /// What is said of a picture with text beside its pixels.
    fn said(text: &[(&str, &str)], json: bool) -> anyhow::Result<String> {
        let text: Vec<(String, String)> = text.iter().map(|(key, text)| ((*key).into(), (*text).into())).collect();
        said_of(&Picture::filled(8, 8, [1, 2, 3]).encode_png(&text), json)
    }

    fn said_of(png: &[u8], json: bool) -> anyhow::Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("picture.png");
        std::fs::write(&file, png).unwrap();
        assert!(is_png(&file).unwrap());
        Inspect { file, json }.recipe()
    }

    #[test]
    fn a_picture_says_how_it_was_made_whichever_program_wrote_it() {
        let recipe = Recipe {
            prompt: "a red fox".to_owned(),
            seed: Some(7),
            steps: Some(4),
            loras: vec![RecipeLora { name: "riso".to_owned(), hash: Some("0f1e2d3c4b5a".to_owned()), strength: 0.8 }],
            ..Recipe::default()
        };
        let ours = Picture::filled(8, 8, [1, 2, 3]).encode_png(&recipe.to_text_chunks());
        let json: serde_json::Value = serde_json::from_str(&said_of(&ours, true).unwrap()).unwrap();
        assert_eq!(
            (&json["source"], &json["prompt"], &json["seed"]),
            (&"atelier".into(), &"a red fox".into(), &7.into())
        );
        let table = said_of(&ours, false).unwrap();
        assert!(table.contains("a red fox") && table.contains("riso (0f1e2d3c4b5a) at 0.8"), "{table}");
        let comfyui = r#"{"3": {"class_type": "KSampler", "inputs": {"seed": 42, "steps": 25, "positive": ["6", 0]}},
            "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a harbour"}}}"#;
        let others = [
            ("parameters", "a lighthouse\nSteps: 30, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 832x1216", "a1111"),
            ("prompt", comfyui, "comfy_ui"),
            ("invokeai_metadata", r#"{"positive_prompt": "a hare", "seed": 7}"#, "invoke_ai"),
        ];
        for (keyword, text, source) in others {
            let json: serde_json::Value = serde_json::from_str(&said(&[(keyword, text)], true).unwrap()).unwrap();
            assert_eq!(json["source"], source);
        }
    }

    #[test]
    fn a_picture_that_does_not_say_it_is_answered_in_a_sentence() {
        for text in [&[][..], &[("Comment", "made with love")], &[("parameters", "a bare prompt")]] {
            let error = said(text, false).unwrap_err().to_string();
            assert!(error.contains("does not say how it was made"), "{error}");
        }
        let cut = &Picture::filled(8, 8, [1, 2, 3]).encode_png(&[])[..40];
        assert!(said_of(cut, false).is_err());
    }
}
