//! A tokenizer folder: `tokenizer.json`, or `vocab.json` and `merges.txt`; `tokenizer_config.json`; the chat template.

use std::{path::Path, sync::Arc};

use minijinja::{Environment, context};
use serde::Deserialize;
use tokenizers::{
    AddedToken, Tokenizer as Inner,
    models::bpe::BPE,
    normalizers::NFC,
    pre_tokenizers::byte_level::ByteLevel,
    pre_tokenizers::sequence::Sequence,
    pre_tokenizers::split::{Split, SplitPattern},
    tokenizer::SplitDelimiterBehavior,
};

use crate::error::{Error, Result};

/// How Qwen's tokenizers part a text before byte pairs are merged.
pub const QWEN_SPLIT: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Turns prompts into token ids.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
    template: Option<String>,
    padding: u32,
    pads_left: bool,
    longest: Option<usize>,
    begin: Option<String>,
    end: Option<String>,
}

/// Token ids of a prompt, all of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids, padded.
    pub ids: Vec<u32>,
    /// Which of them are tokens and not padding.
    pub mask: Vec<bool>,
}

#[derive(Deserialize, Default)]
struct TokenizerConfig {
    #[serde(default)]
    chat_template: Option<String>,
    #[serde(default)]
    pad_token: Option<Token>,
    #[serde(default)]
    padding_side: Option<String>,
    #[serde(default)]
    truncation_side: Option<String>,
    #[serde(default)]
    model_max_length: Option<f64>,
    #[serde(default)]
    bos_token: Option<Token>,
    #[serde(default)]
    eos_token: Option<Token>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Full { content: String },
}

impl Token {
    fn text(self) -> String {
        match self {
            Self::Text(text) | Self::Full { content: text } => text,
        }
    }
}

impl TokenizerConfig {
    /// Absent limits are written as an absurdly large number.
    fn longest(&self) -> Option<usize> {
        self.model_max_length.filter(|longest| *longest < 1e6).map(|longest| longest as usize)
    }
}

impl Tokenizer {
    /// Reads a tokenizer folder.
    ///
    /// # Errors
    /// When a file is missing or not understood.
    pub fn load(folder: &Path) -> Result<Self> {
        let config = read_config(folder)?;
        let (pads_left, longest) = (config.padding_side.as_deref() == Some("left"), config.longest());
        if config.truncation_side.is_some_and(|side| side != "right") {
            return Err(Error::Tokenizer(format!(
                "`truncation_side` in `{}` is not `right`; prompts are cut at their end.",
                folder.join("tokenizer_config.json").display()
            )));
        }
        let template = std::fs::read_to_string(folder.join("chat_template.jinja")).ok().or(config.chat_template);
        let mut inner = read_inner(folder)?;
        // A saved tokenizer may carry the lengths of whoever saved it; here the caller says them.
        inner
            .with_padding(None)
            .with_truncation(None)
            .map_err(|error| unreadable(folder, "tokenizer.json", &*error))?;
        let padding = match config.pad_token.map(Token::text) {
            Some(text) => inner.token_to_id(&text).ok_or_else(|| {
                Error::Tokenizer(format!(
                    "The padding token `{text}` is not in the vocabulary of `{}`.",
                    folder.display()
                ))
            })?,
            None => 0,
        };
        let (begin, end) = (config.bos_token.map(Token::text), config.eos_token.map(Token::text));
        Ok(Self { inner: Arc::new(inner), template, padding, pads_left, longest, begin, end })
    }

    /// Entries of the vocabulary: every token id is smaller.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1)
    }

    /// The longest text that the folder allows, in tokens.
    pub fn longest(&self) -> Option<usize> {
        self.longest
    }

    /// Encodes a prompt as the user's message of a chat, cut and padded to a length.
    ///
    /// # Errors
    /// When the chat template is missing or fails.
    pub fn encode_chat(&self, prompt: &str, length: usize) -> Result<Encoded> {
        self.encode(&self.chat(prompt)?, length)
    }

    /// Encodes a prompt as the user's message of a chat in which the system said something before, cut and padded to a
    /// length. Messages are lists of parts, as processors of pictures and text have them.
    ///
    /// # Errors
    /// When the chat template is missing or fails.
    pub fn encode_instructed(&self, system: &str, prompt: &str, length: usize) -> Result<Encoded> {
        let text = self.instructed(system, prompt)?;
        // As the reference does: a template that begins with the token of the beginning has put the special tokens itself.
        let has_beginning = self.begin.as_deref().is_some_and(|begin| text.starts_with(begin));
        self.encode_with(&text, length, !has_beginning)
    }

    fn chat(&self, prompt: &str) -> Result<String> {
        let messages = [context! { role => "user", content => prompt }];
        self.render(context! { messages, add_generation_prompt => true, enable_thinking => false })
    }

    fn instructed(&self, system: &str, prompt: &str) -> Result<String> {
        let message = |role: &str, text: &str| {
            let parts = [context! { type => "text", text => text }];
            context! { role => role, content => parts }
        };
        let messages = [message("system", system), message("user", prompt)];
        self.render(context! {
            messages,
            add_generation_prompt => false,
            bos_token => self.begin.as_deref().unwrap_or_default(),
            eos_token => self.end.as_deref().unwrap_or_default(),
        })
    }

    /// Fills in the chat template.
    fn render(&self, values: minijinja::Value) -> Result<String> {
        let template = self.template.as_deref().ok_or_else(|| {
            Error::Tokenizer("The tokenizer folder has no chat template: neither chat_template.jinja nor one in tokenizer_config.json.".to_owned())
        })?;
        let mut environment = Environment::new();
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.add_function("raise_exception", |message: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, message))
        });
        // Templates put the date into the system message that they have themselves, which ours takes the place of.
        environment.add_function("strftime_now", |_format: String| String::new());
        environment
            .render_str(template, values)
            .map_err(|error| Error::Tokenizer(format!("The chat template fails: {error}.")))
    }

    /// Encodes a text, cut and padded to a length.
    ///
    /// # Errors
    /// When the tokenizer fails on the text.
    pub fn encode(&self, text: &str, length: usize) -> Result<Encoded> {
        self.encode_with(text, length, true)
    }

    fn encode_with(&self, text: &str, length: usize, with_special_tokens: bool) -> Result<Encoded> {
        let encoding = self
            .inner
            .encode(text, with_special_tokens)
            .map_err(|error| Error::Tokenizer(format!("The text cannot be encoded: {error}.")))?;
        let mut ids = encoding.get_ids().to_vec();
        ids.truncate(length);
        let mut mask = vec![true; ids.len()];
        let missing = length - ids.len();
        if self.pads_left {
            ids.splice(0..0, std::iter::repeat_n(self.padding, missing));
            mask.splice(0..0, std::iter::repeat_n(false, missing));
        } else {
            ids.extend(std::iter::repeat_n(self.padding, missing));
            mask.extend(std::iter::repeat_n(false, missing));
        }
        Ok(Encoded { ids, mask })
    }
}

/// The longest text that a tokenizer folder allows, in tokens, without loading the tokenizer.
///
/// # Errors
/// When its configuration is not understood.
pub fn longest(folder: &Path) -> Result<Option<usize>> {
    Ok(read_config(folder)?.longest())
}

/// `tokenizer_config.json`, which may be missing.
fn read_config(folder: &Path) -> Result<TokenizerConfig> {
    match std::fs::read_to_string(folder.join("tokenizer_config.json")) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| unreadable(folder, "tokenizer_config.json", &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(TokenizerConfig::default()),
        Err(source) => Err(Error::Io { path: folder.join("tokenizer_config.json"), source }),
    }
}

fn read_inner(folder: &Path) -> Result<Inner> {
    let whole = folder.join("tokenizer.json");
    if whole.exists() {
        return Inner::from_file(&whole).map_err(|error| unreadable(folder, "tokenizer.json", &*error));
    }
    let (vocabulary, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
    if !vocabulary.exists() || !merges.exists() {
        return Err(Error::Tokenizer(format!(
            "`{}` holds no tokenizer: neither tokenizer.json nor vocab.json with merges.txt.",
            folder.display()
        )));
    }
    let model = BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy())
        .build()
        .map_err(|error| unreadable(folder, "vocab.json", &*error))?;
    let mut inner = qwen(model)?;
    add_special_tokens(folder, &mut inner)?;
    Ok(inner)
}

/// A tokenizer of Qwen's kind around byte pairs.
///
/// # Errors
/// When the split pattern is refused, which it is not.
pub fn qwen(model: BPE) -> Result<Inner> {
    let mut inner = Inner::new(model);
    inner.with_normalizer(Some(NFC));
    let split = Split::new(SplitPattern::Regex(QWEN_SPLIT.to_owned()), SplitDelimiterBehavior::Isolated, false)
        .map_err(|error| Error::Tokenizer(error.to_string()))?;
    let bytes = ByteLevel::new(false, false, false);
    inner.with_pre_tokenizer(Some(Sequence::new(vec![split.into(), bytes.into()])));
    inner.with_decoder(Some(ByteLevel::default()));
    Ok(inner)
}

/// Tokens that `tokenizer_config.json` adds to those of `vocab.json`, in the order of their ids.
fn add_special_tokens(folder: &Path, inner: &mut Inner) -> Result<()> {
    #[derive(Deserialize)]
    struct Added {
        content: String,
        #[serde(default)]
        special: bool,
    }
    #[derive(Deserialize, Default)]
    struct Config {
        #[serde(default)]
        added_tokens_decoder: std::collections::BTreeMap<String, Added>,
    }
    let Ok(text) = std::fs::read_to_string(folder.join("tokenizer_config.json")) else { return Ok(()) };
    let config: Config =
        serde_json::from_str(&text).map_err(|error| unreadable(folder, "tokenizer_config.json", &error))?;
    let mut added: Vec<(u32, Added)> =
        config.added_tokens_decoder.into_iter().filter_map(|(id, token)| Some((id.parse().ok()?, token))).collect();
    added.sort_by_key(|(id, _)| *id);
    for (_, token) in added {
        let special = token.special;
        inner.add_tokens(&[AddedToken::from(token.content, special)]);
    }
    Ok(())
}

fn unreadable(folder: &Path, file: &str, error: &(impl std::fmt::Display + ?Sized)) -> Error {
    Error::Tokenizer(format!("`{}` is not understood: {error}.", folder.join(file).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What published templates are made of: white space control, a namespace, a list turned round, methods of strings, and
    /// a filter in a branch that is not taken.
    const TEMPLATE: &str = r#"{%- if tools %}
    {%- for tool in tools %}{{- tool | tojson }}{%- endfor %}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(searching=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not message.content.startswith('<tool>') %}
        {%- set ns.searching = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "user" %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- message.content.split('</think>')[-1].lstrip('\n') }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}"#;

    fn tokenizer(template: Option<&str>, pads_left: bool) -> Tokenizer {
        let letters = ('a'..='z').zip(0u32..).map(|(letter, id)| (letter.to_string(), id));
        let vocabulary = letters.chain([("Ġ".to_owned(), 26)]).collect();
        let model = BPE::new(vocabulary, Vec::new());
        Tokenizer {
            inner: Arc::new(qwen(model).unwrap()),
            template: template.map(str::to_owned),
            padding: 99,
            pads_left,
            longest: None,
            begin: Some("<s>".to_owned()),
            end: Some("</s>".to_owned()),
        }
    }

    #[test]
    fn published_templates_render() {
        let rendered = tokenizer(Some(TEMPLATE), false).chat("a fox & <b>\"snow\"</b>").unwrap();
        assert_eq!(
            rendered,
            "<|im_start|>user\na fox & <b>\"snow\"</b><|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
        );
    }

    /// As Mistral's: the date in a message that is not used, messages in parts, and a complaint about others.
    const INSTRUCTED: &str = r#"{%- set today = strftime_now("%Y-%m-%d") %}
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'][0]['text'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set system_message = 'Today is ' + today %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- '[SYSTEM_PROMPT]' + system_message + '[/SYSTEM_PROMPT]' }}
{%- for message in loop_messages %}
    {%- if message['role'] == 'user' %}
        {{- '[INST]' }}
        {%- for block in message['content'] %}
            {%- if block['type'] == 'text' %}
                {{- block['text'] }}
            {%- else %}
                {{- raise_exception('Only text is supported') }}
            {%- endif %}
        {%- endfor %}
        {{- '[/INST]' }}
    {%- else %}
        {{- raise_exception('Only user messages are supported') }}
    {%- endif %}
{%- endfor %}"#;

    #[test]
    fn a_template_with_a_system_message_renders_and_may_complain() {
        let rendered = tokenizer(Some(INSTRUCTED), true).instructed("Look <closely>.", "a fox").unwrap();
        assert_eq!(rendered, "<s>[SYSTEM_PROMPT]Look <closely>.[/SYSTEM_PROMPT][INST]a fox[/INST]");
        let complaint = tokenizer(Some("{{ raise_exception('Say more') }}"), true).instructed("", "").unwrap_err();
        assert!(complaint.to_string().contains("Say more"), "{complaint}");
    }

    #[test]
    fn a_missing_template_is_said() {
        let error = tokenizer(None, false).encode_chat("a fox", 8).unwrap_err();
        assert!(error.to_string().contains("chat template"), "{error}");
    }

    #[test]
    fn prompts_are_cut_and_padded_to_one_length() {
        let encoded = tokenizer(None, false).encode("a fox", 8).unwrap();
        assert_eq!(encoded.ids, [0, 26, 5, 14, 23, 99, 99, 99]);
        assert_eq!(encoded.mask, [true, true, true, true, true, false, false, false]);
        let left = tokenizer(None, true).encode("a fox", 7).unwrap();
        assert_eq!(left.ids, [99, 99, 0, 26, 5, 14, 23]);
        assert_eq!(left.mask, [false, false, true, true, true, true, true]);
        let cut = tokenizer(None, false).encode("a fox", 3).unwrap();
        assert_eq!((cut.ids, cut.mask), (vec![0, 26, 5], vec![true; 3]));
    }
}
