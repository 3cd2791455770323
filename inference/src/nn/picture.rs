//! Pictures and latents inside a network, `[batch, channels, height, width]`: what is done with them beside convolutions. On a card
//! their channels may lie last in memory, and stay there.

use burn::tensor::{
    Tensor,
    backend::Backend,
    module::interpolate,
    ops::{InterpolateMode, InterpolateOptions},
};

use super::{cuda, linear::Linear};

/// The sum of two.
pub fn sum<B: Backend>(left: Tensor<B, 4>, right: Tensor<B, 4>) -> Tensor<B, 4> {
    cuda::sum(&left, &right).unwrap_or_else(|| left + right)
}

/// One plus a number for each of its channels, `[batch, channels]`.
pub fn shifted<B: Backend>(picture: Tensor<B, 4>, by: Tensor<B, 2>) -> Tensor<B, 4> {
    cuda::shifted(&picture, &by).unwrap_or_else(|| {
        let [batch, channels, height, width] = picture.dims();
        // One number a row: backends broadcast along a row fast, and across other axes slowly.
        let rows = picture.reshape([batch * channels, height * width]) + by.reshape([batch * channels, 1]);
        rows.reshape([batch, channels, height, width])
    })
}

/// The channels of two of one size beside each other.
pub fn beside<B: Backend>(left: Tensor<B, 4>, right: Tensor<B, 4>) -> Tensor<B, 4> {
    cuda::beside(&left, &right).unwrap_or_else(|| Tensor::cat(vec![left, right], 1))
}

/// One of another height and width, whose pixels are the nearest ones.
pub fn resized<B: Backend>(picture: Tensor<B, 4>, size: [usize; 2]) -> Tensor<B, 4> {
    cuda::resized(&picture, size)
        .unwrap_or_else(|| interpolate(picture, size, InterpolateOptions::new(InterpolateMode::Nearest)))
}

/// The places one after the other, `[batch, height · width, channels]`.
pub fn to_places<B: Backend>(picture: Tensor<B, 4>) -> Tensor<B, 3> {
    let [batch, channels, height, width] = picture.dims();
    if cuda::are_last(&picture) {
        picture.permute([0, 2, 3, 1]).reshape([batch, height * width, channels])
    } else {
        picture.reshape([batch, channels, height * width]).swap_dims(1, 2)
    }
}

/// Places, which are those of a picture like another, as a picture.
pub fn of_places<B: Backend>(places: Tensor<B, 3>, like: &Tensor<B, 4>) -> Tensor<B, 4> {
    let ([_, _, height, width], [batch, _, channels]) = (like.dims(), places.dims());
    if cuda::are_last(like) {
        places.reshape([batch, height, width, channels]).permute([0, 3, 1, 2])
    } else {
        places.swap_dims(1, 2).reshape([batch, channels, height, width])
    }
}

/// A picture plus what a layer makes of places, which are those of the picture.
pub fn plus_places<B: Backend>(picture: Tensor<B, 4>, layer: &Linear<B>, places: Tensor<B, 3>) -> Tensor<B, 4> {
    if cuda::are_last(&picture) {
        of_places(layer.forward_onto(to_places(picture.clone()), places), &picture)
    } else {
        let added = of_places(layer.forward(places), &picture);
        sum(picture, added)
    }
}
