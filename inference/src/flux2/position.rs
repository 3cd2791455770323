//! Positions of tokens: (time, row, column, place in the text). Text tokens differ in the last, picture tokens in row and
//! column, reference pictures in time. Each is an axis of the rotary embedding (Su et al., "RoFormer", 2021): `_prepare_text_ids`,
//! `_prepare_latent_ids` and `_prepare_image_ids` in diffusers' `pipelines/flux2/pipeline_flux2.py`.

/// Positions of a packed picture of `rows` × `columns` tokens.
pub fn picture(rows: usize, columns: usize, time: i64) -> Vec<[i64; 4]> {
    (0..rows).flat_map(|row| (0..columns).map(move |column| [time, row as i64, column as i64, 0])).collect()
}

/// Positions of a text.
pub fn text(tokens: usize) -> Vec<[i64; 4]> {
    (0..tokens).map(|token| [0, 0, 0, token as i64]).collect()
}
