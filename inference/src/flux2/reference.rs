//! Pictures that a picture is made from: they stand beside it in the sequence as tokens of other times, and are not changed
//! (`pipeline_flux2.py`, `image_processor.py`).

use burn::tensor::{Tensor, backend::Backend};

use super::{latents::to_tokens, pipeline::Flux2Pipeline, position};
use crate::{
    error::{Error, Result},
    image::Picture,
    resample::lanczos,
    starter::pictures::to_tensor,
};

/// Positions in time between one reference picture and the next, and before the first.
const TIME_BETWEEN_REFERENCES: i64 = 10;

/// Pixels of a reference picture: larger ones are scaled down to so many.
const LARGEST_AREA: f64 = 1024.0 * 1024.0;

/// Reference pictures as tokens.
#[derive(Clone, Debug)]
pub struct Reference<B: Backend> {
    /// `[1, tokens, channels]`.
    pub(super) tokens: Tensor<B, 3>,
    /// Their positions: pictures differ in time.
    pub(super) positions: Vec<[i64; 4]>,
}

impl<B: Backend> Reference<B> {
    /// Tokens of all pictures together.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }
}

impl<B: Backend> Flux2Pipeline<B> {
    /// Reference pictures as tokens: each is scaled down where it is large, cut at its edges to whole tokens and encoded.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no picture, or one is smaller than a token.
    pub fn reference(&self, pictures: &[Picture]) -> Result<Reference<B>> {
        if pictures.is_empty() {
            return Err(Error::Input("There is no reference picture; give at least one.".to_owned()));
        }
        let multiple = self.configs.size_multiple();
        let (mut tokens, mut positions) = (Vec::new(), Vec::new());
        for (picture, time) in pictures.iter().zip(1..) {
            let picture = fitting(picture);
            let (columns, rows) = (picture.width / multiple, picture.height / multiple);
            if columns == 0 || rows == 0 {
                return Err(Error::Input(format!(
                    "A reference picture is smaller than {multiple} × {multiple} pixels; use a larger one."
                )));
            }
            let cut = to_tensor::<B>([&picture], &self.device)
                .narrow(2, ((picture.height - rows * multiple) / 2) as usize, (rows * multiple) as usize)
                .narrow(3, ((picture.width - columns * multiple) / 2) as usize, (columns * multiple) as usize);
            tokens.push(to_tokens(self.autoencoder.encode_packed(cut)));
            positions.extend(position::picture(rows as usize, columns as usize, time * TIME_BETWEEN_REFERENCES));
        }
        Ok(Reference { tokens: Tensor::cat(tokens, 1), positions })
    }
}

/// A picture of at most [`LARGEST_AREA`], in its own proportions.
fn fitting(picture: &Picture) -> Picture {
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    if width * height <= LARGEST_AREA {
        return picture.clone();
    }
    let scale = (LARGEST_AREA / (width * height)).sqrt();
    lanczos(picture, (width * scale) as u32, (height * scale) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_pictures_are_scaled_and_keep_their_proportions() {
        let small = Picture::filled(1024, 1024, [1, 2, 3]);
        assert_eq!(fitting(&small), small);
        let large = fitting(&Picture::filled(2048, 1024, [1, 2, 3]));
        assert_eq!((large.width, large.height), (1448, 724));
        assert_eq!(large.pixel(700, 300), [1, 2, 3]);
    }
}
