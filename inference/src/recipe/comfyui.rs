//! ComfyUI's graphs: `prompt` is the graph as it was run (node id to class and inputs), `workflow` the one of the
//! editor (nodes with positional widget values, and links), which is turned into the first form.

use super::{Recipe, RecipeLora, name_of_file};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};

/// Longest chain of links that is followed; graphs from outside may go in circles.
const LONGEST_CHAIN: usize = 64;

/// Reads the graph as it was run; none when no node samples.
pub(super) fn read(text: &str) -> Option<Recipe> {
    Graph(parse(text)?).recipe()
}

/// Reads the editor's graph; none when no node samples.
pub(super) fn read_workflow(text: &str) -> Option<Recipe> {
    let workflow = parse(text)?;
    // A link is [id, from node, from slot, to node, to slot, type].
    let links = workflow.get("links").and_then(Value::as_array).into_iter().flatten();
    let sources: HashMap<String, Value> = links
        .filter_map(|link| Some((link.get(0)?.to_string(), json!([link.get(1)?.to_string(), link.get(2)?]))))
        .collect();
    let mut graph = Map::new();
    for node in workflow.get("nodes")?.as_array()? {
        let class = node.get("type").and_then(Value::as_str).unwrap_or_default();
        let mut inputs = Map::new();
        if let Some(widgets) = node.get("widgets_values").and_then(Value::as_array) {
            let named = widget_names(class).iter().zip(widgets);
            inputs.extend(named.map(|(name, value)| ((*name).to_owned(), value.clone())));
        }
        for input in node.get("inputs").and_then(Value::as_array).into_iter().flatten() {
            let name = input.get("name").and_then(Value::as_str);
            let from = input.get("link").and_then(|link| sources.get(&link.to_string()));
            if let (Some(name), Some(from)) = (name, from) {
                inputs.insert(name.to_owned(), from.clone());
            }
        }
        graph.insert(node.get("id")?.to_string(), json!({ "class_type": class, "inputs": inputs }));
    }
    Graph(Value::Object(graph)).recipe()
}

/// The widgets of the nodes that matter, in the editor's order.
fn widget_names(class: &str) -> &'static [&'static str] {
    match class {
        "KSampler" => &["seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler", "denoise"],
        "KSamplerAdvanced" => {
            &["add_noise", "noise_seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler"]
        }
        "RandomNoise" => &["noise_seed"],
        "KSamplerSelect" => &["sampler_name"],
        "BasicScheduler" => &["scheduler", "steps", "denoise"],
        "Flux2Scheduler" => &["steps", "width", "height"],
        "CFGGuider" => &["cfg"],
        "FluxGuidance" => &["guidance"],
        "CLIPTextEncode" => &["text"],
        "CheckpointLoaderSimple" => &["ckpt_name"],
        "UNETLoader" => &["unet_name"],
        "LoraLoader" | "LoraLoaderModelOnly" => &["lora_name", "strength_model"],
        "EmptyLatentImage" | "EmptySD3LatentImage" | "EmptyFlux2LatentImage" => &["width", "height"],
        _ => &[],
    }
}

/// JSON as Python writes it, with bare `NaN` for what has no value.
fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&text.replace("NaN", "null"))).ok()
}

struct Graph(Value);

impl Graph {
    fn node(&self, id: &str) -> Option<&Value> {
        self.0.get(id)
    }

    /// The node behind an input, if the input is a link.
    fn behind(&self, node: &Value, input: &str) -> Option<&Value> {
        let link = node.get("inputs")?.get(input)?.as_array()?;
        match link.first()? {
            Value::String(id) => self.node(id),
            id => self.node(&id.to_string()),
        }
    }

    /// The first of these inputs that holds a value, here or in the nodes that lead here over at most `depth` links;
    /// the nearest node counts. Every node is looked at once, whatever circles the links run in.
    fn find(&self, node: &Value, names: &[&str], depth: usize) -> Option<Value> {
        let mut seen: HashSet<*const Value> = HashSet::new();
        let mut level = vec![node];
        for distance in 0..=depth {
            let mut next = Vec::new();
            for node in level {
                let Some(inputs) = node.get("inputs").and_then(Value::as_object) else { continue };
                let value = |name: &&str| inputs.get(*name).filter(|value| !value.is_array() && !value.is_object());
                if let Some(value) = names.iter().find_map(value) {
                    return Some(value.clone());
                }
                if distance < depth {
                    let before = inputs.keys().filter_map(|input| self.behind(node, input));
                    next.extend(before.filter(|before| seen.insert(std::ptr::from_ref(*before))));
                }
            }
            level = next;
        }
        None
    }

    fn recipe(&self) -> Option<Recipe> {
        let nodes = self.0.as_object()?;
        let sampler = nodes.values().find(|node| {
            let class = node.get("class_type").and_then(Value::as_str).unwrap_or_default();
            class.contains("KSampler") && class != "KSamplerSelect" || class.starts_with("SamplerCustom")
        })?;
        // The custom sampler keeps its conditioning behind a guider, the plain one has it itself.
        let guided = self.behind(sampler, "guider").unwrap_or(sampler);
        let near = |name: &str, other: &str| self.find(sampler, &[name, other], 2);
        let size = |name: &str| {
            let latent = self.behind(sampler, "latent_image")?;
            self.find(latent, &[name], 2)?.as_u64()?.try_into().ok()
        };
        let positive = self.behind(guided, "positive").or_else(|| self.behind(guided, "conditioning"));
        let guidance = positive.and_then(|node| self.find(node, &["guidance"], 4));
        let mut recipe = Recipe {
            prompt: positive.and_then(|node| self.text(node)).unwrap_or_default(),
            negative_prompt: self.behind(guided, "negative").and_then(|node| self.text(node)).unwrap_or_default(),
            seed: near("seed", "noise_seed").and_then(|value| value.as_u64()),
            steps: near("steps", "steps").and_then(|value| value.as_u64()?.try_into().ok()),
            guidance: guidance.or_else(|| self.find(guided, &["cfg"], 0)).and_then(|value| value.as_f64()),
            sampler: near("sampler_name", "sampler_name").and_then(|value| value.as_str().map(str::to_owned)),
            width: size("width"),
            height: size("height"),
            ..Recipe::default()
        };
        self.follow_model(guided, &mut recipe);
        Some(recipe)
    }

    /// The text of a conditioning: its own or that of a node before it.
    fn text(&self, node: &Value) -> Option<String> {
        let text = self.find(node, &["text", "text_g", "string", "value"], 6)?;
        text.as_str().map(str::to_owned)
    }

    /// Collects the LoRAs between a sampler and its checkpoint.
    fn follow_model(&self, sampler: &Value, recipe: &mut Recipe) {
        let mut node = self.behind(sampler, "model");
        for _ in 0..LONGEST_CHAIN {
            let Some(here) = node else { break };
            let own = |name: &str| self.find(here, &[name], 0);
            if let Some(Value::String(file)) = own("lora_name") {
                let strength = own("strength_model").and_then(|value| value.as_f64()).unwrap_or(1.0);
                recipe.loras.push(RecipeLora { name: name_of_file(&file), hash: None, strength });
            }
            if let Some(Value::String(file)) = own("ckpt_name").or_else(|| own("unet_name")) {
                recipe.model = Some(name_of_file(&file));
            }
            node = self.behind(here, "model");
        }
        // The one next to the checkpoint is applied first.
        recipe.loras.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_as_it_was_run() {
        let text = r#"{
            "3": {"class_type": "KSampler", "inputs": {"seed": 42, "steps": 25, "cfg": 6.5, "sampler_name": "euler",
                "model": ["11", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0], "denoise": NaN}},
            "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "xl\\base.safetensors"}},
            "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 768, "height": 1024, "batch_size": 1}},
            "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["9", 0], "clip": ["4", 1]}},
            "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly", "clip": ["4", 1]}},
            "9": {"class_type": "PrimitiveString", "inputs": {"value": "a quiet harbour"}},
            "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "ink.safetensors", "strength_model": 0.6, "model": ["4", 0]}},
            "11": {"class_type": "LoraLoader", "inputs": {"lora_name": "fog.safetensors", "strength_model": 1, "model": ["10", 0]}}}"#;
        let recipe = read(text).unwrap();
        assert_eq!((recipe.prompt.as_str(), recipe.negative_prompt.as_str()), ("a quiet harbour", "ugly"));
        assert_eq!((recipe.seed, recipe.steps, recipe.guidance), (Some(42), Some(25), Some(6.5)));
        assert_eq!((recipe.width, recipe.height, recipe.model.as_deref()), (Some(768), Some(1024), Some("base")));
        let loras: Vec<_> = recipe.loras.iter().map(|lora| (lora.name.as_str(), lora.strength)).collect();
        assert_eq!(loras, [("ink", 0.6), ("fog", 1.0)]);
    }

    #[test]
    fn a_workflow_of_the_editor() {
        let text = r#"{"nodes": [
            {"id": 13, "type": "SamplerCustomAdvanced", "inputs": [{"name": "noise", "link": 1}, {"name": "guider", "link": 2},
                {"name": "sigmas", "link": 3}, {"name": "latent_image", "link": 4}]},
            {"id": 25, "type": "RandomNoise", "widgets_values": [99, "randomize"]},
            {"id": 22, "type": "BasicGuider", "inputs": [{"name": "model", "link": 5}, {"name": "conditioning", "link": 6}]},
            {"id": 17, "type": "BasicScheduler", "widgets_values": ["simple", 8, 1]},
            {"id": 27, "type": "EmptySD3LatentImage", "widgets_values": [512, 640, 1]},
            {"id": 12, "type": "UNETLoader", "widgets_values": ["flux2-klein.safetensors", "default"]},
            {"id": 26, "type": "FluxGuidance", "widgets_values": [4], "inputs": [{"name": "conditioning", "link": 7}]},
            {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a paper boat"]}],
          "links": [[1, 25, 0, 13, 0, "NOISE"], [2, 22, 0, 13, 1, "GUIDER"], [3, 17, 0, 13, 3, "SIGMAS"],
            [4, 27, 0, 13, 4, "LATENT"], [5, 12, 0, 22, 0, "MODEL"], [6, 26, 0, 22, 1, "CONDITIONING"],
            [7, 6, 0, 26, 0, "CONDITIONING"]]}"#;
        let recipe = read_workflow(text).unwrap();
        assert_eq!((recipe.prompt.as_str(), recipe.model.as_deref()), ("a paper boat", Some("flux2-klein")));
        assert_eq!((recipe.seed, recipe.steps, recipe.guidance), (Some(99), Some(8), Some(4.0)));
        assert_eq!((recipe.width, recipe.height), (Some(512), Some(640)));
    }

    #[test]
    fn circles_end() {
        let links = (0..2000).map(|index| format!("\"x{index}\": [\"2\", 0]")).collect::<Vec<_>>().join(", ");
        let text = format!(
            r#"{{"1": {{"class_type": "KSampler", "inputs": {{"model": ["2", 0], "positive": ["2", 0]}}}},
            "2": {{"class_type": "LoraLoader", "inputs": {{"lora_name": "a", "model": ["2", 0], {links}}}}}}}"#
        );
        let recipe = read(&text).unwrap();
        assert_eq!((recipe.prompt.as_str(), recipe.loras.len()), ("", LONGEST_CHAIN));
    }
}
