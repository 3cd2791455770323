//! LoRA files of all dialects: what they change in a model is the same however they are written.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::Dtype;
use tempfile::TempDir;

use super::{
    Adapter, Layout, LowRankPair,
    convert::convert,
    formats::peft::CONFIGURATION_KEY,
    inspect::inspect,
    read::read,
    save::{left_out, save},
};
use crate::{
    error::Error,
    weights::safetensors::{MappedFile, StoredTensor, in_file_order, write},
};

const LAYOUTS: [Layout; 3] = [Layout::Bfl, Layout::Diffusers, Layout::Kohya];

/// One LoRA of rank 2 and alpha 1 for a network 32 wide, as `shared/parity/make_case.py` writes it in four dialects.
fn fixture(dialect: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/lora/klein-{dialect}.safetensors"))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn deltas(adapter: &Adapter) -> BTreeMap<&str, Vec<f32>> {
    adapter.targets.iter().map(|(name, pair)| (name.as_str(), pair.delta())).collect()
}

/// The largest difference between the changes of two adapters, as a share of the largest change of its module.
fn difference(one: &Adapter, other: &Adapter) -> f32 {
    let (one, other) = (deltas(one), deltas(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    let of_module = |(one, other): (&Vec<f32>, &Vec<f32>)| {
        assert_eq!(one.len(), other.len());
        let largest = one.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        one.iter().zip(other).fold(0.0, |difference: f32, (one, other)| difference.max((one - other).abs())) / largest
    };
    one.values().zip(other.values()).map(of_module).fold(0.0, f32::max)
}

fn pair(rank: usize, inputs: usize, outputs: usize, scale: f32, seed: u64) -> LowRankPair {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut numbers = |count: usize| (0..count).map(|_| random.random_range(-1.0..1.0)).collect();
    LowRankPair { a: numbers(rank * inputs), b: numbers(outputs * rank), rank, inputs, outputs, kernel: None, scale }
}

fn written(tensors: &[(&str, &[usize])], metadata: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let tensor = |(name, shape): &(&str, &[usize])| {
        StoredTensor::f32((*name).to_owned(), shape.to_vec(), vec![0.5; shape.iter().product()])
    };
    let metadata = metadata.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
    let folder = folder();
    let path = folder.path().join("lora.safetensors");
    write(&path, &tensors.iter().map(tensor).collect::<Vec<_>>(), &metadata).expect("a file");
    (folder, path)
}

fn refusal(tensors: &[(&str, &[usize])]) -> String {
    let (_folder, path) = written(tensors, &[]);
    let read = read(&path).expect_err("a refusal");
    assert_eq!(inspect(&path).expect_err("a refusal").to_string(), read.to_string());
    read.to_string()
}

#[test]
fn four_dialects_of_one_lora_change_the_same() {
    let peft = read(&fixture("peft")).expect("diffusers' own dialect");
    assert_eq!((peft.layout, peft.matched_share(), peft.rank()), (Layout::Diffusers, 1.0, 2));
    for (dialect, layout) in [("bfl", Layout::Bfl), ("fal", Layout::Bfl), ("kohya", Layout::Kohya)] {
        let other = read(&fixture(dialect)).expect(dialect);
        assert_eq!((other.layout, other.matched_share(), other.rank()), (layout, 1.0, 2), "{dialect}");
        assert_eq!(other.facts, peft.facts);
        assert!(difference(&peft, &other) < 1e-6, "{dialect}: {}", difference(&peft, &other));
    }
    assert_eq!(peft.facts.variant, "width-32");
}

#[test]
fn a_conversion_changes_nothing_but_the_rounding() {
    let source = read(&fixture("kohya")).expect("a LoRA");
    let folder = folder();
    for first in LAYOUTS {
        let once = folder.path().join(format!("{first}.safetensors"));
        convert(&fixture("kohya"), first, &BTreeMap::new(), &once).expect("a conversion");
        let rounded = read(&once).expect("what was written");
        // bf16 keeps eight bits of each factor.
        let loss = difference(&source, &rounded);
        assert!(loss > 0.0 && loss < 3.0 / 256.0, "{first}: {loss}");
        assert_eq!(rounded.rank(), source.rank());
        assert_eq!(rounded.targets.keys().collect::<Vec<_>>(), source.targets.keys().collect::<Vec<_>>());
        for second in LAYOUTS {
            let twice = folder.path().join("twice.safetensors");
            convert(&once, second, &BTreeMap::new(), &twice).expect("a second conversion");
            assert_eq!(difference(&rounded, &read(&twice).expect("it")), 0.0, "{first} to {second} rounds again");
        }
    }
}

#[test]
fn joined_projections_come_apart_as_they_were() {
    let names = ["to_q", "to_k", "to_v"].map(|name| format!("transformer_blocks.0.attn.{name}"));
    let shared: BTreeMap<_, _> = names.iter().cloned().zip((0..3).map(|_| pair(2, 8, 8, 0.5, 1))).collect();
    let own = |scales: [f32; 3]| {
        names.iter().cloned().zip(scales.into_iter().zip(2..).map(|(scale, seed)| pair(3, 8, 8, scale, seed)))
    };
    let without_k = own([1.0; 3]).filter(|(name, _)| !name.ends_with("to_k"));
    // (what, pairs, rank of the joined projection, tolerance)
    let cases: [(_, BTreeMap<_, _>, _); 4] = [
        ("one A for all", shared, 2),
        ("an A for each", own([0.5; 3]).collect(), 9),
        ("another alpha for each", own([0.5, 1.0, 0.3]).collect(), 9),
        ("only two of three", without_k.collect(), 6),
    ];
    for (what, targets, rank) in cases {
        let adapter = Adapter::new(targets, BTreeMap::new());
        let folder = folder();
        for (layout, key) in [
            (Layout::Bfl, "diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight"),
            (Layout::Kohya, "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"),
        ] {
            let path = folder.path().join("joined.safetensors");
            save(&adapter, layout, &path).expect(what);
            let file = MappedFile::open(&path).expect("a file");
            assert_eq!(file.header().tensors[key].shape, [rank, 8], "{what}");
            let back = read(&path).expect(what);
            let loss = difference(&adapter, &back);
            assert!(loss < 3.0 / 256.0, "{what}: {loss}");
            for (name, pair) in &adapter.targets {
                assert_eq!(back.targets[name].rank, pair.rank, "{what}: {name}");
            }
        }
    }
}

#[test]
fn a_file_says_what_it_is_and_its_hashes_are_true() {
    let metadata =
        [("modelspec.title", "Ink wash"), ("ss_steps", "320"), ("sshs_model_hash", "stale"), (CONFIGURATION_KEY, "{}")];
    let metadata = metadata.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
    let targets = BTreeMap::from([("transformer_blocks.0.ff.linear_in".to_owned(), pair(4, 8, 48, 0.5, 1))]);
    let adapter = Adapter::new(targets, metadata);
    let folder = folder();
    let (once, again) = (folder.path().join("once.safetensors"), folder.path().join("again.safetensors"));
    save(&adapter, Layout::Kohya, &once).expect("a file");
    save(&adapter, Layout::Kohya, &again).expect("a file");
    assert_eq!(std::fs::read(&once).expect("bytes"), std::fs::read(&again).expect("bytes"), "the same bytes each time");
    let report = inspect(&once).expect("a report");
    let says = |key: &str| report.metadata.get(key).map(String::as_str).unwrap_or_default();
    assert_eq!((says("modelspec.title"), says("ss_steps"), report.training.steps), ("Ink wash", "320", Some(320)));
    assert_eq!(says("sshs_model_hash"), report.hashes.auto_v3);
    assert_eq!(says("modelspec.hash_sha256"), format!("0x{}", report.hashes.auto_v3));
    assert_eq!(says("modelspec.sai_model_spec"), "1.0.1");
    assert!(!report.metadata.contains_key(CONFIGURATION_KEY), "alpha would be applied twice");
    assert_eq!((report.rank, report.alpha, report.variant.as_str()), (4, 2.0, "width-8"));
    assert_eq!(report.hashes.auto_v2, report.hashes.sha256[..10]);
}

#[test]
fn a_conversion_says_what_it_is_told_beside_what_the_file_said() {
    let metadata = [("modelspec.title", "Ink wash"), ("modelspec.license", "House rules")];
    let (_folder, path) = written(
        &[("transformer.x_embedder.lora_A.weight", &[2, 16]), ("transformer.x_embedder.lora_B.weight", &[8, 2])],
        &metadata,
    );
    let folder = folder();
    let (once, again) = (folder.path().join("once.safetensors"), folder.path().join("again.safetensors"));
    let told = [("modelspec.license", "CC-BY-4.0"), ("modelspec.tags", "ink, wash")];
    let told = told.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
    convert(&path, Layout::Bfl, &told, &once).expect("a conversion");
    convert(&once, Layout::Kohya, &BTreeMap::new(), &again).expect("a second conversion");
    for file in [&once, &again] {
        let metadata = inspect(file).expect("a report").metadata;
        let said = ["modelspec.title", "modelspec.license", "modelspec.tags"].map(|key| metadata[key].clone());
        assert_eq!(said, ["Ink wash", "CC-BY-4.0", "ink, wash"]);
    }
}

#[test]
fn loras_of_sdxl_are_written_in_two_layouts() {
    let own = [
        ("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", (24, 8)),
        ("unet.mid_block.attentions.0.transformer_blocks.1.ff.net.0.proj", (8, 64)),
        ("unet.up_blocks.0.resnets.2.time_emb_proj", (32, 8)),
        ("text_encoder.text_model.encoder.layers.0.self_attn.q_proj", (16, 16)),
        ("text_encoder_2.text_model.encoder.layers.1.mlp.fc1", (16, 32)),
    ];
    let targets: BTreeMap<_, _> =
        own.iter().map(|(name, (inputs, outputs))| ((*name).to_owned(), pair(4, *inputs, *outputs, 0.5, 1))).collect();
    let adapter = Adapter::of_sdxl(targets.clone(), BTreeMap::new());
    let folder = folder();
    let (kohya, diffusers) = (folder.path().join("kohya.safetensors"), folder.path().join("diffusers.safetensors"));
    save(&adapter, Layout::Kohya, &kohya).expect("a file");
    convert(&kohya, Layout::Diffusers, &BTreeMap::new(), &diffusers).expect("a conversion");
    for (path, layout, key) in [
        (&kohya, Layout::Kohya, "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight"),
        (
            &diffusers,
            Layout::Diffusers,
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight",
        ),
    ] {
        let file = MappedFile::open(path).expect("a file");
        assert_eq!(file.header().tensors[key].shape, [4, 24]);
        let report = inspect(path).expect("a report");
        assert_eq!((report.family.as_str(), report.layout, report.matched_share), ("sdxl", layout, 1.0));
        assert_eq!((report.rank, report.context_width, report.problems), (4, 24, Vec::new()));
        assert_eq!(report.declared.as_deref(), Some("stable-diffusion-xl-v1-base/lora"));
        assert_eq!(report.metadata["ss_base_model_version"], "sdxl_base_v1-0");
        let loss = difference(&adapter, &read(path).expect("a LoRA"));
        assert!(loss < 3.0 / 256.0, "{layout}: {loss}");
    }
    let out = folder.path().join("out.safetensors");
    assert!(convert(&kohya, Layout::Bfl, &BTreeMap::new(), &out).expect_err("no form").to_string().contains("KOHYA"));
    assert!(!out.exists());
}

#[test]
fn adapters_of_convolutions_keep_their_kernels() {
    let own = [
        ("unet.mid_block.resnets.0.conv1", (9 * 8, 8), Some([3, 3])),
        ("unet.down_blocks.0.downsamplers.0.conv", (9 * 4, 4), Some([3, 3])),
        ("unet.up_blocks.0.upsamplers.0.conv", (9 * 8, 8), Some([3, 3])),
        ("unet.up_blocks.0.resnets.1.conv_shortcut", (16, 8), Some([1, 1])),
        ("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", (24, 8), None),
    ];
    let of = |(name, (inputs, outputs), kernel): &(&str, (usize, usize), Option<[usize; 2]>)| {
        ((*name).to_owned(), LowRankPair { kernel: *kernel, ..pair(4, *inputs, *outputs, 0.5, 1) })
    };
    let adapter = Adapter::of_sdxl(own.iter().map(of).collect(), BTreeMap::new());
    let folder = folder();
    let (kohya, diffusers) = (folder.path().join("kohya.safetensors"), folder.path().join("diffusers.safetensors"));
    save(&adapter, Layout::Kohya, &kohya).expect("a file");
    convert(&kohya, Layout::Diffusers, &BTreeMap::new(), &diffusers).expect("a conversion");
    let shapes = |path: &Path, key: &str| MappedFile::open(path).expect("a file").header().tensors[key].shape.clone();
    assert_eq!(shapes(&kohya, "lora_unet_middle_block_0_in_layers_2.lora_down.weight"), [4, 8, 3, 3]);
    assert_eq!(shapes(&kohya, "lora_unet_middle_block_0_in_layers_2.lora_up.weight"), [8, 4, 1, 1]);
    assert_eq!(shapes(&diffusers, "unet.up_blocks.0.resnets.1.conv_shortcut.lora_A.weight"), [4, 16, 1, 1]);
    for path in [&kohya, &diffusers] {
        let read = read(path).expect("a LoRA");
        assert!(difference(&adapter, &read) < 3.0 / 256.0);
        assert_eq!(read.targets.values().map(|pair| pair.kernel).collect::<Vec<_>>(), {
            let kernels: BTreeMap<_, _> = own.iter().map(|(name, _, kernel)| (*name, *kernel)).collect();
            kernels.into_values().collect::<Vec<_>>()
        });
    }
}

#[test]
fn a_layout_that_a_program_does_not_read_in_full_says_so() {
    let unread = "double_stream_modulation_img.linear";
    let modules = [("transformer_blocks.0.ff.linear_in", 8, 48), ("x_embedder", 16, 8), (unread, 8, 48)];
    let targets = modules.map(|(name, inputs, outputs)| (name.to_owned(), pair(2, inputs, outputs, 1.0, 1)));
    let folder = folder();
    let (source, out) = (folder.path().join("source.safetensors"), folder.path().join("out.safetensors"));
    save(&Adapter::new(targets.clone().into(), BTreeMap::new()), Layout::Bfl, &source).expect("a file");
    for layout in LAYOUTS {
        let said = convert(&source, layout, &BTreeMap::new(), &out).expect("a conversion");
        assert_eq!(said.len(), usize::from(layout == Layout::Kohya), "{layout}: {said:?}");
        assert!(said.iter().all(|said| said.contains("1 of the 3") && said.contains(unread)), "{said:?}");
    }
    let read = targets.into_iter().filter(|(name, _)| name != unread).collect();
    assert!(left_out(&Adapter::new(read, BTreeMap::new()), Layout::Kohya).is_empty());
}

#[test]
fn an_alpha_in_the_metadata_counts_where_no_tensor_states_it() {
    let tensors: &[(&str, &[usize])] =
        &[("transformer.x_embedder.lora_A.weight", &[4, 16]), ("transformer.x_embedder.lora_B.weight", &[8, 4])];
    let (_folder, path) =
        written(tensors, &[(CONFIGURATION_KEY, r#"{"transformer.lora_alpha": 1.0, "transformer.r": 4}"#)]);
    assert_eq!(read(&path).expect("a LoRA").targets["x_embedder"].scale, 0.25);
    let (_folder, path) = written(tensors, &[(CONFIGURATION_KEY, r#"{"transformer.use_dora": true}"#)]);
    assert!(read(&path).expect_err("DoRA").to_string().contains("DoRA"));
}

#[test]
fn an_alpha_is_read_whatever_its_number_format() {
    let name = "lora_unet_double_blocks_0_img_attn_proj";
    let (down, up) = ([4, 16], [8, 4]);
    let alphas: [(Dtype, &[u8]); 9] = [
        // `torch.tensor(2)`, as diffusers' converter to kohya's names writes it.
        (Dtype::I64, &2i64.to_le_bytes()),
        (Dtype::U64, &2u64.to_le_bytes()),
        (Dtype::I32, &2i32.to_le_bytes()),
        (Dtype::U32, &2u32.to_le_bytes()),
        (Dtype::I16, &2i16.to_le_bytes()),
        (Dtype::U16, &2u16.to_le_bytes()),
        (Dtype::I8, &[2]),
        (Dtype::U8, &[2]),
        (Dtype::F64, &2f64.to_le_bytes()),
    ];
    let folder = folder();
    let path = folder.path().join("lora.safetensors");
    for (dtype, bytes) in alphas {
        let alpha = StoredTensor { name: format!("{name}.alpha"), dtype, shape: vec![], bytes: bytes.into() };
        let down = StoredTensor::f32(format!("{name}.lora_down.weight"), down.to_vec(), [0.5; 4 * 16]);
        let up = StoredTensor::f32(format!("{name}.lora_up.weight"), up.to_vec(), [0.5; 8 * 4]);
        let mut tensors = [alpha, down, up];
        in_file_order(&mut tensors);
        write(&path, &tensors, &BTreeMap::new()).expect("a file");
        let adapter = read(&path).unwrap_or_else(|error| panic!("{dtype}: {error}"));
        let scales: Vec<f32> = adapter.targets.values().map(|pair| pair.scale).collect();
        assert_eq!(scales, [0.5], "{dtype}");
        assert_eq!(inspect(&path).expect("a report").alpha, 2.0, "{dtype}");
    }
}

#[test]
fn the_last_modulation_is_read_in_its_own_order_and_not_written_where_programs_disagree() {
    let mut swapped = pair(1, 4, 8, 1.0, 1);
    let own = swapped.clone();
    swapped.b.rotate_left(4);
    let name = "diffusion_model.final_layer.adaLN_modulation.1";
    let tensors = [
        StoredTensor::f32(format!("{name}.lora_A.weight"), vec![1, 4], own.a.clone()),
        StoredTensor::f32(format!("{name}.lora_B.weight"), vec![8, 1], own.b.clone()),
    ];
    let folder = folder();
    let path = folder.path().join("lora.safetensors");
    write(&path, &tensors, &BTreeMap::new()).expect("a file");
    assert_eq!(read(&path).expect("a LoRA").targets["norm_out.linear"], swapped);
    assert!(inspect(&path).expect("a report").problems.iter().any(|problem| problem.contains("last modulation")));
    for layout in [Layout::Bfl, Layout::Kohya] {
        let out = folder.path().join("out.safetensors");
        assert!(convert(&path, layout, &BTreeMap::new(), &out).expect_err("no form").to_string().contains("DIFFUSERS"));
        assert!(!out.exists());
    }
}

#[test]
fn other_kinds_are_refused_by_name() {
    let cases: &[(&str, &str)] = &[
        ("diffusion_model.img_in.lokr_w1", "LoKr"),
        ("lora_unet_img_in.hada_w1_a", "LoHa"),
        ("lora_unet_img_in.a1.weight", "GLoRA"),
        ("lora_unet_img_in.oft_blocks", "OFT"),
        ("base_model.model.img_in.boft_R.weight", "BOFT"),
        ("base_model.model.img_in.ia3_l", "IA3"),
        ("lora_unet_img_in.dora_scale", "DoRA"),
        ("transformer.x_embedder.lora_magnitude_vector", "DoRA"),
        ("lora_unet_img_in.diff", "full differences"),
        ("lora_unet_img_in.lora_mid.weight", "Tucker"),
        ("transformer.x_embedder.lora_B.bias", "biases"),
        ("lora_unet_double_blocks_0_img_mod_lin.lora_down.weight", "FLUX.1"),
        ("transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight", "FLUX.1"),
        ("diffusion_model.double_blocks.0.img_attn.qkv.weight", "a model's own weights"),
        ("diffusion_model.layers.0.attention.to_q.lora_A.weight", "another model"),
    ];
    for (key, kind) in cases {
        let plain: &[(&str, &[usize])] = &[(key, &[2, 2])];
        let refused = refusal(plain);
        assert!(refused.contains(kind), "{key}: {refused}");
    }
}

#[test]
fn pairs_that_are_not_whole_are_refused() {
    let (a, b) = ("transformer.x_embedder.lora_A.weight", "transformer.x_embedder.lora_B.weight");
    assert!(refusal(&[(a, &[2, 4])]).contains("only one of its two matrices"));
    assert!(refusal(&[(a, &[2, 4]), (b, &[8, 3])]).contains("no low-rank pair"));
    assert!(refusal(&[(a, &[0, usize::MAX / 2, 4, 4]), (b, &[8, 0])]).contains("no low-rank pair"));
    let again = ("diffusion_model.img_in.lora_A.weight", "diffusion_model.img_in.lora_B.weight");
    let twice: &[(&str, &[usize])] = &[(a, &[2, 4]), (b, &[8, 2]), (again.0, &[2, 4]), (again.1, &[8, 2])];
    assert!(refusal(twice).contains("twice"));
    let tensors = [
        StoredTensor::f32(a.to_owned(), vec![1, 2], [1.0, f32::NAN]),
        StoredTensor::f32(b.to_owned(), vec![2, 1], [1.0, 1.0]),
    ];
    let folder = folder();
    let path = folder.path().join("lora.safetensors");
    write(&path, &tensors, &BTreeMap::new()).expect("a file");
    assert!(read(&path).expect_err("no numbers").to_string().contains("no numbers"));
    assert!(inspect(&path).expect("a report").problems[0].contains("no numbers"));
}

#[test]
fn keys_that_are_not_understood_are_told_and_not_lost() {
    let tensors: &[(&str, &[usize])] = &[
        ("transformer.x_embedder.lora_A.weight", &[2, 4]),
        ("transformer.x_embedder.lora_B.weight", &[8, 2]),
        ("transformer.banana.lora_A.weight", &[2, 4]),
        ("transformer.banana.lora_B.weight", &[8, 2]),
    ];
    let (folder, path) = written(tensors, &[]);
    let report = inspect(&path).expect("a report");
    assert_eq!((report.matched_share, report.unmatched.len(), report.tensors), (0.5, 2, 4));
    assert!(report.problems[0].contains("transformer.banana.lora_A.weight"), "{:?}", report.problems);
    let out = folder.path().join("out.safetensors");
    assert!(convert(&path, Layout::Bfl, &BTreeMap::new(), &out).expect_err("a loss").to_string().contains("banana"));
}

#[test]
fn a_thousand_damaged_loras_are_answered_in_a_sentence() {
    let valid = std::fs::read(fixture("kohya")).expect("a fixture");
    let header = 8 + u64::from_le_bytes(valid[..8].try_into().expect("eight bytes")) as usize;
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let folder = folder();
    let path = folder.path().join("lora.safetensors");
    let (mut told, mut refused) = (0, 0);
    for round in 0..1000 {
        let mut bytes = valid.clone();
        for _ in 0..random.random_range(1..3) {
            // Names and digits keep the header readable, so that what stands behind it is reached.
            let at = random.random_range(8..header);
            match bytes[at] {
                b'0'..=b'9' => bytes[at] = random.random_range(b'0'..=b'9'),
                b'a'..=b'z' => bytes[at] = random.random_range(b'a'..=b'z'),
                _ => bytes[random.random_range(header..valid.len())] = random.random(),
            }
        }
        std::fs::write(&path, &bytes).expect("a file");
        match inspect(&path) {
            Ok(report) => told += usize::from(report.matched_share < 1.0 || !report.problems.is_empty()),
            Err(Error::Lora(sentence) | Error::Weights(sentence)) => {
                assert!(sentence.ends_with('.') && sentence.len() < 900, "round {round}: {sentence}");
                refused += 1;
            }
            Err(other) => panic!("round {round}: {other:?}"),
        }
    }
    assert!(told > 20 && refused > 100, "{told} told, {refused} refused");
}
