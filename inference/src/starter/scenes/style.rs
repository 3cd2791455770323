//! What a style does to the whole sheet: its paper or darkness, its background, and the finish over everything.

use super::brush::{Look, pastel};
use super::canvas::{Canvas, Rgb, fractal_noise, lattice, luma, mix, noise, scaled, smoothstep, times};
use super::spec::{Background, Style};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

const BLACKBOARD: Rgb = [0.15, 0.20, 0.18];
const BLUEPRINT: Rgb = [0.10, 0.26, 0.56];
const NEON_DARK: Rgb = [0.05, 0.04, 0.09];
const MOONLIT: Rgb = [0.10, 0.13, 0.27];

impl Look {
    /// Draws the chances of one picture in this style.
    pub fn new(style: Style, random: &mut ChaCha8Rng) -> Self {
        let side = if random.random_bool(0.5) { 1.0 } else { -1.0 };
        let (right, up) = (side * random.random_range(0.3f32..0.6), random.random_range(0.35f32..0.6));
        Self {
            style,
            seed: random.random(),
            light: [right, -up, (1.0 - right * right - up * up).sqrt()],
            grain: random.random_range(0.02..0.07),
            depth: if random.random_bool(0.6) { random.random_range(0.012..0.035) } else { 0.0 },
        }
    }

    /// The colour of an empty sheet.
    pub fn sheet(&self) -> Rgb {
        match self.style {
            Style::Chalk => BLACKBOARD,
            Style::Blueprint => BLUEPRINT,
            Style::Neon => NEON_DARK,
            Style::Night => MOONLIT,
            Style::Photo | Style::Monochrome | Style::Sepia => [0.86, 0.86, 0.85],
            _ => [0.985, 0.985, 0.98],
        }
    }

    /// How the style shows a colour of the background.
    pub fn ground(&self, colour: Rgb, background: Background, x: f32, y: f32) -> Rgb {
        let land = !matches!(background, Background::Sheet);
        match self.style {
            Style::Flat | Style::Pixel | Style::PaperCut | Style::Photo | Style::Monochrome | Style::Sepia => colour,
            Style::Outline if land => mix(colour, [1.0; 3], 0.72),
            Style::Outline => colour,
            Style::Pastel => pastel(colour),
            Style::Poster => self.rays(mix([luma(colour); 3], colour, 1.3), x, y),
            Style::Watercolour => {
                let wash = fractal_noise(x * 4.0, y * 4.0, 3, 0.55, self.seed);
                let rim = smoothstep(0.0, 0.05, x.min(y).min(1.0 - x).min(1.0 - y) - 0.03 * wash);
                mix([0.985, 0.98, 0.96], colour, rim * (0.42 + 0.5 * wash))
            }
            Style::Sketch => {
                let hatch = (((x - 0.4 * y) * 26.0).rem_euclid(1.0) - 0.5).abs();
                let pressure = smoothstep(0.42, 0.18, hatch) * if land { 0.7 } else { 0.0 };
                mix([0.97, 0.965, 0.95], scaled(mix(colour, [luma(colour); 3], 0.5), 0.9), pressure)
            }
            Style::Chalk if land => mix(BLACKBOARD, colour, 0.25 + 0.25 * noise(x * 40.0, y * 18.0, self.seed)),
            Style::Chalk => scaled(colour, 0.85 + 0.35 * fractal_noise(x * 4.0, y * 3.0, 3, 0.5, self.seed)),
            Style::Blueprint => {
                let line = |value: f32| ((value * 8.0).rem_euclid(1.0) - 0.5).abs();
                let grid = smoothstep(0.46, 0.5, line(x).max(line(y)));
                mix(mix(BLUEPRINT, [luma(colour); 3], if land { 0.25 } else { 0.0 }), [0.75, 0.85, 1.0], 0.3 * grid)
            }
            Style::Neon => {
                let bricks = 0.75 + 0.5 * noise(x * 16.0, y * 30.0, self.seed);
                if land { mix(scaled(NEON_DARK, bricks), colour, 0.13) } else { scaled(NEON_DARK, bricks) }
            }
            Style::Night => {
                let star = !land && lattice((x * 40.0) as i32, (y * 40.0) as i32, self.seed) > 0.982;
                if star { [0.9, 0.92, 1.0] } else { colour }
            }
        }
    }

    /// Two-toned rays from below the middle.
    fn rays(&self, colour: Rgb, x: f32, y: f32) -> Rgb {
        let angle = (y - 0.62).atan2(x - 0.5) * 16.0 / std::f32::consts::TAU;
        let ray = (angle.rem_euclid(1.0) - 0.5).abs() > 0.25;
        if ray { scaled(colour, 0.84) } else { colour }
    }

    /// The last pass over the sheet: tone, light, grain.
    pub fn finish(&self, canvas: &mut Canvas) {
        match self.style {
            Style::Photo => self.camera(canvas, |colour| colour),
            Style::Monochrome => self.camera(canvas, |colour| [contrasty(luma(colour)); 3]),
            Style::Sepia => self.camera(canvas, |colour| {
                let grey = 0.08 + 0.87 * luma(colour);
                [grey.powf(0.80), 0.93 * grey.powf(1.02), 0.78 * grey.powf(1.25)]
            }),
            Style::Night => canvas.everywhere(|x, y, pixel| {
                let moon = ((x - 0.5 - 0.4 * self.light[0].signum()).powi(2) + (y - 0.1).powi(2)).sqrt();
                let light = 0.68 + 0.55 * (-moon * 2.2).exp();
                *pixel = mix(scaled(times(*pixel, [0.76, 0.82, 1.1]), light), [0.04, 0.06, 0.16], 0.12);
            }),
            Style::Watercolour => canvas.everywhere(|x, y, pixel| {
                let tooth = noise(x * 52.0, y * 52.0, self.seed ^ 4);
                *pixel = scaled(*pixel, 0.95 + 0.08 * tooth);
            }),
            Style::Pastel => canvas.everywhere(|x, y, pixel| {
                *pixel = mix(*pixel, [1.0, 0.98, 0.95], 0.14 * noise(x * 46.0, y * 46.0, self.seed));
            }),
            Style::PaperCut => canvas.everywhere(|x, y, pixel| {
                *pixel = scaled(*pixel, 0.965 + 0.06 * noise(x * 40.0, y * 40.0, self.seed));
            }),
            Style::Pixel => canvas.everywhere(|_, _, pixel| {
                // Eleven levels a channel, a small palette.
                *pixel = pixel.map(|value| (value * 10.0).round() / 10.0);
            }),
            _ => {}
        }
    }

    /// Uneven light, vignette, film or sensor grain, and a tone.
    fn camera(&self, canvas: &mut Canvas, tone: impl Fn(Rgb) -> Rgb) {
        let size = canvas.size as f32;
        let warmth = (noise(0.5, 0.5, self.seed) - 0.5) * 0.16;
        let exposure = 0.92 + 0.22 * noise(7.5, 0.5, self.seed);
        canvas.everywhere(|x, y, pixel| {
            let toward = (x - 0.5) * self.light[0] + (y - 0.5) * self.light[1];
            let corner = (x - 0.5).powi(2) + (y - 0.5).powi(2);
            let light = exposure * (1.0 + 0.3 * toward) * (1.0 - 0.5 * corner);
            let (column, row) = ((x * size) as i32, (y * size) as i32);
            // The sum of two uniform values is close enough to the bell curve of grain.
            let grain = lattice(column, row, self.seed) + lattice(column, row, self.seed ^ 0xA5A5) - 1.0;
            let lit = times(scaled(*pixel, light), [1.0 + warmth, 1.0, 1.0 - warmth]);
            *pixel = tone(lit).map(|value| value + self.grain * grain);
        });
    }
}

fn contrasty(value: f32) -> f32 {
    0.25 * value + 0.75 * smoothstep(-0.05, 1.05, value)
}
