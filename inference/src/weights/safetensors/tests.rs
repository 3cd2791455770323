//! A valid file, what is wrong with each of its damaged copies, and a thousand random damages.

use std::{
    collections::BTreeMap,
    io::Cursor,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

use super::{LARGEST_HEADER, MappedFile, StoredTensor, check_header, in_file_order, write};
use crate::error::Error;

fn valid() -> (Vec<StoredTensor<'static>>, BTreeMap<String, String>, Vec<u8>) {
    let mut tensors = vec![
        StoredTensor::bf16("module.lora_A.weight".to_owned(), vec![2, 3], [1.0, -2.0, 0.5, 4.0, 8.0, -0.25]),
        StoredTensor::bf16("module.lora_B.weight".to_owned(), vec![1, 2], [3.0, 0.0]),
        StoredTensor::f32("module.alpha".to_owned(), vec![], [0.1]),
        StoredTensor::f32("empty".to_owned(), vec![0, 7], []),
    ];
    in_file_order(&mut tensors);
    let metadata =
        BTreeMap::from([("title".to_owned(), "Ink \"wash\"".to_owned()), ("format".to_owned(), "pt".to_owned())]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("valid.safetensors");
    write(&path, &tensors, &metadata).expect("a file");
    (tensors, metadata, std::fs::read(path).expect("its bytes"))
}

fn with_header(json: &str, body: usize) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &vec![0; body]].concat()
}

#[test]
fn what_is_written_reads_back_and_other_readers_agree() {
    let (tensors, metadata, bytes) = valid();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("copy.safetensors");
    std::fs::write(&path, &bytes).expect("a file");
    let file = MappedFile::open(&path).expect("valid");
    assert_eq!(file.header().metadata, metadata);
    assert_eq!(file.header().length % 8, 0);
    assert_eq!(file.floats("module.lora_A.weight").expect("bf16"), [1.0, -2.0, 0.5, 4.0, 8.0, -0.25]);
    assert_eq!(file.floats("module.alpha").expect("f32"), [0.1]);
    let theirs = SafeTensors::deserialize(&bytes).expect("valid for the format's own reader");
    for tensor in &tensors {
        let view = theirs.tensor(&tensor.name).expect("a tensor");
        assert_eq!((view.shape(), view.data()), (tensor.shape.as_slice(), &*tensor.bytes));
        assert_eq!((view.data().as_ptr() as usize - bytes.as_ptr() as usize) % (tensor.dtype.bitsize() / 8), 0);
    }
}

#[test]
fn every_damage_is_called_by_its_name() {
    let one = r#""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    let cases = [
        (vec![1, 2, 3], "3 bytes"),
        (with_header("{}", 0)[..9].to_vec(), "cut off"),
        ([&(LARGEST_HEADER + 1).to_le_bytes()[..], b"{}"].concat(), "at most 10485760"),
        (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20".to_vec(), "pickle"),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00".to_vec(), "pickle"),
        (b"GGUF\x03\x00\x00\x00\x00\x00".to_vec(), "GGUF"),
        (b"version https://git-lfs.github.com/spec/v1".to_vec(), "Git LFS"),
        (with_header("[]", 0), "brace"),
        (with_header("{\"a\":", 0), "not understood"),
        (with_header(&format!("{{{one},{one}}}"), 8), "`a` stands there twice"),
        (
            with_header(r#"{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8),
            "duplicate field `dtype`",
        ),
        (with_header(r#"{"__metadata__":{"k":"1","k":"2"}}"#, 0), "`k` stands there twice"),
        (with_header(r#"{"__metadata__":{},"__metadata__":{}}"#, 0), "`__metadata__` stands there twice"),
        (with_header(r#"{"__metadata__":{"k":1}}"#, 0), "expected a string"),
        (with_header(r#"{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#, 8), "unknown number format `F31`"),
        (with_header(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}}"#, 8), "unknown field `more`"),
        (with_header(r#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8), "`a`: invalid value"),
        (with_header(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8), "do not fit F32 of shape [3]"),
        (with_header(r#"{"a":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,8]}}"#, 8), "do not fit"),
        (with_header(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8), "lies at 8 to 0"),
        (with_header(&format!("{{{one}}}"), 7), "lies at 0 to 8, and 7 bytes follow"),
        (with_header(&format!("{{{one}}}"), 9), "1 bytes at its end"),
        (
            with_header(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12),
            "4 bytes before the tensor `a`",
        ),
        (
            with_header(&format!(r#"{{{one},"b":{{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}}}"#), 12),
            "`a` and `b` overlap",
        ),
    ];
    for (bytes, trouble) in cases {
        let refusal = check_header(&mut Cursor::new(&bytes)).expect_err(trouble).to_string();
        assert!(refusal.contains(trouble), "{trouble:?} is not in {refusal:?}");
    }
    let mut not_text = with_header(&format!("{{{one}}}"), 8);
    not_text[10] = 0xff;
    assert!(check_header(&mut Cursor::new(&not_text)).expect_err("not UTF-8").to_string().contains("UTF-8"));
    // 640 looks like the first two bytes of a pickle file and is a length like another.
    let padded = with_header(&format!("{:640}", format!("{{{one}}}")), 8);
    assert!(padded.starts_with(&[0x80, 2]) && check_header(&mut Cursor::new(&padded)).is_ok());
}

#[test]
fn a_thousand_random_damages_are_answered_in_a_sentence() {
    let (.., valid) = valid();
    let header = 8 + u64::from_le_bytes(valid[..8].try_into().expect("eight bytes")) as usize;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut slowest, mut refused, mut accepted) = (Duration::ZERO, 0, 0);
    for round in 0..1000 {
        let mut bytes = valid.clone();
        for _ in 0..random.random_range(1..4) {
            damage(&mut bytes, header, &mut random);
        }
        let start = Instant::now();
        let answer = check_header(&mut Cursor::new(&bytes));
        slowest = slowest.max(start.elapsed());
        match answer {
            Ok(_) => {
                // Whatever passes here, the format's own reader takes as well.
                let theirs = SafeTensors::deserialize(&bytes);
                assert!(theirs.is_ok(), "round {round}: accepted what {:?} says no to", theirs.err());
                accepted += 1;
            }
            Err(Error::Weights(sentence)) => {
                let is_sentence =
                    sentence.starts_with("This is no intact safetensors file: ") && sentence.ends_with('.');
                assert!(
                    is_sentence && !sentence.contains(char::is_control) && sentence.len() < 900,
                    "round {round}: {sentence:?}"
                );
                refused += 1;
            }
            Err(other) => panic!("round {round}: {other:?}"),
        }
    }
    assert!(
        refused > 500 && accepted > 10,
        "the damages are too weak or too strong: {refused} refused, {accepted} accepted"
    );
    eprintln!("1000 damaged files: {refused} refused, {accepted} accepted, the slowest answer after {slowest:?}");
}

fn damage(bytes: &mut Vec<u8>, header: usize, random: &mut ChaCha8Rng) {
    let length = bytes.len();
    if length == 0 {
        return;
    }
    let header = header.min(length);
    match random.random_range(0..8) {
        0 => bytes[random.random_range(0..length)] ^= 1 << random.random_range(0..8),
        1 => bytes.truncate(random.random_range(0..length)),
        2 => bytes.extend((0..random.random_range(1..40)).map(|_| random.random::<u8>())),
        3 => bytes[random.random_range(0..8.min(length))] = random.random(),
        4 => bytes[random.random_range(0..header)] = random.random(),
        5 => {
            // Characters of JSON make more of a header than other bytes do.
            const CHARACTERS: &[u8] = b"{}[]\",:0123456789-+.eE\\u truefalsn";
            bytes[random.random_range(0..header)] = CHARACTERS[random.random_range(0..CHARACTERS.len())];
        }
        6 => {
            let from = random.random_range(0..header);
            let piece = bytes[from..random.random_range(from..header)].to_vec();
            let at = random.random_range(0..header);
            bytes.splice(at..at, piece);
        }
        _ => {
            let from = random.random_range(0..header);
            bytes.drain(from..random.random_range(from..header));
        }
    }
}

#[test]
fn the_largest_hostile_headers_are_answered() {
    let room = LARGEST_HEADER as usize - 200;
    let entry =
        |index: usize| format!(r#""{index}":{{"dtype":"U8","shape":[],"data_offsets":[{index},{}]}},"#, index + 1);
    let many: String = (0..room / 64).map(entry).collect();
    let headers = [
        ("names", format!("{{{}", &many[..many.len() - 1]) + "}"),
        ("axes", format!(r#"{{"a":{{"dtype":"U8","shape":[{}1],"data_offsets":[0,1]}}}}"#, "1,".repeat(room / 2))),
        ("nesting", format!("{{\"a\":{}", "[".repeat(room))),
        (
            "metadata",
            format!(
                "{{\"__metadata__\":{{{}",
                (0..room / 14).map(|key| format!("\"{key}\":\"\",")).collect::<String>()
            ),
        ),
        ("one name", format!("{{\"{}\":1}}", "n".repeat(room))),
    ];
    for (what, json) in headers {
        let bytes = with_header(&json, 1);
        let start = Instant::now();
        let refusal = check_header(&mut Cursor::new(&bytes)).expect_err(what).to_string();
        eprintln!("10 MB of {what}: {:?}, {}", start.elapsed(), &refusal[..refusal.len().min(160)]);
        assert!(refusal.len() < 900, "{refusal}");
    }
}
