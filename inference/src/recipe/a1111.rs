//! The `parameters` text of AUTOMATIC1111's web UI: the prompt, `Negative prompt: …`, and a last line of settings
//! (`modules/infotext_utils.py`, `parse_generation_parameters`).

use super::{Recipe, RecipeLora};

const NEGATIVE: &str = "Negative prompt:";

impl Recipe {
    /// The recipe as A1111 writes it. LoRAs stand in the prompt as `<lora:name:strength>`.
    pub(super) fn to_a1111(&self) -> String {
        let mut text = self.prompt.clone();
        for lora in &self.loras {
            text.push_str(&format!(" <lora:{}:{}>", tag_name(&lora.name), lora.strength));
        }
        if !self.negative_prompt.is_empty() {
            text.push_str(&format!("\n{NEGATIVE} {}", self.negative_prompt));
        }
        let mut settings = Vec::new();
        let mut say = |name: &str, value: Option<String>| {
            settings.extend(value.map(|value| format!("{name}: {}", quoted(&value))));
        };
        say("Steps", self.steps.map(|value| value.to_string()));
        say("Sampler", self.sampler.clone());
        say("CFG scale", self.guidance.map(|value| value.to_string()));
        say("Seed", self.seed.map(|value| value.to_string()));
        say("Size", self.width.zip(self.height).map(|(width, height)| format!("{width}x{height}")));
        say("Model hash", self.model_hash.clone());
        say("Model", self.model.clone());
        let hashed = |lora: &RecipeLora| Some(format!("{}: {}", tag_name(&lora.name), lora.hash.as_ref()?));
        let hashes: Vec<String> = self.loras.iter().filter_map(hashed).collect();
        say("Lora hashes", (!hashes.is_empty()).then(|| hashes.join(", ")));
        say("Version", Some(format!("atelier {}", env!("CARGO_PKG_VERSION"))));
        text.push('\n');
        text.push_str(&settings.join(", "));
        text
    }
}

/// A LoRA's name without the signs that end a tag or a pair of a name and a hash.
fn tag_name(name: &str) -> String {
    name.replace(|sign: char| matches!(sign, ':' | ',' | '<' | '>') || sign.is_control(), "_")
}

/// A value as a JSON string where it would break the list of settings.
fn quoted(value: &str) -> String {
    if value.contains([',', '\n', ':', '"', '\\']) || value.trim() != value {
        serde_json::Value::from(value).to_string()
    } else {
        value.to_owned()
    }
}

/// Reads A1111's text; none when its last line is not a list of settings.
pub(super) fn read(text: &str) -> Option<Recipe> {
    let (body, last) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
    let settings = settings(last);
    let known =
        |(name, _): &(String, String)| matches!(name.as_str(), "Steps" | "Seed" | "Sampler" | "CFG scale" | "Size");
    if settings.iter().filter(|setting| known(setting)).count() < 2 {
        return None;
    }
    let (prompt, negative) = match body.strip_prefix(NEGATIVE) {
        Some(negative) => ("", negative),
        None => body.split_once(&format!("\n{NEGATIVE}")).unwrap_or((body, "")),
    };
    let (prompt, loras) = without_lora_tags(prompt);
    let mut recipe = Recipe { prompt, negative_prompt: negative.trim().to_owned(), loras, ..Recipe::default() };
    for (name, value) in settings {
        match name.as_str() {
            "Steps" => recipe.steps = value.parse().ok(),
            "Seed" => recipe.seed = value.parse().ok(),
            "CFG scale" => recipe.guidance = value.parse().ok(),
            "Sampler" => recipe.sampler = Some(value),
            "Model" => recipe.model = Some(value),
            "Model hash" => recipe.model_hash = Some(value),
            "Size" => {
                let size =
                    value.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
                (recipe.width, recipe.height) = size.unzip();
            }
            "Lora hashes" => {
                for (name, hash) in value.split(", ").filter_map(|pair| pair.rsplit_once(": ")) {
                    recipe.loras.iter_mut().filter(|lora| lora.name == name).for_each(|lora| {
                        lora.hash = Some(hash.to_owned());
                    });
                }
            }
            _ => {}
        }
    }
    Some(recipe)
}

/// `Name: value, Name: "quoted, value"` as pairs.
fn settings(line: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = line.trim();
    while let Some((name, after)) = rest.split_once(':') {
        let after = after.trim_start();
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
        let (value, left) = match (after.starts_with('"'), values.next()) {
            (true, Some(Ok(value))) => (value, &after[values.byte_offset()..]),
            _ => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        found.push((name.trim().to_owned(), value));
        rest = left.trim_start().trim_start_matches(',').trim_start();
    }
    found
}

/// Takes `<lora:name:strength>` out of a prompt.
fn without_lora_tags(prompt: &str) -> (String, Vec<RecipeLora>) {
    let mut kept = String::new();
    let mut loras = Vec::new();
    let mut rest = prompt;
    while let Some((before, after)) = rest.split_once("<lora:") {
        let Some((tag, left)) = after.split_once('>') else { break };
        let mut parts = tag.split(':');
        let name = parts.next().unwrap_or_default();
        let strength = parts.next().and_then(|strength| strength.trim().parse().ok()).unwrap_or(1.0);
        loras.push(RecipeLora { name: name.trim().to_owned(), hash: None, strength });
        kept.push_str(before);
        rest = left;
    }
    kept.push_str(rest);
    (kept.trim().to_owned(), loras)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_the_web_ui() {
        let text = "masterpiece, a lighthouse <lora:riso_print:0.8>, (sea:1.2)\nat dusk\nNegative prompt: blurry,\nlow quality\n\
            Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 1234567890, Size: 832x1216, \
            Model hash: 31e35c80fc, Model: sd_xl_base_1.0, Lora hashes: \"riso_print: 0f1e2d3c4b5a\", Version: v1.10.1";
        let recipe = read(text).unwrap();
        assert_eq!(recipe.prompt, "masterpiece, a lighthouse , (sea:1.2)\nat dusk");
        assert_eq!(recipe.negative_prompt, "blurry,\nlow quality");
        assert_eq!((recipe.steps, recipe.seed, recipe.guidance), (Some(30), Some(1_234_567_890), Some(7.5)));
        assert_eq!((recipe.width, recipe.height), (Some(832), Some(1216)));
        assert_eq!(recipe.model_hash.as_deref(), Some("31e35c80fc"));
        let lora = RecipeLora { name: "riso_print".into(), hash: Some("0f1e2d3c4b5a".into()), strength: 0.8 };
        assert_eq!(recipe.loras, [lora]);
        assert_eq!(read("just a note\nwith two: lines"), None);
    }
}
