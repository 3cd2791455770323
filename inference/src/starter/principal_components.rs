//! What the starter model's autoencoder begins from: an encoder that takes the principal components of eight by eight
//! pixels, and a decoder that is linear. Both are exactly representable in the published architecture; training then only
//! has to learn the way back and what is not linear.

use burn::{
    module::Param,
    tensor::{Distribution, Tensor, TensorData, backend::Backend},
};

use super::scenes::{scene, texture_picture};
use crate::{
    flux2::autoencoder::{Autoencoder, Decoder, Encoder, MidBlock, ResidualBlock},
    image::Picture,
    nn::convolution::{Conv2d, GroupNorm},
};

/// Pixels on the edge of a patch.
const EDGE: usize = 8;

/// Numbers of a patch.
const NUMBERS: usize = EDGE * EDGE * 3;

/// Sweeps of the rotations that make a matrix diagonal; a symmetric matrix of this size needs fewer than ten.
const SWEEPS: usize = 12;

/// Spread of a component inside the encoder: small beside [`OFFSET`].
const INNER_SPREAD: f64 = 0.5;

/// Half of a group's channels lie so far above zero and half below: then the group's mean and variance hardly depend on the
/// picture, and the normalisation is linear.
const OFFSET: f64 = 8.0;

/// Where the activation behind the last normalisation works: there it is nearly the identity.
const LIFT: f64 = 6.0;

/// Components count in the latents by their spread to this power. 1 would make latents that are pixels in another basis, 0
/// latents in which grain is as large as shape; between them a diffusion model sees shape first and grain as well.
const SPECTRUM: f64 = 0.5;

/// Mean and leading principal components of patches, and how far they spread.
pub struct Components {
    mean: Vec<f64>,
    /// Row by row, the largest first.
    vectors: Vec<Vec<f64>>,
    spreads: Vec<f64>,
}

impl Components {
    /// Of the patches of drawn pictures, one half scenes.
    pub fn of_drawn(pictures: u64, count: usize) -> Self {
        let size = 64;
        let draw =
            |seed: u64| if seed.is_multiple_of(2) { scene(seed, size).picture } else { texture_picture(seed, size) };
        let (mut sum, mut products, mut patches) = (vec![0.0; NUMBERS], vec![vec![0.0; NUMBERS]; NUMBERS], 0.0);
        for picture in (0..pictures).map(|index| draw(u64::MAX / 4 + index)) {
            for patch in patches_of(&picture) {
                patches += 1.0;
                for (row, value) in patch.iter().enumerate() {
                    sum[row] += value;
                    for (product, other) in products[row][..=row].iter_mut().zip(&patch) {
                        *product += value * other;
                    }
                }
            }
        }
        let mean: Vec<f64> = sum.iter().map(|sum| sum / patches).collect();
        let mut covariance = vec![vec![0.0; NUMBERS]; NUMBERS];
        for row in 0..NUMBERS {
            for column in 0..=row {
                let value = products[row][column] / patches - mean[row] * mean[column];
                (covariance[row][column], covariance[column][row]) = (value, value);
            }
        }
        let (values, vectors) = eigen(covariance);
        let mut order: Vec<usize> = (0..NUMBERS).collect();
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        order.truncate(count);
        let spreads = order.iter().map(|index| values[*index].max(1e-9).sqrt()).collect();
        let vectors = order.iter().map(|index| (0..NUMBERS).map(|row| vectors[row][*index]).collect()).collect();
        Self { mean, vectors, spreads }
    }
}

/// Patches in the order in which three halvings lay them out: the finest place first, colours within it.
fn patches_of(picture: &Picture) -> Vec<Vec<f64>> {
    let (columns, rows) = (picture.width as usize / EDGE, picture.height as usize / EDGE);
    let value = |x: usize, y: usize, colour: usize| {
        f64::from(picture.rgb[(y * picture.width as usize + x) * 3 + colour]) / 127.5 - 1.0
    };
    let patch = |left: usize, top: usize| {
        let at = |index: usize| {
            let (x, y) = place(index / 3);
            value(left * EDGE + x, top * EDGE + y, index % 3)
        };
        (0..NUMBERS).map(at).collect()
    };
    (0..rows * columns).map(|index| patch(index % columns, index / columns)).collect()
}

/// Pixel of a place in that order: two bits a halving, row before column.
fn place(index: usize) -> (usize, usize) {
    (0..3).fold((0, 0), |(x, y), level| {
        let bits = index >> (2 * level);
        (x | (bits & 1) << level, y | (bits >> 1 & 1) << level)
    })
}

/// Values and vectors (in columns) of a symmetric matrix, by Jacobi's rotations.
#[allow(clippy::needless_range_loop, reason = "two rows change at once")]
fn eigen(mut matrix: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let size = matrix.len();
    let mut vectors: Vec<Vec<f64>> =
        (0..size).map(|row| (0..size).map(|column| f64::from(u8::from(row == column))).collect()).collect();
    for _ in 0..SWEEPS {
        for p in 0..size {
            for q in p + 1..size {
                if matrix[p][q].abs() < 1e-14 {
                    continue;
                }
                let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
                let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
                let sine = tangent * cosine;
                let turn = |a: f64, b: f64| (cosine * a - sine * b, sine * a + cosine * b);
                for row in &mut matrix {
                    (row[p], row[q]) = turn(row[p], row[q]);
                }
                for column in 0..size {
                    (matrix[p][column], matrix[q][column]) = turn(matrix[p][column], matrix[q][column]);
                }
                for row in &mut vectors {
                    (row[p], row[q]) = turn(row[p], row[q]);
                }
            }
        }
    }
    ((0..size).map(|index| matrix[index][index]).collect(), vectors)
}

/// Makes the encoder take principal components, and the decoder linear.
pub fn begin<B: Backend>(model: &mut Autoencoder<B>, components: &Components, device: &B::Device) {
    begin_encoder(&mut model.encoder, components, device);
    begin_decoder(&mut model.decoder, device);
}

fn begin_encoder<B: Backend>(encoder: &mut Encoder<B>, components: &Components, device: &B::Device) {
    let count = components.vectors.len();
    set(&mut encoder.conv_in, device, |output, input, row, column| {
        f64::from(u8::from(output == input && output < 3 && row == 1 && column == 1))
    });
    let deepest = encoder.down_blocks.len().saturating_sub(2);
    for (level, block) in encoder.down_blocks.iter_mut().enumerate() {
        let inputs = 3 << (2 * level);
        for down in &mut block.downsamplers {
            // Two by two places side by side as channels; the last halving takes the components of them.
            let taken = |output: usize, number: usize| {
                if level < deepest {
                    return f64::from(u8::from(output == number));
                }
                let vector = components.vectors.get(output).map_or(0.0, |vector| vector[number]);
                vector * INNER_SPREAD / components.spreads.get(output).copied().unwrap_or(1.0)
            };
            set(&mut down.conv, device, |output, input, row, column| {
                if input < inputs && row < 2 && column < 2 {
                    taken(output, (row * 2 + column) * inputs + input)
                } else {
                    0.0
                }
            });
            let outputs = down.conv.weight.dims()[0];
            let shift = |output: usize| {
                -(0..NUMBERS).map(|number| taken(output, number) * components.mean[number]).sum::<f64>()
            };
            let shifts =
                (0..outputs).map(|output| if level < deepest || output >= count { 0.0 } else { shift(output) });
            set_bias(&mut down.conv, device, shifts.collect());
        }
    }
    quieten(&mut encoder.mid_block, device);
    lift(encoder.mid_block.resnets.last_mut().map(|last| &mut last.conv2), &mut encoder.conv_norm_out, device);
    // Every latent is a mixture of all components, so that latents spread alike and their statistics are one number.
    let weight = |component: usize| components.spreads[component].powf(SPECTRUM);
    let typical = ((0..count).map(|component| weight(component).powi(2)).sum::<f64>() / count as f64).sqrt();
    let mixed = |latent: usize, component: usize| {
        if latent >= count || component >= count {
            return 0.0;
        }
        hadamard(latent, component) / (count as f64).sqrt() * weight(component) / typical / INNER_SPREAD
    };
    set(
        &mut encoder.conv_out,
        device,
        |output, input, row, column| {
            if row == 1 && column == 1 { mixed(output, input) } else { 0.0 }
        },
    );
    let lifted = LIFT / (1.0 + (-LIFT).exp());
    let outputs = encoder.conv_out.weight.dims()[0];
    let shift = |latent: usize| -(0..count).map(|component| mixed(latent, component) * lifted).sum::<f64>();
    // The second half says how sure the encoder is: as good as certain.
    set_bias(
        &mut encoder.conv_out,
        device,
        (0..outputs).map(|output| if output < count { shift(output) } else { -12.0 }).collect(),
    );
}

/// Sylvester's orthogonal matrix of signs.
fn hadamard(row: usize, column: usize) -> f64 {
    if (row & column).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }
}

fn begin_decoder<B: Backend>(decoder: &mut Decoder<B>, device: &B::Device) {
    keep_spread(&mut decoder.conv_in, device);
    quieten(&mut decoder.mid_block, device);
    for block in &mut decoder.up_blocks {
        for resnet in &mut block.resnets {
            quieten_residual(resnet, device);
            resnet.conv_shortcut.iter_mut().for_each(|conv| keep_spread(conv, device));
        }
        block.upsamplers.iter_mut().for_each(|up| keep_spread(&mut up.conv, device));
    }
    let last = decoder.up_blocks.last_mut().and_then(|block| block.resnets.last_mut());
    lift(last.map(|last| &mut last.conv2), &mut decoder.conv_norm_out, device);
}

/// Draws weights that keep the spread of what goes through a convolution, with no bias.
fn keep_spread<B: Backend>(conv: &mut Conv2d<B>, device: &B::Device) {
    let [outputs, inputs, height, width] = conv.weight.dims();
    let spread = 1.0 / ((inputs * height * width) as f64).sqrt();
    let drawn = Tensor::random([outputs, inputs, height, width], Distribution::Normal(0.0, spread), device);
    conv.weight = Param::from_tensor(drawn);
    set_bias(conv, device, vec![0.0; outputs]);
}

/// Residual branches begin as nothing.
fn quieten<B: Backend>(middle: &mut MidBlock<B>, device: &B::Device) {
    middle.resnets.iter_mut().for_each(|resnet| quieten_residual(resnet, device));
    for layer in middle.attentions.iter_mut().flat_map(|attention| &mut attention.to_out) {
        layer.weight = Param::from_tensor(Tensor::zeros(layer.weight.shape(), device));
        layer.bias = layer.bias.as_ref().map(|bias| Param::from_tensor(Tensor::zeros(bias.shape(), device)));
    }
}

fn quieten_residual<B: Backend>(block: &mut ResidualBlock<B>, device: &B::Device) {
    let outputs = block.conv2.weight.dims()[0];
    set(&mut block.conv2, device, |_, _, _, _| 0.0);
    set_bias(&mut block.conv2, device, vec![0.0; outputs]);
}

/// Makes the last normalisation and the activation behind it linear: see [`OFFSET`] and [`LIFT`].
fn lift<B: Backend>(before: Option<&mut Conv2d<B>>, norm: &mut GroupNorm<B>, device: &B::Device) {
    let channels = norm.weight.dims()[0];
    let side = |channel: usize| if channel.is_multiple_of(2) { OFFSET } else { -OFFSET };
    if let Some(conv) = before {
        set_bias(conv, device, (0..channels).map(side).collect());
    }
    norm.weight = parameter((0..channels).map(|_| OFFSET).collect(), [channels], device);
    norm.bias = parameter((0..channels).map(|channel| LIFT - side(channel)).collect(), [channels], device);
}

/// Sets a convolution's weights by output, input, row and column, and its bias to zero.
fn set<B: Backend>(conv: &mut Conv2d<B>, device: &B::Device, weight: impl Fn(usize, usize, usize, usize) -> f64) {
    let [outputs, inputs, height, width] = conv.weight.dims();
    let mut values = Vec::with_capacity(outputs * inputs * height * width);
    for output in 0..outputs {
        for input in 0..inputs {
            values.extend((0..height * width).map(|index| weight(output, input, index / width, index % width)));
        }
    }
    conv.weight = parameter(values, [outputs, inputs, height, width], device);
    set_bias(conv, device, vec![0.0; outputs]);
}

fn set_bias<B: Backend>(conv: &mut Conv2d<B>, device: &B::Device, values: Vec<f64>) {
    let length = values.len();
    conv.bias = Some(parameter(values, [length], device));
}

fn parameter<B: Backend, const D: usize>(
    values: Vec<f64>,
    shape: [usize; D],
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_find_the_axes_of_a_known_matrix() {
        let (values, vectors) = eigen(vec![vec![2.0, 1.0, 0.0], vec![1.0, 2.0, 0.0], vec![0.0, 0.0, 5.0]]);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for (value, expected) in sorted.iter().zip([1.0, 3.0, 5.0]) {
            assert!((value - expected).abs() < 1e-9, "{sorted:?}");
        }
        let largest = values.iter().position(|value| (value - 5.0).abs() < 1e-9).expect("it is there");
        assert!(vectors[2][largest].abs() > 0.999);
    }

    #[test]
    fn every_pixel_of_a_patch_has_one_place() {
        let mut places: Vec<_> = (0..64).map(place).collect();
        assert_eq!(places[..4], [(0, 0), (1, 0), (0, 1), (1, 1)]);
        assert_eq!((places[4], places[16]), ((2, 0), (4, 0)));
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 64);
    }
}
