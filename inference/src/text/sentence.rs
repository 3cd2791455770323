//! Sentence encoders: BERT's encoder (Devlin et al., "BERT", 2019) whose states, averaged over the words, say what a text means
//! (Reimers and Gurevych, "Sentence-BERT", 2019). The layout is that of the MiniLM models: `transformers`' `BertModel` with
//! `sentence-transformers`' pooling.

use std::{collections::BTreeMap, path::Path};

use burn::{
    backend::Flex,
    module::{Initializer, Module},
    tensor::{Int, Tensor, TensorData, activation::gelu, backend::Backend},
};
use serde::{Deserialize, Serialize};
use tokenizers::{Tokenizer, TruncationParams};

use super::{
    clip::Table,
    config::{check_keys, refuse},
};
use crate::{
    error::{Error, Result},
    nn::{
        attention::{Bias, UNSEEN, multi_head_attention},
        linear::Linear,
        norm::LayerNorm,
    },
    weights::{folder, module_file},
};

/// `config.json`. Keys that say nothing about the result are passed over; any other is refused, because it may change it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentenceConfig {
    /// `bert`.
    pub model_type: String,
    /// Size of the vocabulary.
    pub vocab_size: usize,
    /// Width of the stream, and of what comes out.
    pub hidden_size: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// The longest text, in tokens.
    pub max_position_embeddings: usize,
    /// Kinds of segments; a sentence is of the first.
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    /// `gelu`.
    #[serde(default = "gelu_name")]
    pub hidden_act: String,
    /// Added to variances.
    #[serde(default = "epsilon")]
    pub layer_norm_eps: f64,
    /// `absolute`.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
    /// Every other key.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

const WITHOUT_EFFECT: &[&str] = &[
    "_name_or_path",
    "architectures",
    "attention_probs_dropout_prob",
    "bos_token_id",
    "classifier_dropout",
    "dtype",
    "eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout_prob",
    "initializer_range",
    "add_cross_attention",
    "is_decoder",
    "pad_token_id",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

fn two() -> usize {
    2
}

fn gelu_name() -> String {
    "gelu".to_owned()
}

fn epsilon() -> f64 {
    1e-12
}

fn absolute() -> String {
    "absolute".to_owned()
}

impl SentenceConfig {
    /// Refuses what would change the result and is not implemented.
    ///
    /// # Errors
    /// [`Error::Config`] with the key's name.
    pub fn check(&self) -> Result<()> {
        for (key, value, only) in [
            ("model_type", &self.model_type, "bert"),
            ("hidden_act", &self.hidden_act, "gelu"),
            ("position_embedding_type", &self.position_embedding_type, "absolute"),
        ] {
            if value != only {
                return refuse(format!("`{key}` is `{value}`, which is not supported; `{only}` is"));
            }
        }
        check_keys(&self.rest, WITHOUT_EFFECT)?;
        let is_decoder = self.rest.get("is_decoder").and_then(serde_json::Value::as_bool).unwrap_or_default();
        if is_decoder {
            return refuse("`is_decoder` is true; an encoder is needed".to_owned());
        }
        if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return refuse("`hidden_size` must be a multiple of `num_attention_heads`".to_owned());
        }
        if self.num_hidden_layers == 0 || self.vocab_size == 0 || self.max_position_embeddings < 2 {
            return refuse("sizes must not be zero".to_owned());
        }
        Ok(())
    }
}

/// `1_Pooling/config.json`, of which the mean of the words' states is supported, and the state of the first token.
#[derive(Default, Deserialize)]
struct Pooling {
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

/// Where the stream begins.
#[derive(Module, Debug)]
struct Embeddings<B: Backend> {
    word_embeddings: Table<B>,
    position_embeddings: Table<B>,
    token_type_embeddings: Table<B>,
    layer_norm: LayerNorm<B>,
}

/// Attention with its output and the norm after it.
#[derive(Module, Debug)]
struct Attention<B: Backend> {
    query: Linear<B>,
    key: Linear<B>,
    value: Linear<B>,
    output: Output<B>,
    heads: usize,
}

/// A projection back to the stream, and the norm after it was added.
#[derive(Module, Debug)]
struct Output<B: Backend> {
    dense: Linear<B>,
    layer_norm: LayerNorm<B>,
}

impl<B: Backend> Output<B> {
    fn new(inputs: usize, config: &SentenceConfig, device: &B::Device) -> Self {
        Self {
            dense: Linear::new(inputs, config.hidden_size, true, device),
            layer_norm: LayerNorm::new(config.hidden_size, config.layer_norm_eps, device),
        }
    }

    fn forward(&self, input: Tensor<B, 3>, stream: Tensor<B, 3>) -> Tensor<B, 3> {
        self.layer_norm.forward(self.dense.forward(input) + stream)
    }
}

/// To the wider stream.
#[derive(Module, Debug)]
struct Intermediate<B: Backend> {
    dense: Linear<B>,
}

/// A layer, with its norms after its parts.
#[derive(Module, Debug)]
struct Layer<B: Backend> {
    attention: Attention<B>,
    intermediate: Intermediate<B>,
    output: Output<B>,
}

impl<B: Backend> Layer<B> {
    fn new(config: &SentenceConfig, device: &B::Device) -> Self {
        let width = config.hidden_size;
        let linear = || Linear::new(width, width, true, device);
        Self {
            attention: Attention {
                query: linear(),
                key: linear(),
                value: linear(),
                output: Output::new(width, config, device),
                heads: config.num_attention_heads,
            },
            intermediate: Intermediate { dense: Linear::new(width, config.intermediate_size, true, device) },
            output: Output::new(config.intermediate_size, config, device),
        }
    }

    fn forward(&self, stream: Tensor<B, 3>, bias: &Bias<B>) -> Tensor<B, 3> {
        let attention = &self.attention;
        let [query, key, value] =
            [&attention.query, &attention.key, &attention.value].map(|layer| layer.forward(stream.clone()));
        let mixed = multi_head_attention(query, key, value, attention.heads, Some(bias));
        let stream = attention.output.forward(mixed, stream);
        self.output.forward(gelu(self.intermediate.dense.forward(stream.clone())), stream)
    }
}

/// The layers under the published name `encoder`.
#[derive(Module, Debug)]
struct Encoder<B: Backend> {
    layer: Vec<Layer<B>>,
}

/// BERT's encoder.
#[derive(Module, Debug)]
struct Bert<B: Backend> {
    embeddings: Embeddings<B>,
    encoder: Encoder<B>,
}

impl<B: Backend> Bert<B> {
    fn new(config: &SentenceConfig, device: &B::Device) -> Self {
        let draw = Initializer::Normal { mean: 0.0, std: 0.02 };
        let table = |entries: usize| Table { weight: draw.init([entries, config.hidden_size], device) };
        Self {
            embeddings: Embeddings {
                word_embeddings: table(config.vocab_size),
                position_embeddings: table(config.max_position_embeddings),
                token_type_embeddings: table(config.type_vocab_size),
                layer_norm: LayerNorm::new(config.hidden_size, config.layer_norm_eps, device),
            },
            encoder: Encoder { layer: (0..config.num_hidden_layers).map(|_| Layer::new(config, device)).collect() },
        }
    }

    /// Token ids, padded to one length, with how many of each are the text's → `[batch, tokens, hidden]`.
    fn forward(&self, texts: &[Vec<u32>], lengths: &[usize], device: &B::Device) -> Tensor<B, 3> {
        let (batch, tokens) = (texts.len(), texts.first().map_or(0, Vec::len));
        let ids: Vec<i32> = texts.iter().flatten().map(|id| *id as i32).collect();
        let ids = Tensor::<B, 1, Int>::from_data(TensorData::new(ids, [batch * tokens]), device);
        let embedded = self.embeddings.word_embeddings.weight.val().select(0, ids);
        let width = embedded.dims()[1];
        let places = self.embeddings.position_embeddings.weight.val().narrow(0, 0, tokens);
        let segment = self.embeddings.token_type_embeddings.weight.val().narrow(0, 0, 1);
        let sum = embedded.reshape([batch, tokens, width]) + (places + segment).unsqueeze();
        let mut stream = self.embeddings.layer_norm.forward(sum);
        let seen = |length: usize| (0..tokens).map(move |key| if key < length { 0.0f32 } else { UNSEEN });
        let bias = lengths.iter().flat_map(|length| (0..tokens).flat_map(move |_| seen(*length)));
        let bias = Bias::new(bias.collect(), [batch, tokens, tokens], device);
        for layer in &self.encoder.layer {
            stream = layer.forward(stream, &bias);
        }
        stream
    }
}

/// Says what texts mean, on the processor.
pub struct SentenceEncoder {
    tokenizer: Tokenizer,
    bert: Bert<Flex>,
    takes_first: bool,
    width: usize,
}

/// The longest text that is read, in tokens, where the tokenizer does not say less. MiniLM was trained with fewer.
const LONGEST: usize = 256;

impl SentenceEncoder {
    /// Loads a folder with `config.json`, `model.safetensors` and `tokenizer.json`, and `1_Pooling/config.json` if there is one.
    ///
    /// # Errors
    /// When a file is missing, damaged, or asks for something that is not supported.
    pub fn load(folder: &Path) -> Result<Self> {
        let config: SentenceConfig = folder::read_json(&folder.join("config.json"))?;
        config.check()?;
        let pooling = folder.join("1_Pooling/config.json");
        let takes_first = pooling.exists() && takes_first(&folder::read_json(&pooling)?)?;
        let file = folder.join("tokenizer.json");
        let unreadable = |error| Error::Config(format!("`{}` is not understood: {error}.", file.display()));
        let mut tokenizer = Tokenizer::from_file(&file).map_err(unreadable)?;
        let stated = tokenizer.get_truncation().map_or(LONGEST, |truncation| truncation.max_length);
        let longest = stated.min(config.max_position_embeddings);
        tokenizer.with_padding(None);
        let truncation = TruncationParams { max_length: longest, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(unreadable)?;
        let device = Default::default();
        let bert = Bert::<Flex>::new(&config, &device);
        let bert = module_file::load::<Flex, _>(bert, &folder::weight_files(folder)?, renamed)?;
        Ok(Self { tokenizer, bert, takes_first, width: config.hidden_size })
    }

    /// Numbers of a meaning.
    pub fn width(&self) -> usize {
        self.width
    }

    /// What texts mean: a vector of length one each. The cosine of two is the higher, the nearer their meanings are.
    ///
    /// # Errors
    /// When a text has no form in the vocabulary.
    pub fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let encoded = self.tokenizer.encode_batch(texts.to_vec(), true);
        let encoded = encoded.map_err(|error| Error::Input(format!("A text cannot be tokenized: {error}.")))?;
        let mut ids: Vec<Vec<u32>> = encoded.iter().map(|one| one.get_ids().to_vec()).collect();
        let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
        let longest = lengths.iter().copied().max().unwrap_or_default();
        ids.iter_mut().for_each(|ids| ids.resize(longest, 0));
        let states = self.bert.forward(&ids, &lengths, &Default::default());
        let states: Vec<f32> = states.into_data().to_vec().expect("invariant: the states are of 32 bits");
        let of_text = states.chunks_exact(longest * self.width).zip(&lengths);
        Ok(of_text.map(|(states, length)| normalised(self.pooled(states, *length))).collect())
    }

    fn pooled(&self, states: &[f32], length: usize) -> Vec<f32> {
        if self.takes_first {
            return states[..self.width].to_vec();
        }
        let mut sum = vec![0.0; self.width];
        for state in states.chunks_exact(self.width).take(length) {
            sum.iter_mut().zip(state).for_each(|(sum, value)| *sum += value);
        }
        sum.into_iter().map(|sum| sum / length.max(1) as f32).collect()
    }
}

/// Whether the state of the first token is taken, and not the mean.
fn takes_first(pooling: &Pooling) -> Result<bool> {
    let is_on = |value: &serde_json::Value| value.as_bool() == Some(true);
    let other = pooling.rest.iter().find(|(key, value)| key.starts_with("pooling_mode_") && is_on(value));
    let refused = |sentence: String| refuse(sentence).map(|()| false);
    match (pooling.pooling_mode_mean_tokens, pooling.pooling_mode_cls_token, other) {
        (true, false, None) => Ok(false),
        (false, true, None) => Ok(true),
        (_, _, Some((key, _))) => {
            refused(format!("`{key}` is not supported; the mean of the tokens and the first token are"))
        }
        _ => refused(
            "`1_Pooling/config.json` must name the mean of the tokens or the first token, and not both".to_owned(),
        ),
    }
}

fn normalised(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
    vector.into_iter().map(|value| value / length).collect()
}

/// The names of this module's parameters. The pooler and heads of other tasks are not used.
fn renamed(name: &str) -> Option<String> {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    let is_unused = name.starts_with("pooler.") || name.starts_with("cls.") || name.ends_with("position_ids");
    (!is_unused).then(|| name.replace("LayerNorm", "layer_norm").replace("attention.self.", "attention."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Case {
        texts: Vec<String>,
        embeddings: Vec<Vec<f32>>,
    }

    fn fixture() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sentence")
    }

    /// The reference's embeddings of texts of every kind, one by one and together.
    #[test]
    fn meanings_are_the_references() {
        let case: Case = folder::read_json(&fixture().join("expected.json")).unwrap();
        let encoder = SentenceEncoder::load(&fixture()).unwrap();
        let texts: Vec<&str> = case.texts.iter().map(String::as_str).collect();
        let together = encoder.encode(&texts).unwrap();
        assert!(!texts.is_empty());
        assert_eq!((together.len(), case.embeddings.len()), (texts.len(), texts.len()));
        for ((text, expected), together) in texts.iter().zip(&case.embeddings).zip(&together) {
            let alone = encoder.encode(&[text]).unwrap().remove(0);
            assert_eq!([alone.len(), together.len(), expected.len()], [encoder.width(); 3]);
            for ((alone, together), expected) in alone.iter().zip(together).zip(expected) {
                assert!((alone - expected).abs() < 1e-5, "{text:?}: {alone} and not {expected}");
                assert!((together - expected).abs() < 1e-5, "{text:?} among others: {together} and not {expected}");
            }
        }
        assert!(encoder.encode(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_changes_the_result_is_refused_by_name() {
        let config: SentenceConfig = folder::read_json(&fixture().join("config.json")).unwrap();
        assert!(config.check().is_ok());
        let relative = SentenceConfig { position_embedding_type: "relative_key".to_owned(), ..config.clone() };
        assert!(relative.check().unwrap_err().to_string().contains("position_embedding_type"));
        let mut unknown = config;
        unknown.rest.insert("rotary".to_owned(), true.into());
        assert!(unknown.check().unwrap_err().to_string().contains("rotary"));
        let pooling: Pooling = serde_json::from_str(r#"{"pooling_mode_max_tokens": true}"#).unwrap();
        assert!(takes_first(&pooling).unwrap_err().to_string().contains("pooling_mode_max_tokens"));
    }
}
