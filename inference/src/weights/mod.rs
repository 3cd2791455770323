//! Weights and model folders on disk.

mod blocks;
pub mod folder;
pub mod fp8;
pub mod module_file;
pub mod on_demand;
pub mod safetensors;
pub mod tensor_file;

use std::path::Path;

use burn::{
    module::{ModuleVisitor, Param},
    store::ModuleSnapshot,
    tensor::{Tensor, backend::Backend},
};

use self::{module_file::Halves, safetensors::Dtype};
use crate::{
    device::is_processor,
    dtype::Precision,
    error::Result,
    lora::inject::Adaptable,
    nn::{convolution, linear::Blocks},
};

/// Whether numbers that are stored so are read as weights.
pub(crate) fn is_read(stored: Dtype) -> bool {
    matches!(stored, Dtype::F32 | Dtype::F16 | Dtype::BF16) || fp8::is_fp8(stored)
}

/// Those that are.
pub(crate) const ARE_READ: &str = "F32, F16, BF16, F8_E4M3 and F8_E5M2";

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

    /// The same of a denoiser, in a precision: the weights of its blocks lie beside each other where layers look at the same, and are
    /// in eight bits if that is the precision and the device has such.
    ///
    /// # Errors
    /// As [`Self::fill`].
    pub(crate) fn fill_denoiser<B: Backend, M: ModuleSnapshot<B> + Adaptable<B> + Blocks<B>>(
        self,
        denoiser: M,
        (folder, precision): (&Path, Precision),
        rename: impl Fn(&str) -> Option<String>,
        device: &B::Device,
    ) -> Result<M> {
        let in_fp8 = precision == Precision::Fp8 && !is_processor::<B>(device);
        match self {
            Self::OfFolder if in_fp8 => {
                let files = folder::weight_files(folder)?;
                let filled = blocks::load_in_fp8::<B, M>(denoiser, &files, rename, device)?;
                Ok(convolution::laid_out(filled))
            }
            _ => {
                let mut filled = self.fill(denoiser, folder, rename)?;
                if in_fp8 {
                    blocks::keep_in_fp8(&mut filled);
                } else {
                    filled.lay_beside(device);
                }
                Ok(filled)
            }
        }
    }
}

/// Has every weight drawn.
struct Drawing;

impl<B: Backend> ModuleVisitor<B> for Drawing {
    fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<B, D>>) {
        weight.val();
    }
}
