//! Pictures to train on, drawn in the background while the model computes.

use std::{sync::mpsc, thread};

use burn::tensor::{FloatDType, Tensor, TensorData, backend::Backend};
use rayon::{iter::ParallelIterator, slice::ParallelSlice};

use super::scenes::{CaptionedPicture, scene, texture_picture};
use crate::image::Picture;

/// How many batches are drawn ahead.
const AHEAD: usize = 8;

/// One in so many pictures is a scene when textures are mixed in.
const SCENES: u64 = 3;

/// Draws batches of scenes, and textures among them if asked to, in the order of their seeds.
pub fn draw(first_seed: u64, batch: usize, size: u32, with_textures: bool) -> mpsc::Receiver<Vec<CaptionedPicture>> {
    let (sender, receiver) = mpsc::sync_channel(AHEAD);
    thread::spawn(move || {
        let mut seed = first_seed;
        loop {
            let drawn = (0..batch)
                .map(|_| {
                    seed += 1;
                    if with_textures && !seed.is_multiple_of(SCENES) {
                        CaptionedPicture { picture: texture_picture(seed, size), caption: String::new() }
                    } else {
                        scene(seed, size)
                    }
                })
                .collect();
            // Nobody listens any more when training has ended.
            if sender.send(drawn).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Pictures of one size → `[batch, 3, height, width]` in -1 … 1.
pub fn to_tensor<'a, B: Backend>(pictures: impl IntoIterator<Item = &'a Picture>, device: &B::Device) -> Tensor<B, 4> {
    let mut values = Vec::new();
    let (mut count, mut height, mut width) = (0, 0, 0);
    for picture in pictures {
        (height, width) = (picture.height as usize, picture.width as usize);
        count += 1;
        for channel in 0..3 {
            values.extend(picture.rgb.iter().skip(channel).step_by(3).map(|value| f32::from(*value) / 127.5 - 1.0));
        }
    }
    Tensor::from_data(TensorData::new(values, [count, 3, height, width]), device)
}

/// `[batch, 3, height, width]` in -1 … 1 → pictures.
pub fn from_tensor<B: Backend>(pictures: Tensor<B, 4>) -> Vec<Picture> {
    let [count, _, height, width] = pictures.dims();
    let size = height * width * 3;
    let data = pictures.permute([0, 2, 3, 1]).cast(FloatDType::F32).into_data();
    let values = data.as_slice::<f32>().expect("invariant: they were made numbers of 32 bits");
    let to_byte = |value: &f32| ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
    (0..count)
        .map(|index| {
            let rgb = values[index * size..(index + 1) * size]
                .par_chunks(1 << 16)
                .flat_map_iter(|part| part.iter().map(to_byte))
                .collect();
            Picture { width: width as u32, height: height as u32, rgb }
        })
        .collect()
}
