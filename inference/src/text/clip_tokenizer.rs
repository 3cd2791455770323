//! CLIP's tokenizer: lower-cased byte pairs whose words end in `</w>`, between a token that begins and one that ends the
//! text. `transformers/models/clip/tokenization_clip.py` and `convert_slow_tokenizer.py`.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde::Deserialize;
use tokenizers::{
    AddedToken, NormalizerWrapper, Tokenizer as Inner,
    models::bpe::BPE,
    normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers, replace::ReplacePattern},
    pre_tokenizers::byte_level::ByteLevel,
    pre_tokenizers::sequence::Sequence,
    pre_tokenizers::split::{Split, SplitPattern},
    tokenizer::SplitDelimiterBehavior,
};

use crate::error::{Error, Result};

/// How a text is parted before byte pairs are merged.
const SPLIT: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// What byte pairs at the end of a word end in.
const END_OF_WORD: &str = "</w>";

/// Begins a text, where the folder does not say otherwise.
const BEGINNING: &str = "<|startoftext|>";

/// Ends a text, where the folder does not say otherwise; stands for unknown tokens and for padding as well.
const END: &str = "<|endoftext|>";

/// The longest text in tokens, where the folder does not say otherwise: what CLIP was trained with.
const LONGEST: usize = 77;

/// Turns prompts into token ids, all of one length.
#[derive(Clone)]
pub struct ClipTokenizer {
    inner: Arc<Inner>,
    beginning: u32,
    end: u32,
    padding: u32,
    longest: usize,
}

/// The settings of `tokenizer_config.json` and of `special_tokens_map.json` that matter here.
#[derive(Deserialize, Default)]
struct Settings {
    #[serde(default)]
    bos_token: Option<Token>,
    #[serde(default)]
    eos_token: Option<Token>,
    #[serde(default)]
    unk_token: Option<Token>,
    #[serde(default)]
    pad_token: Option<Token>,
    #[serde(default)]
    model_max_length: Option<f64>,
    #[serde(default)]
    added_tokens_decoder: BTreeMap<String, Token>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Full { content: String },
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Full { content: text } => text,
        }
    }
}

/// The names of the tokens that are not words.
struct Specials {
    beginning: String,
    end: String,
    unknown: String,
    padding: String,
}

impl ClipTokenizer {
    /// Reads a tokenizer folder: `tokenizer.json`, or `vocab.json` and `merges.txt`; `tokenizer_config.json` and
    /// `special_tokens_map.json`, which may be missing.
    ///
    /// # Errors
    /// When a file is missing or not understood, and when a special token is not in the vocabulary.
    pub fn load(folder: &Path) -> Result<Self> {
        let config: Settings = settings(folder, "tokenizer_config.json")?;
        let map: Settings = settings(folder, "special_tokens_map.json")?;
        let named = |token: fn(&Settings) -> &Option<Token>, otherwise: &str| {
            let stated = token(&config).as_ref().or_else(|| token(&map).as_ref());
            stated.map_or(otherwise, Token::text).to_owned()
        };
        let specials = Specials {
            beginning: named(|settings| &settings.bos_token, BEGINNING),
            end: named(|settings| &settings.eos_token, END),
            unknown: named(|settings| &settings.unk_token, END),
            padding: named(|settings| &settings.pad_token, END),
        };
        let inner = read_inner(folder, &config, &specials)?;
        let id = |token: &str| {
            inner.token_to_id(token).ok_or_else(|| {
                Error::Tokenizer(format!("The token `{token}` is not in the vocabulary of `{}`.", folder.display()))
            })
        };
        let (beginning, end, padding) = (id(&specials.beginning)?, id(&specials.end)?, id(&specials.padding)?);
        let longest = longest_of(&config);
        Ok(Self { inner: Arc::new(inner), beginning, end, padding, longest })
    }

    /// Entries of the vocabulary: every token id is smaller.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1)
    }

    /// Tokens that every text has, with those that begin and end it and the padding.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Encodes a text: cut so that what begins and ends it has room, and padded on the right.
    ///
    /// # Errors
    /// When the tokenizer fails on the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let words = self.words(text)?;
        Ok(self.chunk(&words[..words.len().min(self.longest - 2)]))
    }

    /// Encodes a text of any length, as one or several that are each as long as one may be: at least so many chunks, the last
    /// ones empty.
    ///
    /// # Errors
    /// When the tokenizer fails on the text.
    pub fn encode_in_chunks(&self, text: &str, at_least: usize) -> Result<Vec<Vec<u32>>> {
        let words = self.words(text)?;
        let mut chunks: Vec<_> = words.chunks(self.longest - 2).map(|words| self.chunk(words)).collect();
        while chunks.len() < at_least.max(1) {
            chunks.push(self.chunk(&[]));
        }
        Ok(chunks)
    }

    /// The tokens of a text alone.
    fn words(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode(text, false);
        let encoding = encoding.map_err(|error| Error::Tokenizer(format!("The text cannot be encoded: {error}.")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Tokens between what begins and ends a text, and padding.
    fn chunk(&self, words: &[u32]) -> Vec<u32> {
        let mut ids = vec![self.beginning];
        ids.extend(words);
        ids.push(self.end);
        ids.resize(self.longest, self.padding);
        ids
    }
}

/// Tokens of a prompt of a tokenizer folder, without loading the tokenizer.
///
/// # Errors
/// When its configuration is not understood.
pub fn longest(folder: &Path) -> Result<usize> {
    Ok(longest_of(&settings(folder, "tokenizer_config.json")?))
}

/// Absent limits are written as an absurdly large number.
fn longest_of(config: &Settings) -> usize {
    let stated = config.model_max_length.filter(|longest| (3.0..1e6).contains(longest));
    stated.map_or(LONGEST, |longest| longest as usize)
}

/// A file of settings, which may be missing.
fn settings(folder: &Path, name: &str) -> Result<Settings> {
    let file = folder.join(name);
    match std::fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| unreadable(folder, name, &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Settings::default()),
        Err(source) => Err(Error::Io { path: file, source }),
    }
}

fn read_inner(folder: &Path, config: &Settings, specials: &Specials) -> Result<Inner> {
    let whole = folder.join("tokenizer.json");
    if whole.exists() {
        let mut inner = Inner::from_file(&whole).map_err(|error| unreadable(folder, "tokenizer.json", &*error))?;
        // A saved tokenizer may carry the lengths of whoever saved it.
        inner
            .with_padding(None)
            .with_truncation(None)
            .map_err(|error| unreadable(folder, "tokenizer.json", &*error))?;
        return Ok(inner);
    }
    let (vocabulary, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
    if !vocabulary.exists() || !merges.exists() {
        return Err(Error::Tokenizer(format!(
            "`{}` holds no tokenizer: neither tokenizer.json nor vocab.json with merges.txt.",
            folder.display()
        )));
    }
    let model = BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy())
        .unk_token(specials.unknown.clone())
        .end_of_word_suffix(END_OF_WORD.to_owned())
        .build()
        .map_err(|error| unreadable(folder, "vocab.json", &*error))?;
    let mut inner = around(model)?;
    let mut added: Vec<(u32, &str)> =
        config.added_tokens_decoder.iter().filter_map(|(id, token)| Some((id.parse().ok()?, token.text()))).collect();
    added.sort_unstable();
    let named = [&specials.beginning, &specials.end, &specials.unknown, &specials.padding];
    let tokens = added.into_iter().map(|(_, text)| text).chain(named.into_iter().map(String::as_str));
    let tokens: Vec<AddedToken> = tokens.map(|text| AddedToken::from(text, true)).collect();
    inner.add_special_tokens(&tokens);
    Ok(inner)
}

/// A tokenizer of CLIP's kind around byte pairs.
fn around(model: BPE) -> Result<Inner> {
    let refused = |error: Box<dyn std::error::Error + Send + Sync>| Error::Tokenizer(error.to_string());
    let mut inner = Inner::new(model);
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ").map_err(refused)?;
    let normalizers: Vec<NormalizerWrapper> = vec![NFC.into(), spaces.into(), Lowercase.into()];
    inner.with_normalizer(Some(Normalizers::new(normalizers)));
    // Everything that matches is kept and everything else, which is white space, removed.
    let split =
        Split::new(SplitPattern::Regex(SPLIT.to_owned()), SplitDelimiterBehavior::Removed, true).map_err(refused)?;
    inner.with_pre_tokenizer(Some(Sequence::new(vec![
        split.into(),
        ByteLevel::default().add_prefix_space(false).into(),
    ])));
    Ok(inner)
}

fn unreadable(folder: &Path, file: &str, error: &(impl std::fmt::Display + ?Sized)) -> Error {
    Error::Tokenizer(format!("`{}` is not understood: {error}.", folder.join(file).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder in the published form whose tokenizer knows one word, pads with `!` and has texts of six tokens.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let vocabulary = serde_json::json!({
            "!": 0, "f": 1, "o": 2, "x": 3, "x</w>": 4, "fo": 5, "fox</w>": 6, "<|startoftext|>": 7, "<|endoftext|>": 8,
        });
        let config = serde_json::json!({
            "model_max_length": 6, "pad_token": "!",
            "bos_token": {"__type": "AddedToken", "content": "<|startoftext|>", "normalized": true},
        });
        std::fs::write(folder.path().join("vocab.json"), vocabulary.to_string()).unwrap();
        std::fs::write(folder.path().join("merges.txt"), "#version: 0.2\nf o\nfo x</w>\n").unwrap();
        std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        folder
    }

    #[test]
    fn texts_are_cut_and_padded_between_their_beginning_and_end() {
        let tokenizer = ClipTokenizer::load(folder().path()).unwrap();
        assert_eq!((tokenizer.longest(), tokenizer.vocabulary()), (6, 9));
        assert_eq!(tokenizer.encode("  FOX\n fox ").unwrap(), [7, 6, 6, 8, 0, 0]);
        assert_eq!(tokenizer.encode("").unwrap(), [7, 8, 0, 0, 0, 0]);
        assert_eq!(tokenizer.encode(&"fox ".repeat(9)).unwrap(), [7, 6, 6, 6, 6, 8]);
        let chunks = tokenizer.encode_in_chunks(&"fox ".repeat(5), 1).unwrap();
        assert_eq!(chunks, [[7, 6, 6, 6, 6, 8], [7, 6, 8, 0, 0, 0]]);
        assert_eq!(tokenizer.encode_in_chunks("", 2).unwrap(), [[7, 8, 0, 0, 0, 0]; 2]);
        // What is not known ends a text, and the end of a word has its own entry.
        assert_eq!(tokenizer.encode("狐 of").unwrap()[..2], [7, 8]);
    }

    #[test]
    fn a_folder_without_a_tokenizer_is_said() {
        let empty = tempfile::tempdir().unwrap();
        let error = ClipTokenizer::load(empty.path()).err().unwrap().to_string();
        assert!(error.contains("merges.txt"), "{error}");
    }
}
