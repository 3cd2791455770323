//! Whether a model draws what its captions say: questions whose answers plain image analysis can read.
//!
//! A [`Question`] is a caption outside the training list with one thing in it that is looked at: the colours, the
//! shape, the count, the layout, the texture or the style. [`read`] looks at a picture of 64 x 64 pixels and says what
//! it sees. The reader is itself measured, by [`measure`]: it has to read the drawings that the captions belong to, as
//! the autoencoder shows them, and to refuse the drawings of other captions. Its thresholds come from such drawings,
//! never from a model's pictures.

mod asking;
mod captions;
mod colour;
mod count;
mod ground;
mod held_out;
mod layout;
mod mask;
mod question;
mod reader_check;
mod reading;
mod shape;
mod style;
mod tally;
mod texture;
mod wishes;

pub use asking::{Asking, ask};
pub use captions::questions;
pub use held_out::{SeedRange, TRAINED};
pub use question::{Kind, Question, Sight};
pub use reader_check::{ReaderCheck, autoencoded, drawings, measure};
pub use reading::{Verdict, read};
pub use tally::{Answer, Tally};
