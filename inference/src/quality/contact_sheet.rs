//! Rows of pictures with titles on one sheet.

use crate::image::Picture;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// One row of a contact sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What stands above the pictures; signs beyond Latin-1 are shown as `?`.
    pub title: String,
    /// The pictures, from left to right; more than eight go on in further lines.
    pub pictures: Vec<Picture>,
}

/// Width of the whole sheet and of its parts, in pixels.
const MARGIN: u32 = 32;
const GAP: u32 = 8;
const CONTENT: u32 = 1080;
const MOST_COLUMNS: u32 = 8;
/// A row of one to four pictures is as large as one of four.
const FEWEST_COLUMNS: u32 = 4;
const BETWEEN_ROWS: u32 = 28;
const BELOW_TITLE: u32 = 10;

const PAPER: [u8; 3] = [250, 249, 246];
const INK: [u8; 3] = [48, 46, 44];
const RULE: [u8; 3] = [214, 210, 202];

const FONT: RasterHeight = RasterHeight::Size20;
const LINE: u32 = 20;

/// A sheet 1144 pixels wide with a title and the pictures of each row, cut to squares. Rows without pictures show
/// their title alone.
pub fn contact_sheet(rows: &[Row]) -> Picture {
    let heights: u32 = rows.iter().map(|row| row_height(row) + BETWEEN_ROWS).sum();
    let mut sheet = Picture::filled(CONTENT + 2 * MARGIN, heights.saturating_sub(BETWEEN_ROWS) + 2 * MARGIN, PAPER);
    let mut top = MARGIN;
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            let middle = top - BETWEEN_ROWS / 2;
            (MARGIN..MARGIN + CONTENT).for_each(|x| set(&mut sheet, x, middle, RULE));
        }
        write(&mut sheet, MARGIN, top, &row.title);
        let (columns, edge) = cells(row);
        for (place, picture) in (0u32..).zip(&row.pictures) {
            let left = MARGIN + place % columns * (edge + GAP);
            let down = top + LINE + BELOW_TITLE + place / columns * (edge + GAP);
            paste(&mut sheet, &picture.resized_covering(edge, edge), left, down);
        }
        top += row_height(row) + BETWEEN_ROWS;
    }
    sheet
}

/// Columns of a row and the edge of its cells.
fn cells(row: &Row) -> (u32, u32) {
    let count = row.pictures.len() as u32;
    let columns = match count {
        0..=MOST_COLUMNS => count.max(FEWEST_COLUMNS),
        // Of several lines the last shall be full, or all but one picture, in as few lines as that allows.
        _ => (FEWEST_COLUMNS + 1..=MOST_COLUMNS)
            .min_by_key(|columns| {
                let lines = count.div_ceil(*columns);
                (lines * columns - count > 1, lines)
            })
            .unwrap_or(MOST_COLUMNS),
    };
    (columns, (CONTENT - (columns - 1) * GAP) / columns)
}

fn row_height(row: &Row) -> u32 {
    let (columns, edge) = cells(row);
    let lines = (row.pictures.len() as u32).div_ceil(columns);
    LINE + if lines == 0 { 0 } else { BELOW_TITLE + lines * (edge + GAP) - GAP }
}

fn set(sheet: &mut Picture, x: u32, y: u32, colour: [u8; 3]) {
    let at = (y as usize * sheet.width as usize + x as usize) * 3;
    sheet.rgb[at..at + 3].copy_from_slice(&colour);
}

fn paste(sheet: &mut Picture, picture: &Picture, left: u32, top: u32) {
    let length = picture.width as usize * 3;
    for (row, pixels) in (top as usize..).zip(picture.rgb.chunks_exact(length)) {
        let at = (row * sheet.width as usize + left as usize) * 3;
        sheet.rgb[at..at + length].copy_from_slice(pixels);
    }
}

/// Writes one line; what does not fit is cut and ends in an ellipsis of points.
fn write(sheet: &mut Picture, left: u32, top: u32, text: &str) {
    let width = get_raster_width(FontWeight::Regular, FONT) as u32;
    let room = (CONTENT / width) as usize;
    let line: String = match text.chars().count() > room {
        true => text.chars().take(room - 3).chain("...".chars()).collect(),
        false => text.to_owned(),
    };
    for (place, sign) in (0u32..).zip(line.chars()) {
        let glyph = get_raster(sign, FontWeight::Regular, FONT).or_else(|| get_raster('?', FontWeight::Regular, FONT));
        let Some(glyph) = glyph else { continue };
        for (down, pixels) in (top..).zip(glyph.rows()) {
            for (across, &strength) in (left + place * width..).zip(pixels) {
                let blend = |channel: usize| {
                    let (paper, ink) = (u32::from(PAPER[channel]), u32::from(INK[channel]));
                    ((paper * (255 - u32::from(strength)) + ink * u32::from(strength)) / 255) as u8
                };
                set(sheet, across, down, [blend(0), blend(1), blend(2)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_in_their_rows() {
        let picture = |colour| Picture::filled(30, 50, colour);
        let rows = [
            Row { title: "Twelve — a long title that goes on ".repeat(5), pictures: vec![picture([200, 0, 0]); 12] },
            Row { title: "Four".to_owned(), pictures: vec![picture([0, 0, 200]); 4] },
            Row { title: "None".to_owned(), pictures: Vec::new() },
        ];
        let sheet = contact_sheet(&rows);
        let count = |colour: [u8; 3]| sheet.rgb.chunks_exact(3).filter(|pixel| *pixel == colour).count();
        assert_eq!(count([200, 0, 0]), 12 * 173 * 173);
        assert_eq!(count([0, 0, 200]), 4 * 264 * 264);
        // The last row's title is written, and the margin below it is empty.
        let below = |y: u32| (0..sheet.width).any(|x| sheet.pixel(x, y) != PAPER);
        assert!((sheet.height - MARGIN - LINE..sheet.height - MARGIN).any(below));
        assert!(!(sheet.height - MARGIN..sheet.height).any(below));
        assert_eq!(contact_sheet(&[]).height, 2 * MARGIN);
    }
}
