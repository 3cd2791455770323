//! Pictures without captions that have the statistics of photographs, for the autoencoder to learn from: 1/f noise
//! in correlated colours, overlapping bodies of all sizes (the "dead leaves" model), gradients, soft and hard edges,
//! blur, shadows, and the light and grain of a camera.

use super::background::rgb_of;
use super::canvas::{Canvas, Rgb, fractal_noise, lattice, mix, noise, scaled, smoothstep, times};
use super::form::Form;
use super::spec::Colour;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A surface: two colours, the noise that mixes them, and how coarse, rough and stretched it is.
struct Surface {
    dark: Rgb,
    light: Rgb,
    frequency: [f32; 2],
    cosine: f32,
    sine: f32,
    octaves: u32,
    roughness: f32,
    contrast: f32,
    seed: u32,
}

impl Surface {
    fn new(dark: Rgb, light: Rgb, random: &mut ChaCha8Rng) -> Self {
        let frequency = 2.0f32.powf(random.random_range(0.3..4.2));
        // Grain runs along one direction in wood, grass, hair and water.
        let stretch = if random.random_bool(0.35) { random.random_range(3.0..9.0) } else { 1.0 };
        let (sine, cosine) = random.random_range(0.0..std::f32::consts::TAU).sin_cos();
        Self {
            dark,
            light,
            frequency: [frequency, frequency * stretch],
            cosine,
            sine,
            octaves: random.random_range(2..=4),
            roughness: random.random_range(0.4..0.75),
            contrast: random.random_range(0.8..2.2),
            seed: random.random(),
        }
    }

    fn colour(&self, x: f32, y: f32) -> Rgb {
        let (u, v) = (x * self.cosine + y * self.sine, y * self.cosine - x * self.sine);
        let (u, v) = (u * self.frequency[0], v * self.frequency[1]);
        let value = fractal_noise(u, v, self.octaves, self.roughness, self.seed);
        let share = (0.5 + (value - 0.5) * self.contrast).clamp(0.0, 1.0);
        // A second, coarser noise shifts the hue a little, so that the colours do not lie on one line.
        let drift = noise(x * 3.0, y * 3.0, self.seed ^ 55) - 0.5;
        let colour = mix(self.dark, self.light, share);
        [colour[0] + 0.1 * drift, colour[1], colour[2] - 0.1 * drift]
    }
}

/// A colour as photographs have them: mostly muted, brightness anywhere.
fn muted(random: &mut ChaCha8Rng) -> Rgb {
    let grey: f32 = random.random_range(0.04f32..0.96);
    let strength: f32 = random.random_range(0.0f32..1.0).powi(2) * 0.6;
    let warm: f32 = random.random_range(-1.0..1.0);
    let green: f32 = random.random_range(-0.5..0.5);
    let room = grey.min(1.0 - grey) + 0.15;
    let shift = |value: f32| (grey + value * strength * room).clamp(0.0, 1.0);
    [shift(warm), shift(green), shift(-warm)]
}

/// Two colours of one surface: one a darker and slightly turned version of the other, or two unlike ones.
fn pair(random: &mut ChaCha8Rng) -> (Rgb, Rgb) {
    let light = muted(random);
    if random.random_bool(0.7) {
        let tilt: f32 = random.random_range(0.85..1.15);
        (scaled(times(light, [tilt, 1.0, 1.0 / tilt]), random.random_range(0.3..0.8)), light)
    } else {
        (muted(random), light)
    }
}

/// A captionless picture of `size` x `size` pixels.
pub(super) fn texture(random: &mut ChaCha8Rng, size: usize) -> Canvas {
    let mut canvas = match random.random_range(0..10) {
        0..2 => {
            let (dark, light) = pair(random);
            let surface = Surface::new(dark, light, random);
            Canvas::from_fn(size, |x, y| surface.colour(x, y))
        }
        2..6 => dead_leaves(random, size),
        6..8 => split(random, size),
        _ => bokeh(random, size, None),
    };
    if random.random_bool(0.35) {
        canvas.blur(random.random_range(0.004..0.04));
    }
    camera(&mut canvas, random);
    canvas
}

/// An abstract picture in two named colours, as captions promise them.
pub(super) fn abstract_picture(random: &mut ChaCha8Rng, size: usize, first: Colour, second: Colour) -> Canvas {
    let (first, second) = (rgb_of(first), rgb_of(second));
    match random.random_range(0..3) {
        0 => {
            let mut surface = Surface::new(first, second, random);
            surface.contrast += 1.2;
            surface.frequency = surface.frequency.map(|value| value * 0.6);
            Canvas::from_fn(size, |x, y| surface.colour(x, y))
        }
        1 => bokeh(random, size, Some((first, second))),
        _ => {
            let seed = random.random();
            let (right, below) = (random.random_range(-1.0..1.0), random.random_range(-1.0..1.0));
            let mut canvas = Canvas::from_fn(size, |x, y| {
                let swirl = fractal_noise(x * 3.0, y * 3.0, 3, 0.5, seed) - 0.5;
                let share = smoothstep(0.3, 0.7, 0.5 + (x - 0.5) * right + (y - 0.5) * below + 1.1 * swirl);
                mix(first, second, share)
            });
            canvas.blur(random.random_range(0.0..0.03));
            canvas
        }
    }
}

/// Opaque bodies of all sizes over each other, small ones many and large ones few, each with its surface, shading and
/// shadow. Lee, Mumford and Huang (2001) show that such pictures share the statistics of natural ones.
fn dead_leaves(random: &mut ChaCha8Rng, size: usize) -> Canvas {
    let (dark, light) = pair(random);
    let ground = Surface::new(dark, light, random);
    let mut canvas = Canvas::from_fn(size, |x, y| ground.colour(x, y));
    let smallest: f32 = random.random_range(0.02..0.12);
    let shadow: f32 = random.random_range(0.0..0.5);
    for _ in 0..random.random_range(6..26) {
        // Inverse of the cumulative distribution of a density of radius^-3.
        let radius = (smallest / (1.0 - random.random_range(0.0f32..0.995)).sqrt()).min(0.6);
        let (x, y) = (random.random_range(-0.1..1.1), random.random_range(-0.1..1.1));
        let form = match random.random_range(0..5) {
            0..2 => Form::Ellipse(1.0, random.random_range(0.35..1.0)),
            2 => Form::Box(1.0, random.random_range(0.2..1.0), random.random_range(0.0..0.2)),
            3 => Form::Star(random.random_range(3..8), random.random_range(0.4..0.9)),
            _ => Form::Drop,
        };
        let (dark, light) = pair(random);
        let surface = Surface::new(dark, light, random);
        let (sine, cosine) = random.random_range(0.0..std::f32::consts::TAU).sin_cos();
        let soft = random.random_range(0.5..3.0) * canvas.pixel();
        let shading: f32 = random.random_range(-0.4..0.4);
        canvas.around(x, y, radius * 1.2 + 0.06, |px, py, pixel| {
            let (dx, dy) = ((px - x) / radius, (py - y) / radius);
            let distance = form.distance(dx * cosine + dy * sine, dy * cosine - dx * sine) * radius;
            *pixel = scaled(*pixel, 1.0 - shadow * smoothstep(0.05, -0.02, distance));
            if distance < soft {
                let body = scaled(surface.colour(px, py), 1.0 + shading * (dx - dy));
                *pixel = mix(*pixel, body, smoothstep(soft, -soft, distance));
            }
        });
    }
    canvas
}

/// Two or three regions with hard, soft or ragged borders, as sky over land or a wall beside a floor.
fn split(random: &mut ChaCha8Rng, size: usize) -> Canvas {
    let (dark, light) = pair(random);
    let ground = Surface::new(dark, light, random);
    let mut canvas = Canvas::from_fn(size, |x, y| ground.colour(x, y));
    for _ in 0..random.random_range(1..4) {
        let (dark, light) = pair(random);
        let surface = Surface::new(dark, light, random);
        let (sine, cosine) = random.random_range(0.0..std::f32::consts::TAU).sin_cos();
        let offset: f32 = random.random_range(-0.35..0.35);
        let ragged: f32 = random.random_range(0.0f32..1.0).powi(2) * 0.5;
        let frequency: f32 = random.random_range(2.0..14.0);
        let soft = random.random_range(0.3f32..1.0).powi(4) * 0.3;
        let seed = random.random();
        canvas.everywhere(|x, y, pixel| {
            let border = (x - 0.5) * cosine + (y - 0.5) * sine - offset
                + ragged * (fractal_noise(x * frequency, y * frequency, 2, 0.5, seed) - 0.5);
            if border < soft + 0.01 {
                *pixel = mix(*pixel, surface.colour(x, y), smoothstep(soft + 0.01, -soft - 0.01, border));
            }
        });
    }
    canvas
}

/// Discs and patches of light out of focus.
fn bokeh(random: &mut ChaCha8Rng, size: usize, colours: Option<(Rgb, Rgb)>) -> Canvas {
    let (first, second) = colours.unwrap_or_else(|| (muted(random), muted(random)));
    let tilt: f32 = random.random_range(-0.8..0.8);
    let mut canvas = Canvas::from_fn(size, |x, y| mix(first, second, smoothstep(0.1, 0.9, y + tilt * (x - 0.5))));
    for _ in 0..random.random_range(4..16) {
        let colour = match colours {
            Some(_) => mix(first, second, random.random_range(0.0..1.0)),
            None => muted(random),
        };
        let (x, y) = (random.random_range(0.0..1.0), random.random_range(0.0..1.0));
        let radius: f32 = random.random_range(0.04..0.24);
        let soft: f32 = radius * random.random_range(0.1..0.9);
        let strength: f32 = random.random_range(0.3..0.9);
        canvas.around(x, y, radius + soft, |px, py, pixel| {
            let distance = ((px - x).powi(2) + (py - y).powi(2)).sqrt() - radius;
            *pixel = mix(*pixel, colour, strength * smoothstep(soft, -soft, distance));
        });
    }
    canvas
}

/// Light that falls off, contrast, and sensor noise.
fn camera(canvas: &mut Canvas, random: &mut ChaCha8Rng) {
    let (right, below) = (random.random_range(-0.5f32..0.5), random.random_range(-0.5f32..0.5));
    let vignette: f32 = random.random_range(0.0..0.7);
    let gain: f32 = random.random_range(0.8..1.2);
    let lift: f32 = random.random_range(-0.08..0.1);
    let grain: f32 = random.random_range(0.0f32..1.0).powi(3) * 0.12;
    let seed: u32 = random.random();
    let size = canvas.size as f32;
    canvas.everywhere(|x, y, pixel| {
        let (dx, dy) = (x - 0.5, y - 0.5);
        let light = gain * (1.0 + dx * right + dy * below) * (1.0 - vignette * (dx * dx + dy * dy));
        let (column, row) = ((x * size) as i32, (y * size) as i32);
        let shot = grain * (lattice(column, row, seed) + lattice(column, row, seed ^ 0x5A5A) - 1.0);
        *pixel = pixel.map(|value| value * light + lift + shot);
    });
}
