//! Draws the dozen pictures of `assets/demo`, the data set that the demo trains on when it is given none: prints in two
//! inks, teal and ochre, on cream paper, with coarse halftone, grain and inks that do not quite meet. None of the
//! starter model's own styles looks like it.
//!
//! ```text
//! cargo run --release -p atelier-inference --example draw_demo_pictures -- assets/demo
//! ```

use atelier_inference::Picture;
use std::path::Path;
use std::process::ExitCode;

const EDGE: u32 = 432;
const QUALITY: u8 = 46;

/// Halftone cells across the picture.
const SCREEN: f32 = 38.0;

const PAPER: [f32; 3] = [0.955, 0.92, 0.835];
/// What each ink leaves of the light.
const TEAL: [f32; 3] = [0.03, 0.43, 0.46];
const OCHRE: [f32; 3] = [0.93, 0.56, 0.13];

/// Lays a motif down at one point.
type Drawing = fn(&mut Print);

/// Name and drawing of each picture; the name is its caption.
const PICTURES: [(&str, Drawing); 12] = [
    ("a-lighthouse-above-the-sea", lighthouse),
    ("a-boat-on-the-sea-at-sunset", boat),
    ("mountains-under-a-large-moon", mountains),
    ("a-house-beside-a-tree", house),
    ("pine-trees-in-the-hills", pines),
    ("a-cactus-in-the-desert", cactus),
    ("a-balloon-above-the-hills", balloon),
    ("a-cup-on-a-table", cup),
    ("flowers-in-a-vase", vase),
    ("two-fish-under-water", fish),
    ("a-city-at-night", city),
    ("mushrooms-in-a-meadow", mushrooms),
];

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("Say where to: draw_demo_pictures FOLDER");
        return ExitCode::FAILURE;
    };
    for (seed, (name, drawing)) in (1u32..).zip(PICTURES) {
        let path = Path::new(&folder).join(format!("{name}.jpg"));
        if let Err(error) = std::fs::write(&path, print(drawing, seed).encode_jpeg(QUALITY)) {
            eprintln!("{} could not be written: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// How much of each ink lies at one point, 0 to 1, while a drawing is laid down from back to front. Positions are in
/// units of the picture, y points down.
struct Print {
    x: f32,
    y: f32,
    teal: f32,
    ochre: f32,
    seed: u32,
}

impl Print {
    /// Lays tones of teal and ochre over everything where `distance` is negative.
    fn fill(&mut self, distance: f32, teal: f32, ochre: f32) {
        let cover = (0.5 - distance * EDGE as f32 * 0.6).clamp(0.0, 1.0);
        self.teal += (teal - self.teal) * cover;
        self.ochre += (ochre - self.ochre) * cover;
    }

    fn disc(&self, x: f32, y: f32, radius: f32) -> f32 {
        (self.x - x).hypot(self.y - y) - radius
    }

    fn oval(&self, x: f32, y: f32, a: f32, b: f32) -> f32 {
        (((self.x - x) / a).hypot((self.y - y) / b) - 1.0) * a.min(b)
    }

    fn block(&self, left: f32, top: f32, right: f32, bottom: f32) -> f32 {
        (left - self.x).max(self.x - right).max(top - self.y).max(self.y - bottom)
    }

    /// Convex corners in clockwise order as seen on the picture.
    fn corners(&self, corners: &[[f32; 2]]) -> f32 {
        let side = |(from, to): (&[f32; 2], &[f32; 2])| {
            let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
            ((self.x - from[0]) * dy - (self.y - from[1]) * dx) / dx.hypot(dy)
        };
        corners.iter().zip(corners.iter().cycle().skip(1)).map(side).fold(f32::MIN, f32::max)
    }

    fn stroke(&self, from: [f32; 2], to: [f32; 2], half_width: f32) -> f32 {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let (px, py) = (self.x - from[0], self.y - from[1]);
        let share = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
        (px - share * dx).hypot(py - share * dy) - half_width
    }

    /// Negative below a hilly line.
    fn hills(&self, height: f32, swing: f32, frequency: f32, lot: u32) -> f32 {
        let seed = self.seed * 31 + lot;
        let wave = noise(self.x * frequency, 0.5, seed) + 0.35 * noise(self.x * frequency * 2.7, 3.5, seed) - 0.67;
        height - swing * wave - self.y
    }

    /// A tone that falls from `top` to `bottom` between two heights.
    fn fade(&self, from: f32, to: f32, top: f32, bottom: f32) -> f32 {
        top + (bottom - top) * ((self.y - from) / (to - from)).clamp(0.0, 1.0)
    }

    fn sky(&mut self, teal_top: f32, ochre_low: f32) {
        self.teal = self.fade(0.0, 0.6, teal_top, 0.0);
        self.ochre = self.fade(0.15, 0.7, 0.0, ochre_low);
    }

    /// Water with streaks of light below `horizon`.
    fn sea(&mut self, horizon: f32) {
        let depth = self.y - horizon;
        let tone = self.fade(horizon, 1.0, 0.45, 0.95);
        self.fill(-depth, tone, 0.0);
        let streak = noise(self.x * 7.0, depth * 34.0, self.seed);
        self.fill((0.62 - streak).max(-depth) * 0.02, tone * 0.35, 0.12);
    }

    /// A pine tree of stacked triangles with its foot at (`x`, `y`).
    fn pine(&mut self, x: f32, y: f32, height: f32, teal: f32) {
        self.fill(self.block(x - height * 0.035, y - height * 0.15, x + height * 0.035, y), 0.8, 0.8);
        for (top, foot, width) in [(0.45, 0.1, 0.3), (0.72, 0.35, 0.23), (1.0, 0.62, 0.16)] {
            let tip = [x, y - height * top];
            let (right, left) = ([x + height * width, y - height * foot], [x - height * width, y - height * foot]);
            self.fill(self.corners(&[tip, right, left]), teal, 0.0);
            // The side away from the light is printed in both inks.
            self.fill(self.corners(&[tip, [x, right[1]], left]), teal, 0.55);
        }
    }
}

fn lighthouse(p: &mut Print) {
    p.sky(0.55, 0.55);
    p.fill(p.disc(0.76, 0.44, 0.11), 0.0, 1.0);
    p.sea(0.62);
    p.fill(p.hills(0.78, 0.0, 1.0, 1).max(p.disc(0.3, 1.15, 0.45)), 0.9, 0.9);
    p.fill(p.corners(&[[0.25, 0.3], [0.35, 0.3], [0.4, 0.8], [0.2, 0.8]]), 0.0, 0.05);
    for top in [0.36, 0.52, 0.68] {
        p.fill(
            p.corners(&[[0.25, 0.3], [0.35, 0.3], [0.4, 0.8], [0.2, 0.8]]).max(p.block(0.0, top, 1.0, top + 0.08)),
            0.0,
            1.0,
        );
    }
    p.fill(p.corners(&[[0.3, 0.2], [0.35, 0.3], [0.4, 0.8], [0.3, 0.8]]).max(0.31 - p.x), 0.35, p.ochre);
    p.fill(p.block(0.22, 0.28, 0.38, 0.305), 1.0, 0.6);
    p.fill(p.block(0.265, 0.22, 0.335, 0.28), 0.1, 1.0);
    p.fill(p.corners(&[[0.3, 0.14], [0.355, 0.22], [0.245, 0.22]]), 1.0, 0.3);
}

fn boat(p: &mut Print) {
    p.sky(0.3, 0.75);
    p.fill(p.disc(0.5, 0.5, 0.2), 0.0, 1.0);
    p.sea(0.6);
    p.fill(
        (p.x - 0.5).abs() - 0.03 - 0.25 * (p.y - 0.6).max(0.0) + 0.06 * noise(p.x * 3.0, p.y * 40.0, 5),
        p.teal * 0.5,
        0.7,
    );
    p.fill(p.corners(&[[0.52, 0.2], [0.78, 0.66], [0.52, 0.66]]), 0.0, 0.08);
    p.fill(p.corners(&[[0.48, 0.28], [0.48, 0.66], [0.28, 0.66]]), 0.3, 0.35);
    p.fill(p.block(0.492, 0.18, 0.508, 0.74), 1.0, 0.9);
    p.fill(p.corners(&[[0.22, 0.7], [0.82, 0.7], [0.7, 0.82], [0.32, 0.82]]), 1.0, 1.0);
    p.fill(p.block(0.24, 0.715, 0.8, 0.735), 0.0, 1.0);
}

fn mountains(p: &mut Print) {
    p.sky(0.75, 0.35);
    p.fill(p.disc(0.62, 0.3, 0.2), 0.0, 0.28);
    p.fill(p.disc(0.56, 0.26, 0.04).min(p.disc(0.68, 0.34, 0.055)).min(p.disc(0.6, 0.4, 0.03)), 0.0, 0.5);
    let peaks: [([f32; 2], f32, f32); 3] =
        [([0.3, 0.34], 0.42, 0.45), ([0.75, 0.42], 0.4, 0.6), ([0.48, 0.5], 0.36, 0.8)];
    for (tip, width, tone) in peaks {
        let slope = 0.03 * noise(p.y * 18.0, p.x * 6.0, 8);
        p.fill(p.corners(&[tip, [tip[0] + width, 0.85], [tip[0] - width, 0.85]]) + slope, tone, 0.0);
        p.fill(p.corners(&[tip, [tip[0] + 0.05, 0.85], [tip[0] - width, 0.85]]) + slope, tone, 0.55);
        let snow = p.y - tip[1] - 0.1 - 0.05 * noise(p.x * 26.0, 1.0, 3);
        p.fill((p.corners(&[tip, [tip[0] + width, 0.85], [tip[0] - width, 0.85]]) + slope).max(snow), 0.0, 0.05);
    }
    p.fill(p.hills(0.8, 0.08, 3.0, 4), 0.2, 0.9);
    p.fill(p.hills(0.9, 0.06, 2.0, 5), 0.95, 0.8);
}

fn house(p: &mut Print) {
    p.sky(0.35, 0.25);
    p.fill(p.disc(0.2, 0.22, 0.09), 0.0, 1.0);
    p.fill(p.hills(0.72, 0.12, 2.0, 1), 0.35, 0.35);
    p.fill(p.hills(0.8, 0.05, 2.0, 2), 0.55, 0.75);
    p.fill(p.block(0.28, 0.46, 0.6, 0.82), 0.0, 0.35);
    p.fill(p.block(0.28, 0.46, 0.38, 0.82), 0.3, 0.45);
    p.fill(p.block(0.52, 0.24, 0.57, 0.4), 0.9, 0.6);
    p.fill(p.corners(&[[0.44, 0.25], [0.66, 0.48], [0.22, 0.48]]), 0.1, 1.0);
    p.fill(p.block(0.41, 0.64, 0.48, 0.82), 1.0, 0.4);
    p.fill(p.block(0.51, 0.55, 0.57, 0.63).min(p.block(0.31, 0.55, 0.37, 0.63)), 0.85, 0.0);
    p.fill(p.block(0.765, 0.6, 0.8, 0.85), 0.8, 1.0);
    for (x, y, radius) in [(0.78, 0.4, 0.13), (0.7, 0.52, 0.1), (0.86, 0.53, 0.1)] {
        p.fill(p.disc(x, y, radius), 0.8, 0.0);
        p.fill(p.disc(x, y, radius).max(-p.disc(x - 0.05, y - 0.05, radius)), 0.95, 0.45);
    }
}

fn pines(p: &mut Print) {
    p.sky(0.2, 0.5);
    p.fill(p.disc(0.3, 0.3, 0.13), 0.0, 0.95);
    p.fill(p.hills(0.58, 0.2, 2.4, 1), 0.25, 0.15);
    p.fill(p.hills(0.7, 0.14, 1.8, 2), 0.45, 0.5);
    for (x, y, height) in [(0.14, 0.74, 0.3), (0.88, 0.72, 0.34), (0.4, 0.76, 0.26), (0.66, 0.77, 0.4)] {
        p.pine(x, y, height, 0.7);
    }
    p.fill(p.hills(0.84, 0.08, 1.6, 3), 0.15, 0.85);
    for (x, y, height) in [(0.27, 0.93, 0.55), (0.78, 0.97, 0.42)] {
        p.pine(x, y, height, 1.0);
    }
}

fn cactus(p: &mut Print) {
    p.sky(0.3, 0.6);
    p.fill(p.disc(0.72, 0.32, 0.15), 0.0, 1.0);
    p.fill(p.hills(0.62, 0.16, 2.0, 1), 0.35, 0.5);
    p.fill(p.hills(0.74, 0.1, 1.5, 2), 0.0, 0.6);
    p.fill(p.hills(0.86, 0.08, 1.2, 3), 0.2, 1.0);
    let arms = [
        ([0.42, 0.3], [0.42, 0.88], 0.075),
        ([0.42, 0.62], [0.24, 0.6], 0.045),
        ([0.24, 0.6], [0.24, 0.44], 0.045),
        ([0.42, 0.55], [0.6, 0.52], 0.042),
        ([0.6, 0.52], [0.6, 0.36], 0.042),
    ];
    for (from, to, half) in arms {
        p.fill(p.stroke(from, to, half), 0.85, 0.0);
    }
    for (from, to, half) in arms {
        let shade = p.stroke(from, to, half).max(-p.stroke([from[0] + 0.03, from[1]], [to[0] + 0.03, to[1]], half));
        p.fill(shade.max(if from[0] == to[0] { -1.0 } else { 1.0 }), 1.0, 0.6);
    }
    p.fill(p.oval(0.47, 0.9, 0.2, 0.02), 0.8, 1.0);
}

fn balloon(p: &mut Print) {
    p.sky(0.5, 0.3);
    for (x, y) in [(0.16, 0.24), (0.82, 0.5)] {
        let cloud = p.disc(x, y, 0.06).min(p.disc(x + 0.08, y + 0.01, 0.05)).min(p.disc(x - 0.07, y + 0.02, 0.04));
        p.fill(cloud, 0.0, 0.05);
    }
    p.fill(p.hills(0.8, 0.14, 2.4, 1), 0.4, 0.2);
    p.fill(p.hills(0.88, 0.1, 1.6, 2), 0.6, 0.9);
    p.fill(p.stroke([0.4, 0.56], [0.46, 0.72], 0.004).min(p.stroke([0.62, 0.56], [0.56, 0.72], 0.004)), 1.0, 0.8);
    let below = p.corners(&[[0.27, 0.42], [0.75, 0.42], [0.57, 0.66], [0.45, 0.66]]);
    let hull = p.disc(0.51, 0.34, 0.25).min(below);
    p.fill(hull, 0.0, 1.0);
    // Gores: ovals of falling width around the axis.
    p.fill(p.oval(0.51, 0.38, 0.17, 0.32).max(hull), 0.0, 0.15);
    p.fill(p.oval(0.51, 0.38, 0.07, 0.34).max(hull), 0.85, 0.1);
    p.fill(hull.max(-p.disc(0.58, 0.3, 0.29)), p.teal.max(0.5), p.ochre);
    p.fill(p.block(0.455, 0.7, 0.565, 0.77), 0.9, 1.0);
}

fn cup(p: &mut Print) {
    p.teal = 0.25 + 0.35 * p.x;
    p.ochre = 0.12;
    p.fill(p.block(0.1, 0.08, 0.42, 0.5), 0.0, 0.3);
    p.fill(p.block(0.12, 0.1, 0.4, 0.48), 0.15, 0.0);
    p.fill(p.disc(0.32, 0.24, 0.06), 0.0, 0.9);
    p.fill(0.68 - p.y, 0.15 + 0.5 * (noise(p.x * 2.0, p.y * 40.0, 4) - 0.4).max(0.0), 0.8);
    p.fill(p.oval(0.55, 0.85, 0.3, 0.05), 0.85, 1.0);
    p.fill(p.disc(0.76, 0.58, 0.11).max(-p.disc(0.76, 0.58, 0.065)), 0.15, 0.95);
    p.fill(p.corners(&[[0.3, 0.42], [0.75, 0.42], [0.67, 0.84], [0.38, 0.84]]), 0.0, 1.0);
    p.fill(p.corners(&[[0.3, 0.42], [0.44, 0.42], [0.46, 0.84], [0.38, 0.84]]), 0.55, 1.0);
    p.fill(p.oval(0.525, 0.42, 0.225, 0.045), 0.0, 0.25);
    p.fill(p.oval(0.525, 0.428, 0.19, 0.033), 1.0, 0.9);
    for x in [0.44, 0.53, 0.62] {
        let sway = x + 0.025 * (p.y * 30.0).sin();
        p.fill((p.x - sway).abs() - 0.011 + (0.16 - p.y).max(0.0) + (p.y - 0.36).max(0.0), 0.0, 0.05);
    }
}

fn vase(p: &mut Print) {
    p.ochre = 0.22 + 0.25 * p.y;
    p.fill(p.disc(0.5, 0.42, 0.36), 0.0, 0.75);
    p.fill(0.8 - p.y, 0.5, 0.15);
    let flowers = [(0.5, 0.22, 0.1), (0.33, 0.34, 0.085), (0.68, 0.33, 0.09)];
    for (x, y, _) in flowers {
        p.fill(p.stroke([x, y], [0.5, 0.62], 0.01), 1.0, 0.3);
    }
    for (x, turn) in [(0.41, 0.5), (0.6, -0.5)] {
        let (dx, dy) = (p.x - x, p.y - 0.5);
        let leaf = ((dx + turn * dy) / 0.035).hypot((dy - turn * dx) / 0.09) - 1.0;
        p.fill(leaf * 0.035, 0.8, 0.3);
    }
    for (x, y, size) in flowers {
        for petal in 0..7 {
            let angle = petal as f32 * std::f32::consts::TAU / 7.0;
            p.fill(p.disc(x + size * 0.62 * angle.cos(), y + size * 0.62 * angle.sin(), size * 0.45), 0.0, 0.04);
        }
        p.fill(p.disc(x, y, size * 0.45), 0.9, 1.0);
    }
    let body = p.oval(0.5, 0.76, 0.16, 0.15).min(p.block(0.445, 0.56, 0.555, 0.7)).max(p.y - 0.88);
    p.fill(body, 0.95, 0.0);
    p.fill(body.max(-p.oval(0.55, 0.74, 0.18, 0.19)), 1.0, 0.65);
    p.fill(p.block(0.425, 0.55, 0.575, 0.58), 1.0, 0.2);
    p.fill(p.block(0.3, 0.74, 0.7, 0.775).max(body), 0.1, 0.9);
}

fn fish(p: &mut Print) {
    p.teal = p.fade(0.0, 1.0, 0.25, 0.95);
    p.fill((0.6 - noise((p.x + p.y * 0.4) * 6.0, 0.5, 12)) * 0.05 + (p.y - 0.6).max(0.0), p.teal * 0.5, 0.1);
    p.fill(p.hills(0.86, 0.06, 2.0, 2), 0.5, 0.8);
    for x in [0.12, 0.2, 0.86, 0.93] {
        let sway = x + 0.02 * (p.y * 22.0 + x * 40.0).sin();
        p.fill((p.x - sway).abs() - 0.014 + (0.55 + x * 0.1 - p.y).max(0.0), 1.0, 0.55);
    }
    for (x, y, size) in [(0.42, 0.36, 1.0), (0.62, 0.66, 0.72)] {
        let fin =
            p.corners(&[[x + 0.16 * size, y], [x + 0.34 * size, y - 0.13 * size], [x + 0.34 * size, y + 0.13 * size]]);
        p.fill(fin, 0.1, 1.0);
        p.fill(
            p.corners(&[[x, y - 0.2 * size], [x + 0.12 * size, y - 0.06 * size], [x - 0.1 * size, y - 0.06 * size]]),
            0.2,
            1.0,
        );
        let body = p.oval(x, y, 0.24 * size, 0.13 * size);
        p.fill(body, 0.0, 1.0);
        p.fill(body.max(y + 0.03 - p.y), 0.0, 0.35);
        for stripe in [-0.02, 0.07] {
            p.fill(body.max((p.x - x - stripe * size).abs() - 0.018 * size), 0.9, 0.6);
        }
        p.fill(p.disc(x - 0.14 * size, y - 0.025 * size, 0.03 * size), 0.0, 0.0);
        p.fill(p.disc(x - 0.145 * size, y - 0.025 * size, 0.014 * size), 1.0, 1.0);
    }
    for (x, y, radius) in [(0.14, 0.22, 0.02), (0.19, 0.15, 0.013), (0.33, 0.55, 0.018), (0.3, 0.47, 0.011)] {
        p.fill(p.disc(x, y, radius).abs() - 0.004, 0.0, 0.0);
    }
}

fn city(p: &mut Print) {
    p.sky(0.95, 0.5);
    p.fill(p.disc(0.72, 0.25, 0.12), 0.0, 0.55);
    p.fill(p.disc(0.67, 0.22, 0.1), p.fade(0.0, 0.6, 0.95, 0.0), 0.0);
    for layer in 0..2u32 {
        let count = 8.0 - 2.0 * layer as f32;
        let cell = (p.x * count).floor();
        let top = 0.3 + 0.16 * layer as f32 + 0.28 * lattice(cell as i32, layer as i32, 77);
        let (teal, ochre) = if layer == 0 { (0.5, 0.25) } else { (1.0, 0.55) };
        p.fill(top - p.y, teal, ochre);
        let (column, row) = (p.x * count * 3.0, p.y * 19.0);
        let lamp = lattice(column.floor() as i32, row.floor() as i32, 5 + layer) > 0.45;
        let pane = (column.rem_euclid(1.0) - 0.5).abs().max((row.rem_euclid(1.0) - 0.5).abs()) - 0.24;
        if lamp && p.y > top + 0.04 && p.y < 0.88 {
            p.fill(pane * 0.05, 0.0, 0.95);
        }
    }
    p.fill(0.9 - p.y, 1.0, 1.0);
}

fn mushrooms(p: &mut Print) {
    p.sky(0.3, 0.2);
    p.fill(p.hills(0.55, 0.2, 2.2, 1), 0.3, 0.25);
    p.fill(p.hills(0.74, 0.08, 1.8, 2), 0.6, 0.5);
    for (x, y, size) in [(0.38, 0.45, 1.0), (0.7, 0.6, 0.66), (0.17, 0.66, 0.45)] {
        p.fill(p.oval(x, y + 0.22 * size, 0.075 * size, 0.24 * size), 0.0, 0.1);
        p.fill(p.oval(x - 0.03 * size, y + 0.22 * size, 0.04 * size, 0.22 * size), 0.35, 0.15);
        let cap = p.oval(x, y + 0.02 * size, 0.26 * size, 0.25 * size).max(p.y - y - 0.03 * size);
        p.fill(cap, 0.0, 1.0);
        p.fill(cap.max(-p.oval(x + 0.07 * size, y, 0.27 * size, 0.27 * size)), 0.6, 1.0);
        for (dx, dy, radius) in [(-0.1, -0.07, 0.04), (0.05, -0.13, 0.045), (0.14, -0.04, 0.03), (-0.02, -0.03, 0.025)]
        {
            p.fill(p.disc(x + dx * size, y + dy * size, radius * size), 0.0, 0.03);
        }
    }
    let blades = 0.9 - 0.09 * noise(p.x * 46.0, 0.5, 3) - p.y;
    p.fill(blades, 0.95, 0.75);
}

/// Prints a drawing: screens and grain for each ink, the second a little out of register, inside a border of paper.
fn print(drawing: Drawing, seed: u32) -> Picture {
    let slip = 0.004 + 0.004 * lattice(seed as i32, 1, 9);
    let mut rgb = Vec::with_capacity((EDGE * EDGE * 3) as usize);
    for row in 0..EDGE {
        for column in 0..EDGE {
            let (x, y) = ((column as f32 + 0.5) / EDGE as f32, (row as f32 + 0.5) / EDGE as f32);
            let fibre = 0.975 + 0.05 * noise(x * 60.0, y * 60.0, seed);
            let mut light = PAPER.map(|value| value * fibre);
            let inks = [(TEAL, 0.0, 0.26), (OCHRE, slip, 1.31)];
            for (lot, (ink, offset, angle)) in inks.into_iter().enumerate() {
                let mut point = Print { x: x - offset, y: y + 0.6 * offset, teal: 0.0, ochre: 0.0, seed };
                drawing(&mut point);
                let tone = if lot == 0 { point.teal } else { point.ochre };
                let cover = screen(tone, x, y, angle) * inked(x - offset, y, seed + 100 * lot as u32);
                light = std::array::from_fn(|channel| light[channel] * (1.0 - cover * (1.0 - ink[channel])));
            }
            rgb.extend(light.map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8));
        }
    }
    Picture { width: EDGE, height: EDGE, rgb }
}

/// The share of ink that a halftone of this tone lays at a point.
fn screen(tone: f32, x: f32, y: f32, angle: f32) -> f32 {
    let (sine, cosine) = angle.sin_cos();
    let (u, v) = ((x * cosine + y * sine) * SCREEN, (y * cosine - x * sine) * SCREEN);
    let wave = |value: f32| (value * std::f32::consts::TAU).cos();
    let threshold = 0.5 + 0.25 * (wave(u) + wave(v));
    ((tone * 1.06 - threshold) * 5.0 + 0.5).clamp(0.0, 1.0)
}

/// How well the ink took: uneven over the sheet, speckled, nothing on the border of the paper.
fn inked(x: f32, y: f32, seed: u32) -> f32 {
    let edge = x.min(y).min(1.0 - x).min(1.0 - y) - 0.035 - 0.006 * noise(x * 40.0, y * 40.0, seed);
    let border = (edge * EDGE as f32 * 0.5).clamp(0.0, 1.0);
    let uneven = 0.86 + 0.16 * noise(x * 5.0, y * 5.0, seed);
    let speckle = noise(x * 100.0, y * 100.0, seed ^ 3);
    border * uneven.min(1.0) * (1.0 - 0.45 * ((speckle - 0.72) * 8.0).clamp(0.0, 1.0))
}

/// A random value in 0..1 that belongs to a lattice point.
fn lattice(x: i32, y: i32, seed: u32) -> f32 {
    let mut hash =
        (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ seed.wrapping_mul(0xC2B2_AE3D);
    hash = (hash ^ (hash >> 15)).wrapping_mul(0x2C1B_3C6D);
    hash = (hash ^ (hash >> 12)).wrapping_mul(0x297A_2D39);
    (hash ^ (hash >> 15)) as f32 / 4_294_967_296.0
}

/// Smooth noise in 0..1 between the points of the integer grid.
fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let ease = |value: f32| value * value * (3.0 - 2.0 * value);
    let (u, v) = (ease(x - x.floor()), ease(y - y.floor()));
    let at = |right: i32, below: i32| lattice(x.floor() as i32 + right, y.floor() as i32 + below, seed);
    let (top, bottom) = (at(0, 0) * (1.0 - u) + at(1, 0) * u, at(0, 1) * (1.0 - u) + at(1, 1) * u);
    top + (bottom - top) * v
}
