//! Pictures in memory: decoding with limits, encoding with text chunks, resizing.

use crate::error::{Error, Result};
use ::image::codecs::jpeg::JpegEncoder;
use ::image::codecs::webp::WebPEncoder;
use ::image::imageops::{self, FilterType};
use ::image::metadata::Orientation;
use ::image::{
    DynamicImage, ExtendedColorType, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb,
};
use std::io::Cursor;

/// The longest edge that is read, in pixels.
pub const LARGEST_EDGE: u32 = 8192;

/// Bytes that a picture may take once decoded, before it is turned into eight-bit RGB.
pub const LARGEST_DECODED: u64 = 128 << 20;

/// Bytes of text that are read from one PNG file.
const LARGEST_TEXT: usize = 8 << 20;

/// An sRGB picture, eight bits a channel, without transparency.
///
/// `rgb` always holds `width` x `height` x 3 values, row by row from the top left; whoever builds one by hand keeps to
/// that, or uses [`Picture::new`], which checks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Red, green, blue of each pixel.
    pub rgb: Vec<u8>,
}

/// A part of a picture, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Pixels to the left of it.
    pub left: u32,
    /// Pixels above it.
    pub top: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// The media type of a picture file that [`Picture::decode`] reads, judged by its first bytes; none for anything else.
pub fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match ::image::guess_format(bytes).ok()? {
        ImageFormat::Png => Some("image/png"),
        ImageFormat::Jpeg => Some("image/jpeg"),
        ImageFormat::WebP => Some("image/webp"),
        _ => None,
    }
}

impl Picture {
    /// A picture of the given pixels.
    ///
    /// # Errors
    /// [`Error::Input`] when the picture has no pixels or `rgb` does not hold `width` x `height` x 3 values.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self> {
        let expected = u64::from(width) * u64::from(height) * 3;
        if expected == 0 || rgb.len() as u64 != expected {
            let found = rgb.len();
            return Err(Error::Input(format!(
                "A picture of {width} x {height} pixels needs {expected} colour values (more than none), not {found}."
            )));
        }
        Ok(Self { width, height, rgb })
    }

    /// A picture of one colour; both edges are at least one pixel.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, rgb: colour.repeat(width as usize * height as usize) }
    }

    /// Red, green and blue at a place inside the picture.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let at = (y as usize * self.width as usize + x as usize) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// Reads a PNG, JPEG or WebP file, told apart by content. The EXIF orientation is applied, transparency is laid on
    /// white, grey, CMYK and 16-bit pictures become eight-bit RGB, and of an animation the first frame is taken. Sizes
    /// are checked before memory is reserved.
    ///
    /// # Errors
    /// [`Error::Image`] with a sentence for a file of another kind, one that is larger than [`LARGEST_EDGE`] or
    /// [`LARGEST_DECODED`], and one that is damaged or incomplete.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::Image("The file is empty; upload a PNG, JPEG or WebP picture.".to_owned()));
        }
        let format = match ::image::guess_format(bytes) {
            Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => format,
            _ => {
                return Err(Error::Image(
                    "The file is not a PNG, JPEG or WebP picture; convert it to one of these and try again.".to_owned(),
                ));
            }
        };
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::default();
        limits.max_image_width = None;
        limits.max_image_height = None;
        // The decoder's own work space comes on top of the picture.
        limits.max_alloc = Some(2 * LARGEST_DECODED);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(|error| unreadable(format, &error))?;
        check_size(decoder.dimensions(), decoder.total_bytes())?;
        if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
            return Err(Error::Image(
                "The JPEG picture is incomplete: its end is missing. Upload it again.".to_owned(),
            ));
        }
        // A damaged EXIF block says nothing about the pixels: such a picture is read as it stands.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut decoded = DynamicImage::from_decoder(decoder).map_err(|error| unreadable(format, &error))?;
        decoded.apply_orientation(orientation);
        Ok(Self::flattened(decoded))
    }

    /// Lays a decoded picture on white.
    fn flattened(decoded: DynamicImage) -> Self {
        let (width, height) = (decoded.width(), decoded.height());
        if !decoded.color().has_alpha() {
            return Self { width, height, rgb: decoded.into_rgb8().into_raw() };
        }
        let rgba = decoded.into_rgba8();
        let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
        for pixel in rgba.pixels() {
            let [red, green, blue, alpha] = pixel.0.map(u32::from);
            rgb.extend([red, green, blue].map(|value| ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8));
        }
        Self { width, height, rgb }
    }

    fn buffer(&self) -> ImageBuffer<Rgb<u8>, &[u8]> {
        ImageBuffer::from_raw(self.width, self.height, self.rgb.as_slice())
            .expect("invariant: a picture holds width x height x 3 values")
    }

    fn from_buffer(buffer: ImageBuffer<Rgb<u8>, Vec<u8>>) -> Self {
        Self { width: buffer.width(), height: buffer.height(), rgb: buffer.into_raw() }
    }

    /// The picture as a PNG file with text chunks (keyword, text): as `tEXt` where Latin-1 can hold the text, else as
    /// `iTXt` in UTF-8. PNG allows keywords of 1 to 79 plain characters: longer ones are cut, other characters become
    /// `?`, and NUL in a text becomes U+FFFD.
    pub fn encode_png(&self, text: &[(String, String)]) -> Vec<u8> {
        self.try_encode_png(text).expect("invariant: a picture with pixels and clean keywords is written to memory")
    }

    fn try_encode_png(&self, text: &[(String, String)]) -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
        // Somebody waits for the picture: better balanced, a file takes longer than a decoder on a card.
        encoder.set_compression(png::Compression::Fast);
        for (keyword, value) in text {
            let plain = |character: char| if matches!(character, '!'..='~' | ' ') { character } else { '?' };
            let keyword: String = keyword.chars().take(79).map(plain).collect();
            let keyword = if keyword.is_empty() { "?".to_owned() } else { keyword };
            // tEXt knows no NUL, and readers disagree on control characters.
            if value.chars().all(|character| matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{ff}')) {
                encoder.add_text_chunk(keyword, value.clone())?;
            } else {
                encoder.add_itxt_chunk(keyword, value.replace('\0', "\u{fffd}"))?;
            }
        }
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgb)?;
        writer.finish()?;
        Ok(bytes)
    }

    /// The picture as a lossless WebP file; scaled down where an edge is longer than the 16383 pixels that WebP holds.
    pub fn encode_webp(&self) -> Vec<u8> {
        let fitting = self.thumbnail(16_383);
        let mut bytes = Vec::new();
        WebPEncoder::new_lossless(&mut bytes)
            .encode(&fitting.rgb, fitting.width, fitting.height, ExtendedColorType::Rgb8)
            .expect("invariant: a picture whose edges WebP can hold is written to memory");
        bytes
    }

    /// The picture as a JPEG file of a quality from 1 to 100; scaled down where an edge is longer than the 65535 pixels
    /// that JPEG holds.
    pub fn encode_jpeg(&self, quality: u8) -> Vec<u8> {
        let fitting = self.thumbnail(65_535);
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100))
            .encode(&fitting.rgb, fitting.width, fitting.height, ExtendedColorType::Rgb8)
            .expect("invariant: a picture whose edges JPEG can hold is written to memory");
        bytes
    }

    /// The whole picture with its longer edge at most `edge` pixels long; never enlarged.
    pub fn thumbnail(&self, edge: u32) -> Self {
        let edge = edge.max(1);
        let longer = self.width.max(self.height);
        if longer <= edge {
            return self.clone();
        }
        let scaled = |length: u32| {
            let exact = f64::from(length) * f64::from(edge) / f64::from(longer);
            (exact.round() as u32).clamp(1, edge)
        };
        self.resized(scaled(self.width), scaled(self.height))
    }

    /// The picture at exactly this size, stretched where the proportions differ.
    pub fn resized(&self, width: u32, height: u32) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        Self::from_buffer(imageops::resize(&self.buffer(), width, height, FilterType::Lanczos3))
    }

    /// The picture scaled to cover `width` x `height`, with what stands out cut off evenly on both sides.
    pub fn resized_covering(&self, width: u32, height: u32) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let part = self.covering_part(width, height);
        if (part.width, part.height) == (self.width, self.height) {
            return self.resized(width, height);
        }
        self.cropped(part).resized(width, height)
    }

    /// What [`Self::resized_covering`] keeps of the picture.
    pub fn covering_part(&self, width: u32, height: u32) -> Part {
        let (width, height) = (width.max(1), height.max(1));
        let scale = (f64::from(width) / f64::from(self.width)).max(f64::from(height) / f64::from(self.height));
        let part = |wanted: u32, length: u32| ((f64::from(wanted) / scale).round() as u32).clamp(1, length);
        let (width, height) = (part(width, self.width), part(height, self.height));
        Part { left: (self.width - width) / 2, top: (self.height - height) / 2, width, height }
    }

    /// A part that lies within the picture.
    pub fn cropped(&self, Part { left, top, width, height }: Part) -> Self {
        let row_of = |row: u32| {
            let start = (row as usize * self.width as usize + left as usize) * 3;
            &self.rgb[start..start + width as usize * 3]
        };
        Self { width, height, rgb: (top..top + height).flat_map(row_of).copied().collect() }
    }
}

/// The text chunks of a PNG file as (keyword, text), in the order of the file's chunk kinds: `tEXt`, `zTXt`, `iTXt`.
///
/// # Errors
/// [`Error::Image`] when the file is not a readable PNG or its text is longer than 8 MiB.
pub fn read_png_text(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let failed =
        |error: png::DecodingError| Error::Image(format!("The PNG picture's text could not be read: {error}."));
    let limits = png::Limits { bytes: LARGEST_DECODED as usize };
    let mut reader = png::Decoder::new_with_limits(Cursor::new(bytes), limits).read_info().map_err(failed)?;
    // Text may stand behind the pixels as well.
    reader.finish().map_err(failed)?;
    let info = reader.info();
    let mut found = Vec::new();
    let mut left = LARGEST_TEXT;
    let mut keep = |keyword: &str, text: String| {
        left = left.checked_sub(text.len())?;
        found.push((keyword.to_owned(), text));
        Some(())
    };
    let mut kept = info.uncompressed_latin1_text.iter().all(|chunk| keep(&chunk.keyword, chunk.text.clone()).is_some());
    for chunk in &info.compressed_latin1_text {
        let mut chunk = chunk.clone();
        chunk.decompress_text_with_limit(LARGEST_TEXT).map_err(failed)?;
        kept &= keep(&chunk.keyword, chunk.get_text().map_err(failed)?).is_some();
    }
    for chunk in &info.utf8_text {
        let mut chunk = chunk.clone();
        chunk.decompress_text_with_limit(LARGEST_TEXT).map_err(failed)?;
        kept &= keep(&chunk.keyword, chunk.get_text().map_err(failed)?).is_some();
    }
    if kept { Ok(found) } else { Err(Error::Image("The PNG picture carries more than 8 MiB of text.".to_owned())) }
}

fn check_size((width, height): (u32, u32), decoded: u64) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::Image("The picture has no pixels.".to_owned()));
    }
    if width > LARGEST_EDGE || height > LARGEST_EDGE {
        return Err(Error::Image(format!(
            "The picture is {width} x {height} pixels; at most {LARGEST_EDGE} x {LARGEST_EDGE} are read. Scale it down."
        )));
    }
    if decoded > LARGEST_DECODED {
        let (needed, limit) = (decoded.div_ceil(1 << 20), LARGEST_DECODED >> 20);
        return Err(Error::Image(format!(
            "The picture of {width} x {height} pixels needs {needed} MiB when decoded; at most {limit} MiB are read. \
             Scale it down."
        )));
    }
    Ok(())
}

fn unreadable(format: ImageFormat, error: &ImageError) -> Error {
    let name = match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        _ => "WebP",
    };
    Error::Image(match error {
        ImageError::Unsupported(_) => {
            format!(
                "The {name} picture uses a feature that is not supported ({error}); save it again as a plain {name}."
            )
        }
        ImageError::Limits(_) => {
            format!("The {name} picture needs more memory to decode than is allowed; scale it down.")
        }
        _ => format!("The {name} picture is damaged or incomplete ({error}); upload it again."),
    })
}

/// Whether an end marker follows the start of a JPEG file's pixels. The decoder fills a missing rest with grey, which
/// would pass for a picture.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    // Segments before the pixels may hold a thumbnail, a whole JPEG file with an end of its own: they are skipped.
    let mut at = 2;
    while let Some(&[0xff, marker, ref rest @ ..]) = bytes.get(at..) {
        match marker {
            0xff => at += 1,
            0xda => return rest.windows(2).any(|pair| pair == [0xff, 0xd9]),
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => match rest {
                [high, low, ..] => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
                _ => return false,
            },
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: u32, height: u32) -> Picture {
        let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| [(x * 5) as u8, (y * 5) as u8, 90])).collect();
        Picture::new(width, height, rgb).unwrap()
    }

    fn message(result: Result<Picture>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn every_format_comes_back() {
        let picture = gradient(40, 24);
        assert_eq!(Picture::decode(&picture.encode_png(&[])).unwrap(), picture);
        assert_eq!(Picture::decode(&picture.encode_webp()).unwrap(), picture);
        let jpeg = picture.encode_jpeg(95);
        assert_eq!(media_type(&jpeg), Some("image/jpeg"));
        let back = Picture::decode(&jpeg).unwrap();
        let worst = back.rgb.iter().zip(&picture.rgb).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst < Some(24), "{worst:?}");
    }

    #[test]
    fn text_survives_in_any_script() {
        let text =
            [("parameters", "a café, 3 < 4\nSteps: 20"), ("atelier", "{\"prompt\":\"灯台と海 🌊\"}"), ("empty", "")]
                .map(|(keyword, text)| (keyword.to_owned(), text.to_owned()));
        let read = read_png_text(&gradient(9, 9).encode_png(&text)).unwrap();
        for pair in &text {
            assert!(read.contains(pair), "{pair:?} in {read:?}");
        }
        let odd = gradient(9, 9).encode_png(&[("schlüssel".to_owned(), "a\0b".to_owned())]);
        assert_eq!(read_png_text(&odd).unwrap(), [("schl?ssel".to_owned(), "a\u{fffd}b".to_owned())]);
    }

    #[test]
    fn damaged_files_are_refused_with_a_sentence() {
        let picture = gradient(64, 64);
        for file in [picture.encode_png(&[]), picture.encode_jpeg(90), picture.encode_webp()] {
            for length in [12, file.len() / 2, file.len() * 9 / 10] {
                let said = message(Picture::decode(&file[..length]));
                assert!(said.contains("incomplete"), "{said}");
            }
        }
        assert!(message(Picture::decode(b"")).contains("empty"));
        assert!(message(Picture::decode(b"GIF89a what")).contains("not a PNG, JPEG or WebP"));
    }

    /// A PNG whose header promises 60,000 x 60,000 pixels is refused by its header, before memory is taken.
    #[test]
    fn sizes_are_refused_before_decoding() {
        let header = |width: u32, height: u32| {
            let mut file = gradient(8, 8).encode_png(&[]);
            file[16..20].copy_from_slice(&width.to_be_bytes());
            file[20..24].copy_from_slice(&height.to_be_bytes());
            // The checksum covers the chunk's name and data.
            let checksum = crc32(&file[12..29]);
            file[29..33].copy_from_slice(&checksum.to_be_bytes());
            file
        };
        assert!(message(Picture::decode(&header(60_000, 60_000))).contains("60000 x 60000"));
        assert!(message(Picture::decode(&header(8192, 8192))).contains("192 MiB"));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |state, byte| {
            (0..8)
                .fold(state ^ u32::from(*byte), |state, _| (state >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(state & 1)))
        })
    }

    #[test]
    fn orientation_is_applied_and_transparency_laid_on_white() {
        // A JPEG with an EXIF block that says "rotate by 90 degrees clockwise" (6).
        let jpeg = gradient(40, 24).encode_jpeg(95);
        let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
        let mut turned = vec![0xff, 0xd8, 0xff, 0xe1];
        turned.extend(((exif.len() + 2) as u16).to_be_bytes());
        turned.append(&mut exif);
        turned.extend(&jpeg[2..]);
        let picture = Picture::decode(&turned).unwrap();
        assert_eq!((picture.width, picture.height), (24, 40));
        // What was on the left is now on top.
        assert!(picture.pixel(12, 0)[0] < 30 && picture.pixel(12, 39)[0] > 160);

        let mut clear = ::image::RgbaImage::from_pixel(4, 4, ::image::Rgba([200, 0, 0, 0]));
        clear.put_pixel(0, 0, ::image::Rgba([200, 0, 0, 255]));
        let mut file = Cursor::new(Vec::new());
        clear.write_to(&mut file, ImageFormat::Png).unwrap();
        let picture = Picture::decode(file.get_ref()).unwrap();
        assert_eq!((picture.pixel(0, 0), picture.pixel(3, 3)), ([200, 0, 0], [255, 255, 255]));
    }

    #[test]
    fn covering_keeps_proportions() {
        let picture = gradient(50, 20);
        let square = picture.resized_covering(10, 10);
        assert_eq!((square.width, square.height), (10, 10));
        // The middle 20 x 20 is kept: the left edge shows x = 15, the right x = 35.
        assert!(square.pixel(0, 5)[0].abs_diff(78) < 12, "{:?}", square.pixel(0, 5));
        assert!(square.pixel(9, 5)[0].abs_diff(170) < 12, "{:?}", square.pixel(9, 5));
        let small = picture.thumbnail(25);
        assert_eq!((small.width, small.height), (25, 10));
        assert_eq!(picture.thumbnail(500), picture);
    }
}
