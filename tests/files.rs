//! Files that people bring: LoRAs made elsewhere, LoRAs for the starter model, and damaged ones.

use std::{fs, path::Path};

use rand::Rng;
use serde_json::{Map, Value, json};

/// A LoRA of rank 2 for a FLUX.2 network 32 wide, which no model of a house has, in one of the dialects `bfl`, `fal`,
/// `kohya` and `peft`.
pub fn foreign_lora(dialect: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inference/tests/fixtures/lora");
    fs::read(folder.join(format!("klein-{dialect}.safetensors"))).unwrap()
}

/// A LoRA of rank 2 for a FLUX.2 network of these widths. Another seed gives another file.
pub fn lora((hidden, context): (usize, usize), seed: u8) -> Vec<u8> {
    let tensors = [
        ("diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight", [2, hidden]),
        ("diffusion_model.double_blocks.0.img_attn.qkv.lora_B.weight", [3 * hidden, 2]),
        ("diffusion_model.txt_in.lora_A.weight", [2, context]),
        ("diffusion_model.txt_in.lora_B.weight", [hidden, 2]),
    ];
    safetensors(&tensors, f32::from(seed) / 1000.0, json!({ "format": "pt" }))
}

/// A `.safetensors` file whose tensors all hold one number.
pub fn safetensors(tensors: &[(&str, [usize; 2])], number: f32, metadata: Value) -> Vec<u8> {
    let mut header = Map::from_iter([("__metadata__".to_owned(), metadata)]);
    let mut end = 0;
    for (name, shape) in tensors {
        let begin = end;
        end += 4 * shape[0] * shape[1];
        header.insert((*name).to_owned(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, end] }));
    }
    let header = Value::Object(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(number.to_le_bytes().repeat(end / 4));
    bytes
}

/// The header of a `.safetensors` file.
pub fn header(file: &[u8]) -> Map<String, Value> {
    let length = usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
    serde_json::from_slice(&file[8..8 + length]).unwrap()
}

/// A copy with a few damages, most of them in its header.
pub fn damaged(file: &[u8], random: &mut impl Rng) -> Vec<u8> {
    const CHARACTERS: &[u8] = b"{}[]\",:0123456789-+.eE\\u truefalsn";
    let mut bytes = file.to_vec();
    for _ in 0..random.random_range(1..4) {
        let header = bytes.len().min(8 + file.len() / 4);
        let at = random.random_range(0..header);
        match random.random_range(0..6) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = CHARACTERS[random.random_range(0..CHARACTERS.len())],
            2 => bytes.truncate(random.random_range(1..bytes.len() + 1)),
            3 => bytes.extend((0..random.random_range(1..40)).map(|_| random.random::<u8>())),
            4 => {
                let piece = bytes[at..random.random_range(at..header)].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => drop(bytes.drain(at..random.random_range(at..header))),
        }
        if bytes.is_empty() {
            bytes.push(b'{');
        }
    }
    bytes
}
