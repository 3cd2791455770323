//! Short strings that stand for a blurred picture while it loads.

use crate::image::Picture;

/// The [BlurHash](https://blurha.sh) of a picture: four components along its longer edge, three along its shorter,
/// as about 28 characters.
pub fn blurhash(picture: &Picture) -> String {
    // The hash keeps nothing finer than a quarter of the picture: a small copy gives the same one, much faster.
    let small = picture.thumbnail(48);
    let rgba: Vec<u8> = small.rgb.chunks_exact(3).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
    let (across, down) = if small.width >= small.height { (4, 3) } else { (3, 4) };
    ::blurhash::encode(across, down, small.width, small.height, &rgba)
        .expect("invariant: 3 and 4 are component counts that exist")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_shows_the_picture_again() {
        let rgb = (0..60u32 * 90).flat_map(|at| if at % 60 < 30 { [220, 40, 30] } else { [20, 60, 200] }).collect();
        let hash = blurhash(&Picture::new(60, 90, rgb).unwrap());
        let shown = ::blurhash::decode(&hash, 6, 9, 1.0).unwrap();
        let (left, right) = (&shown[4 * 6 * 4..][..3], &shown[(4 * 6 + 5) * 4..][..3]);
        assert!(left[0] > 150 && left[2] < 110, "{left:?}");
        assert!(right[2] > 130 && right[0] < 110, "{right:?}");
    }
}
