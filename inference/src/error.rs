//! How inference fails: in sentences that say what is wrong and what to do.

use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model folder is missing something.
    #[error("{0}")]
    Folder(String),
    /// Weights do not fit the model, or their file is damaged.
    #[error("{0}")]
    Weights(String),
    /// A configuration is not understood.
    #[error("{0}")]
    Config(String),
    /// A tokenizer is not understood.
    #[error("{0}")]
    Tokenizer(String),
    /// A device is not there.
    #[error("{0}")]
    Device(String),
    /// A picture cannot be read or written.
    #[error("{0}")]
    Image(String),
    /// A LoRA cannot be read, does not fit or is of a kind that is not supported.
    #[error("{0}")]
    Lora(String),
    /// What was asked for lies out of bounds.
    #[error("{0}")]
    Input(String),
    /// It does not fit into memory.
    #[error("{0}")]
    Memory(String),
    /// Somebody asked to stop.
    #[error("Stopped on request.")]
    Stopped,
    /// A file cannot be read or written.
    #[error("`{}` cannot be read or written: {source}. Check that it exists, who may use it, and that the disk is not full.", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Error {
    /// Names the file to what the system says.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
        move |source| Error::Io { path: path.to_owned(), source }
    }
}
