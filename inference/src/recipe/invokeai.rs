//! InvokeAI's `invokeai_metadata` (versions 3 to 6).

use super::{Recipe, RecipeLora, name_of_file};
use serde_json::Value;

/// Reads InvokeAI's JSON; none when it names no prompt.
pub(super) fn read(text: &str) -> Option<Recipe> {
    let metadata: Value = serde_json::from_str(text).ok()?;
    let words = |name: &str| metadata.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| metadata.get(name).and_then(Value::as_u64)?.try_into().ok();
    let model = metadata.get("model");
    let loras = metadata.get("loras").and_then(Value::as_array);
    Some(Recipe {
        prompt: words("positive_prompt")?,
        negative_prompt: words("negative_prompt").unwrap_or_default(),
        model: model.and_then(name),
        model_hash: model.and_then(|model| model.get("hash")?.as_str()).map(str::to_owned),
        sampler: words("scheduler"),
        seed: metadata.get("seed").and_then(Value::as_u64),
        steps: number("steps"),
        guidance: ["cfg_scale", "guidance"].iter().find_map(|name| metadata.get(name)?.as_f64()),
        width: number("width"),
        height: number("height"),
        loras: loras.into_iter().flatten().filter_map(lora).collect(),
        ..Recipe::default()
    })
}

/// The name of a model, which versions have written in three ways.
fn name(model: &Value) -> Option<String> {
    let named = ["name", "model_name"].iter().find_map(|name| model.get(name)?.as_str());
    named.or_else(|| model.as_str()).map(name_of_file)
}

fn lora(entry: &Value) -> Option<RecipeLora> {
    let model = entry.get("model").or_else(|| entry.get("lora"))?;
    Some(RecipeLora {
        name: name(model)?,
        hash: model.get("hash").and_then(Value::as_str).map(str::to_owned),
        strength: entry.get("weight").and_then(Value::as_f64).unwrap_or(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_two_versions() {
        let recent = r#"{"app_version": "5.4.0", "positive_prompt": "a fox", "negative_prompt": "text", "seed": 7, "steps": 30,
            "cfg_scale": 5.5, "width": 1024, "height": 768, "scheduler": "euler",
            "model": {"key": "k", "hash": "blake3:aa11", "name": "Juggernaut", "base": "sdxl", "type": "main"},
            "loras": [{"model": {"name": "woodcut", "hash": "blake3:bb22"}, "weight": 0.75}]}"#;
        let recipe = read(recent).unwrap();
        assert_eq!((recipe.prompt.as_str(), recipe.model.as_deref()), ("a fox", Some("Juggernaut")));
        assert_eq!((recipe.seed, recipe.guidance, recipe.height), (Some(7), Some(5.5), Some(768)));
        let lora = RecipeLora { name: "woodcut".into(), hash: Some("blake3:bb22".into()), strength: 0.75 };
        assert_eq!(recipe.loras, [lora]);
        let older = r#"{"positive_prompt": "a hare", "model": {"model_name": "sdxl-1-0", "base_model": "sdxl"},
            "loras": [{"lora": {"model_name": "felt"}, "weight": 1}]}"#;
        let recipe = read(older).unwrap();
        assert_eq!((recipe.model.as_deref(), recipe.loras[0].name.as_str()), (Some("sdxl-1-0"), "felt"));
    }
}
