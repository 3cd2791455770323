//! RRDBNet (Wang et al., "ESRGAN", 2018), with the input of Real-ESRGAN (Wang et al., 2021):
//! `basicsr/archs/rrdbnet_arch.py`.

use std::{collections::BTreeSet, path::Path};

use burn::{
    module::Module,
    tensor::{
        Tensor,
        activation::leaky_relu,
        backend::Backend,
        module::interpolate,
        ops::{InterpolateMode, InterpolateOptions},
    },
};

use crate::{
    error::{Error, Result},
    nn::convolution::Conv2d,
    weights::{module_file, tensor_file::TensorFile},
};

/// What a negative number keeps.
const SLOPE: f64 = 0.2;

/// What a residual branch counts.
const RESIDUAL: f64 = 0.2;

/// How many times larger the network makes what it is given.
const GROWTH: usize = 4;

/// Channels of a picture.
const COLOURS: usize = 3;

/// The shape of a network, as its weights show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RrdbNetShape {
    /// Channels of the trunk.
    pub features: usize,
    /// Channels that each convolution of a dense block adds.
    pub growth: usize,
    /// Blocks of the trunk.
    pub blocks: usize,
    /// Edge of the squares of pixels that are laid into channels before the first convolution: 1, 2 or 4.
    pub unshuffle: usize,
}

/// Five convolutions, each of which sees what all before it made.
#[derive(Module, Debug)]
pub struct ResidualDenseBlock<B: Backend> {
    /// The first convolution.
    pub conv1: Conv2d<B>,
    /// The second.
    pub conv2: Conv2d<B>,
    /// The third.
    pub conv3: Conv2d<B>,
    /// The fourth.
    pub conv4: Conv2d<B>,
    /// The last, which leads back to the trunk.
    pub conv5: Conv2d<B>,
}

impl<B: Backend> ResidualDenseBlock<B> {
    fn new(features: usize, growth: usize, device: &B::Device) -> Self {
        let conv = |before: usize, outputs: usize| Conv2d::new(features + before * growth, outputs, 3, device);
        Self {
            conv1: conv(0, growth),
            conv2: conv(1, growth),
            conv3: conv(2, growth),
            conv4: conv(3, growth),
            conv5: conv(4, features),
        }
    }

    fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut seen = input.clone();
        for conv in [&self.conv1, &self.conv2, &self.conv3, &self.conv4] {
            let made = leaky_relu(conv.forward(seen.clone()), SLOPE);
            seen = Tensor::cat(vec![seen, made], 1);
        }
        self.conv5.forward(seen).mul_scalar(RESIDUAL) + input
    }
}

/// Three dense blocks around which the trunk leads.
#[derive(Module, Debug)]
pub struct ResidualInResidual<B: Backend> {
    /// The first block.
    pub rdb1: ResidualDenseBlock<B>,
    /// The second.
    pub rdb2: ResidualDenseBlock<B>,
    /// The third.
    pub rdb3: ResidualDenseBlock<B>,
}

impl<B: Backend> ResidualInResidual<B> {
    fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let blocks = [&self.rdb1, &self.rdb2, &self.rdb3];
        let output = blocks.into_iter().fold(input.clone(), |state, block| block.forward(state));
        output.mul_scalar(RESIDUAL) + input
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct RrdbNet<B: Backend> {
    /// Into the trunk.
    pub conv_first: Conv2d<B>,
    /// The trunk.
    pub body: Vec<ResidualInResidual<B>>,
    /// Out of the trunk.
    pub conv_body: Conv2d<B>,
    /// After the first doubling.
    pub conv_up1: Conv2d<B>,
    /// After the second doubling.
    pub conv_up2: Conv2d<B>,
    /// At full size.
    pub conv_hr: Conv2d<B>,
    /// To colours.
    pub conv_last: Conv2d<B>,
    /// See [`RrdbNetShape::unshuffle`].
    pub unshuffle: usize,
}

impl<B: Backend> RrdbNet<B> {
    /// A network with drawn weights.
    pub fn new(shape: RrdbNetShape, device: &B::Device) -> Self {
        let RrdbNetShape { features, growth, blocks, unshuffle } = shape;
        let conv = |inputs, outputs| Conv2d::new(inputs, outputs, 3, device);
        let dense = || ResidualDenseBlock::new(features, growth, device);
        Self {
            conv_first: conv(COLOURS * unshuffle * unshuffle, features),
            body: (0..blocks).map(|_| ResidualInResidual { rdb1: dense(), rdb2: dense(), rdb3: dense() }).collect(),
            conv_body: conv(features, features),
            conv_up1: conv(features, features),
            conv_up2: conv(features, features),
            conv_hr: conv(features, features),
            conv_last: conv(features, COLOURS),
            unshuffle,
        }
    }

    /// Loads a `.safetensors` file under the names of Real-ESRGAN's checkpoints. The shape follows from the weights.
    ///
    /// # Errors
    /// [`Error::Weights`] when the file is damaged or holds another network, by the tensor that says so.
    pub fn load(file: &Path, device: &B::Device) -> Result<Self> {
        let shape = shape(&TensorFile::read(file)?, file)?;
        module_file::load::<B, _>(Self::new(shape, device), &[file.to_owned()], |name| {
            // Checkpoints hold the weights as trained, or their moving average, under a name of its own.
            Some(without_prefix(name).to_owned())
        })
    }

    /// How many times larger a picture becomes.
    pub fn scale(&self) -> u32 {
        (GROWTH / self.unshuffle) as u32
    }

    /// `[batch, 3, height, width]` in 0 … 1 → `[batch, 3, scale · height, scale · width]`. Height and width are multiples of
    /// [`Self::unshuffle`].
    pub fn forward(&self, pictures: Tensor<B, 4>) -> Tensor<B, 4> {
        let first = self.conv_first.forward(unshuffled(pictures, self.unshuffle));
        let trunk = self.body.iter().fold(first.clone(), |state, block| block.forward(state));
        let mut state = first + self.conv_body.forward(trunk);
        for conv in [&self.conv_up1, &self.conv_up2] {
            state = leaky_relu(conv.forward(doubled(state)), SLOPE);
        }
        self.conv_last.forward(leaky_relu(self.conv_hr.forward(state), SLOPE))
    }
}

fn without_prefix(name: &str) -> &str {
    name.strip_prefix("params_ema.").or_else(|| name.strip_prefix("params.")).unwrap_or(name)
}

/// Every pixel four times.
fn doubled<B: Backend>(state: Tensor<B, 4>) -> Tensor<B, 4> {
    let [_, _, height, width] = state.dims();
    interpolate(state, [2 * height, 2 * width], InterpolateOptions::new(InterpolateMode::Nearest))
}

/// Squares of pixels laid into channels: `[batch, colours, height, width]` →
/// `[batch, colours · edge², height / edge, width / edge]`.
fn unshuffled<B: Backend>(pictures: Tensor<B, 4>, edge: usize) -> Tensor<B, 4> {
    let [batch, colours, height, width] = pictures.dims();
    if edge == 1 {
        return pictures;
    }
    let (rows, columns) = (height / edge, width / edge);
    pictures.reshape([batch, colours, rows, edge, columns, edge]).permute([0, 1, 3, 5, 2, 4]).reshape([
        batch,
        colours * edge * edge,
        rows,
        columns,
    ])
}

/// How many blocks a trunk has: their numbers are 0 and those that follow, without a gap.
fn blocks<'a>(names: impl Iterator<Item = &'a str>, path: &Path) -> Result<usize> {
    let number = |name: &'a str| without_prefix(name).strip_prefix("body.")?.split_once('.')?.0.parse::<usize>().ok();
    let numbers: BTreeSet<usize> = names.filter_map(number).collect();
    match (0..).zip(&numbers).find(|(expected, found)| expected != *found) {
        None => Ok(numbers.len()),
        Some((missing, found)) => Err(Error::Weights(format!(
            "`{}` has a block `body.{found}` and none of the number {missing}, so that its network is not whole; fetch it again.",
            path.display()
        ))),
    }
}

/// The shape of the network that a file holds.
fn shape(file: &TensorFile, path: &Path) -> Result<RrdbNetShape> {
    let dims = |wanted: &str| {
        let name = file.names().find(|name| without_prefix(name) == wanted);
        let shape = name.map(|name| file.data(name).map(|data| data.shape.to_vec())).transpose()?;
        match shape.as_deref() {
            Some([outputs, inputs, 3, 3]) => Ok((*outputs, *inputs)),
            _ => Err(Error::Weights(format!(
                "`{}` is no RRDBNet in Real-ESRGAN's layout: `{wanted}` is missing or no 3 x 3 convolution.",
                path.display()
            ))),
        }
    };
    let (features, inputs) = dims("conv_first.weight")?;
    let (growth, _) = dims("body.0.rdb1.conv1.weight")?;
    let blocks = blocks(file.names(), path)?;
    let unshuffle = [1, 2, 4].into_iter().find(|edge| COLOURS * edge * edge == inputs).ok_or_else(|| {
        Error::Weights(format!("`{}` takes {inputs} channels; networks for pictures take 3, 12 or 48.", path.display()))
    })?;
    Ok(RrdbNetShape { features, growth, blocks, unshuffle })
}
