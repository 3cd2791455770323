//! Reads and checks a header.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use safetensors::Dtype;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor, value},
};

use crate::error::{Error, Result};

/// The largest header that is read, in bytes.
pub const LARGEST_HEADER: u64 = 10 * 1024 * 1024;

/// The most tensors that a file may hold. Published checkpoints and LoRAs have some thousands.
const MOST_TENSORS: usize = 16_384;

/// The most axes that a tensor may have.
const MOST_AXES: usize = 16;

/// The most entries that metadata may have. Trainers write some hundred.
const MOST_TEXTS: usize = 16_384;

/// The key of the metadata among the tensors' names.
const METADATA: &str = "__metadata__";

/// What a header says of a tensor. It was checked: the bytes lie in the file, and are as many as shape and type take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// Number format.
    pub dtype: Dtype,
    /// Shape; empty for a single number.
    pub shape: Vec<usize>,
    /// First byte, counted from the end of the header.
    pub start: u64,
    /// Byte behind the last, counted from the end of the header.
    pub end: u64,
}

/// A header that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Header {
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorEntry>,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
    /// Bytes before the tensors: the eight of the length, and the JSON.
    pub length: u64,
}

/// Reads and checks the header of a file.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, otherwise those of [`check_header`].
pub fn read_header(path: &Path) -> Result<Header> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    check_header(&mut file)
}

/// Reads and checks a header; afterwards the file stands at its first tensor.
///
/// Refused by name are: a file shorter than it says; a header over [`LARGEST_HEADER`]; text that is no UTF-8 or no
/// JSON object of the expected form; a name, a field or a metadata key that stands there twice; metadata that is no
/// text; unknown number formats; bytes that do not fit shape and format; tensors outside of the file or over one
/// another; bytes that belong to no tensor, between tensors or at the end.
///
/// # Errors
/// [`Error::Weights`] with one sentence that says what is wrong.
pub fn check_header(file: &mut (impl Read + Seek)) -> Result<Header> {
    read(file).map_err(|trouble| Error::Weights(format!("This is no intact safetensors file: {trouble}.")))
}

/// As [`check_header`]; the failure is the rest of a sentence.
fn read(file: &mut (impl Read + Seek)) -> Result<Header, String> {
    let unreadable = |error: std::io::Error| format!("it cannot be read ({})", shown(&error.to_string()));
    let size = file.seek(SeekFrom::End(0)).map_err(unreadable)?;
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    if size < 8 {
        return Err(format!("it has {size} bytes, and the length of its header alone takes 8"));
    }
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix).map_err(unreadable)?;
    let length = u64::from_le_bytes(prefix);
    if length > LARGEST_HEADER || length > size - 8 {
        return Err(too_long(prefix, length, size));
    }
    let mut json = vec![0; length as usize];
    file.read_exact(&mut json).map_err(unreadable)?;
    let text = std::str::from_utf8(&json).map_err(|_| "its header is not UTF-8".to_owned())?;
    if !text.starts_with('{') {
        return Err("its header does not begin with a brace".to_owned());
    }
    let raw: RawHeader = serde_json::from_str(text)
        .map_err(|error| format!("its header is not understood: {}", plain(&error.to_string(), 300)))?;
    let body = size - 8 - length;
    let mut tensors = BTreeMap::new();
    for (name, entry) in raw.tensors {
        let entry = entry.check(&name, body)?;
        tensors.insert(name, entry);
    }
    check_cover(&tensors, body)?;
    Ok(Header { tensors, metadata: raw.metadata, length: 8 + length })
}

/// Why a claimed length cannot be; other formats that people take for this one are called by their names.
fn too_long(prefix: [u8; 8], length: u64, size: u64) -> String {
    if prefix[0] == 0x80 && (2..=5).contains(&prefix[1]) || prefix.starts_with(b"PK\x03\x04") {
        return "it is a pickle file, which is never opened because it can run programs; save it as .safetensors"
            .to_owned();
    }
    if prefix.starts_with(b"GGUF") {
        return "it is a GGUF file; save it as .safetensors".to_owned();
    }
    if prefix.starts_with(b"version ") {
        return "it is a Git LFS pointer, and the file itself was not downloaded".to_owned();
    }
    if prefix[0] == b'<' {
        return "it is a web page, and the file itself was not downloaded".to_owned();
    }
    if length > size - 8 && length <= LARGEST_HEADER {
        return format!("its header claims {length} bytes and the file has {size} in all, so it was cut off");
    }
    format!("its header claims {length} bytes, and at most {LARGEST_HEADER} are read")
}

/// Every byte after the header belongs to exactly one tensor.
fn check_cover(tensors: &BTreeMap<String, TensorEntry>, body: u64) -> Result<(), String> {
    let mut order: Vec<(&String, &TensorEntry)> = tensors.iter().collect();
    order.sort_by_key(|(_, entry)| (entry.start, entry.end));
    let mut reached = 0;
    let mut before = "";
    for (name, entry) in order {
        if entry.start < reached {
            return Err(format!("the tensors `{}` and `{}` overlap", shown(before), shown(name)));
        }
        if entry.start > reached {
            return Err(format!(
                "{} bytes before the tensor `{}` belong to no tensor",
                entry.start - reached,
                shown(name)
            ));
        }
        (reached, before) = (entry.end, name);
    }
    if reached < body {
        return Err(format!("{} bytes at its end belong to no tensor", body - reached));
    }
    Ok(())
}

/// A name in the file as a message shows it: in a damaged header it may be long and strange.
fn shown(name: &str) -> String {
    plain(name, 80)
}

/// The first characters of a text, without those that move the cursor.
fn plain(text: &str, longest: usize) -> String {
    let mut plain: String = text.chars().take(longest).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(longest).is_some() {
        plain.push('…');
    }
    plain
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    dtype: String,
    #[serde(deserialize_with = "sizes")]
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The sizes of a shape, given up where there are too many.
fn sizes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    struct Sizes;
    impl<'de> Visitor<'de> for Sizes {
        type Value = Vec<u64>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of sizes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u64>, A::Error> {
            let mut sizes = Vec::new();
            while let Some(size) = list.next_element()? {
                if sizes.len() == MOST_AXES {
                    return Err(A::Error::custom(format!("more than {MOST_AXES} axes")));
                }
                sizes.push(size);
            }
            Ok(sizes)
        }
    }
    deserializer.deserialize_seq(Sizes)
}

impl RawEntry {
    fn check(self, name: &str, body: u64) -> Result<TensorEntry, String> {
        let name = shown(name);
        let dtype = Dtype::deserialize(self.dtype.as_str().into_deserializer()).map_err(|_: value::Error| {
            format!("the tensor `{name}` has the unknown number format `{}`", shown(&self.dtype))
        })?;
        let (start, end) = self.data_offsets;
        if start > end || end > body {
            return Err(format!("the tensor `{name}` lies at {start} to {end}, and {body} bytes follow the header"));
        }
        let elements = self.shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size));
        let bits = elements.and_then(|elements| elements.checked_mul(dtype.bitsize() as u64));
        if bits.is_none_or(|bits| bits % 8 != 0 || bits / 8 != end - start) {
            let bytes = end - start;
            return Err(format!(
                "the tensor `{name}` has {bytes} bytes, which do not fit {dtype} of shape {:?}",
                self.shape
            ));
        }
        let shape = self.shape.into_iter().map(usize::try_from).collect::<Result<_, _>>();
        let shape = shape.map_err(|_| format!("the tensor `{name}` is larger than this machine can address"))?;
        Ok(TensorEntry { dtype, shape, start, end })
    }
}

/// The header's JSON. What stands there twice is an error here; serde_json itself would keep the last silently.
struct RawHeader {
    tensors: Vec<(String, RawEntry)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawHeader;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let mut header = RawHeader { tensors: Vec::new(), metadata: BTreeMap::new() };
                let mut seen = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    let within = |error| A::Error::custom(format!("`{}`: {error}", shown(&name)));
                    if seen.contains(&name) {
                        return Err(A::Error::custom(format!("the name `{}` stands there twice", shown(&name))));
                    }
                    if name == METADATA {
                        let Metadata(metadata) = map.next_value().map_err(within)?;
                        header.metadata = metadata;
                    } else {
                        let entry = map.next_value().map_err(within)?;
                        header.tensors.push((name.clone(), entry));
                    }
                    if header.tensors.len() > MOST_TENSORS {
                        return Err(A::Error::custom(format!("it names more than {MOST_TENSORS} tensors")));
                    }
                    seen.insert(name);
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Metadata: texts, each key once.
struct Metadata(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Metadata;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((key, text)) = map.next_entry::<String, String>()? {
                    if texts.contains_key(&key) {
                        return Err(A::Error::custom(format!("the key `{}` stands there twice", shown(&key))));
                    }
                    if texts.len() == MOST_TEXTS {
                        return Err(A::Error::custom(format!("more than {MOST_TEXTS} keys")));
                    }
                    texts.insert(key, text);
                }
                Ok(Metadata(texts))
            }
        }
        deserializer.deserialize_map(Texts)
    }
}
