//! The starter model's tokenizer: byte pairs merged on the captions of drawn scenes. Words that no caption holds are parted
//! into pieces, at worst bytes.

use std::path::Path;

use tokenizers::{
    AddedToken, Tokenizer,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainerBuilder},
    },
    pre_tokenizers::byte_level::ByteLevel,
};

use super::scenes::scene;
use crate::{
    error::{Error, Result},
    text::tokenizer::qwen,
};

/// Entries of the vocabulary.
pub const VOCABULARY: usize = 1536;

/// Tokens of a prompt.
pub const PROMPT_LENGTH: usize = 24;

/// Captions that it is trained on.
const CAPTIONS: u64 = 20_000;

/// Stands for nothing.
const PADDING: &str = "<|endoftext|>";

/// Words that people write and captions do not hold: with them a prompt takes fewer pieces.
const MORE_WORDS: &str = include_str!("more_words.txt");

/// Trains the tokenizer and writes it as a tokenizer folder.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let failed = |error: tokenizers::Error| Error::Tokenizer(format!("The tokenizer could not be trained: {error}."));
    let mut tokenizer: Tokenizer = qwen(BPE::default())?;
    let mut trainer: TrainerWrapper = BpeTrainerBuilder::new()
        .vocab_size(VOCABULARY - 1)
        .min_frequency(1)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build()
        .into();
    // Drawing is fast at the smallest size; only the words are wanted.
    let captions = (0..CAPTIONS).map(|seed| scene(seed, 8).caption);
    let words = MORE_WORDS.lines().map(|word| format!(" {word}"));
    tokenizer.train(&mut trainer, captions.chain(words)).map_err(failed)?;
    tokenizer.add_special_tokens(&[AddedToken::from(PADDING, true)]);
    tokenizer.save(folder.join("tokenizer.json"), false).map_err(failed)?;
    let config = serde_json::json!({
        "tokenizer_class": "Qwen2TokenizerFast",
        "model_max_length": PROMPT_LENGTH,
        "pad_token": PADDING,
        "eos_token": PADDING,
        "padding_side": "right",
        "chat_template": "{{ messages[0]['content'] }}",
    });
    let file = folder.join("tokenizer_config.json");
    std::fs::write(&file, format!("{config:#}\n")).map_err(Error::io(&file))
}
