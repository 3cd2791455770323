//! Pixels that belong together.

/// A part of a picture: yes or no for every pixel, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mask {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<bool>,
}

impl Mask {
    /// All pixels of a picture.
    pub fn whole(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![true; width * height] }
    }

    /// The pixels at these indices.
    pub fn of(width: usize, height: usize, indices: &[usize]) -> Self {
        let mut pixels = vec![false; width * height];
        indices.iter().for_each(|index| pixels[*index] = true);
        Self { width, height, pixels }
    }

    /// How many pixels it holds.
    pub fn area(&self) -> usize {
        self.pixels.iter().filter(|inside| **inside).count()
    }

    /// Indices of its pixels.
    pub fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.pixels.iter().enumerate().filter_map(|(index, inside)| inside.then_some(index))
    }

    /// Indices of the up to four pixels that share an edge with one.
    fn neighbours(&self, index: usize) -> impl Iterator<Item = usize> {
        let (width, count) = (self.width, self.pixels.len());
        let column = index % width;
        let left = (column > 0).then(|| index - 1);
        let right = (column + 1 < width).then_some(index + 1);
        let above = index.checked_sub(width);
        let below = (index + width < count).then_some(index + width);
        [left, right, above, below].into_iter().flatten()
    }

    /// The mask without the pixels on its edge; beyond the picture counts as inside.
    pub fn eroded(&self) -> Self {
        let stays = |index: usize| self.pixels[index] && self.neighbours(index).all(|beside| self.pixels[beside]);
        Self { pixels: (0..self.pixels.len()).map(stays).collect(), ..*self }
    }

    /// The mask with the pixels around its edge.
    pub fn dilated(&self) -> Self {
        let reached = |index: usize| self.pixels[index] || self.neighbours(index).any(|beside| self.pixels[beside]);
        Self { pixels: (0..self.pixels.len()).map(reached).collect(), ..*self }
    }

    /// The mask and every hole in it that the picture's border cannot reach.
    pub fn filled(&self) -> Self {
        let outside = Self { pixels: self.pixels.iter().map(|inside| !inside).collect(), ..*self };
        let on_border = |index: &usize| {
            let (column, row) = (index % self.width, index / self.width);
            column == 0 || row == 0 || column + 1 == self.width || row + 1 == self.height
        };
        let mut pixels = vec![true; self.pixels.len()];
        for part in outside.components() {
            if part.iter().any(&on_border) {
                part.iter().for_each(|index| pixels[*index] = false);
            }
        }
        Self { pixels, ..*self }
    }

    /// Pixels that hang together by their edges, the largest part first.
    pub fn components(&self) -> Vec<Vec<usize>> {
        let mut seen = vec![false; self.pixels.len()];
        let mut found = Vec::new();
        for start in self.indices() {
            if seen[start] {
                continue;
            }
            seen[start] = true;
            let mut part = vec![start];
            let mut next = 0;
            while let Some(&index) = part.get(next) {
                next += 1;
                for beside in self.neighbours(index) {
                    if self.pixels[beside] && !seen[beside] {
                        seen[beside] = true;
                        part.push(beside);
                    }
                }
            }
            found.push(part);
        }
        found.sort_by_key(|part| std::cmp::Reverse(part.len()));
        found
    }

    /// Middle of the smallest box around pixels, in shares of the picture's edges.
    pub fn box_middle(&self, indices: &[usize]) -> (f32, f32) {
        let middle = |along: &dyn Fn(usize) -> usize| {
            let least = indices.iter().map(|index| along(*index)).min().unwrap_or(0);
            let most = indices.iter().map(|index| along(*index)).max().unwrap_or(0);
            (least + most + 1) as f32 / 2.0
        };
        let across = middle(&|index| index % self.width) / self.width as f32;
        (across, middle(&|index| index / self.width) / self.height as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: &[&str]) -> Mask {
        let pixels = rows.iter().flat_map(|row| row.chars().map(|sign| sign == '#')).collect();
        Mask { width: rows[0].len(), height: rows.len(), pixels }
    }

    #[test]
    fn parts_holes_and_edges() {
        let ring = mask(&["......", ".###..", ".#.#.#", ".###..", "......"]);
        let parts = ring.components();
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [8, 1]);
        assert_eq!(ring.filled().area(), ring.area() + 1);
        assert_eq!(ring.filled().eroded().area(), 1);
        assert_eq!(Mask::of(6, 5, &[14]).dilated().area(), 5);
        assert_eq!(ring.box_middle(&parts[0]), (2.5 / 6.0, 0.5));
        // A picture's border is no edge of what goes on beyond it.
        assert_eq!(Mask::whole(4, 4).eroded().area(), 16);
    }
}
