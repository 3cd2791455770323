//! Weights and model folders on disk.

pub mod folder;
pub mod module_file;
pub mod safetensors;
pub mod tensor_file;

use std::path::Path;

use burn::{
    module::{ModuleVisitor, Param},
    store::ModuleSnapshot,
    tensor::{Tensor, backend::Backend},
};

use self::module_file::Halves;
use crate::{error::Result, nn::convolution};

/// Where the parameters of a model come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// From the files of its folder.
    OfFolder,
    /// They stay as they were drawn.
    Drawn,
}

impl Weights {
    /// Fills a component from its folder, or leaves it as it was drawn. For `rename` see [`module_file::load`].
    ///
    /// # Errors
    /// Those of [`folder::weight_files`] and [`module_file::load`].
    pub(crate) fn fill<B: Backend, M: ModuleSnapshot<B>>(
        self,
        component: M,
        folder: &Path,
        rename: impl Fn(&str) -> Option<String>,
    ) -> Result<M> {
        let filled = match self {
            Self::OfFolder => {
                let files = folder::weight_files(folder)?;
                module_file::load_keeping::<B, M>(component, &files, Halves::of(&files), rename)?
            }
            Self::Drawn => {
                // What is not drawn yet would be drawn anew by every clone.
                component.visit(&mut Drawing);
                component
            }
        };
        Ok(convolution::laid_out(filled))
    }
}

/// Has every weight drawn.
struct Drawing;

impl<B: Backend> ModuleVisitor<B> for Drawing {
    fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<B, D>>) {
        weight.val();
    }
}
