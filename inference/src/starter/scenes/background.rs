//! What lies behind the subjects: plain colours, gradients, patterns and landscapes, as a colour for every point.

use super::canvas::{Rgb, fractal_noise, lattice, mix, noise, scaled, smoothstep, times};
use super::spec::{Background, Colour, Hour, Land, Pattern};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A background with the chances of one picture drawn: horizon, positions, seeds.
pub(super) struct Backdrop {
    background: Background,
    seed: u32,
    horizon: f32,
    /// Where the sun or the moon stands, from left to right.
    sun: f32,
    /// Direction of gradients and stripes.
    angle: f32,
    /// Bands, dots or fields across the picture.
    frequency: f32,
    hour: HourLight,
}

/// The light of an hour.
#[derive(Clone, Copy)]
struct HourLight {
    sky_top: Rgb,
    sky_low: Rgb,
    /// Factor on every colour of the land and of the subjects.
    tint: Rgb,
    /// How far distant land fades into the sky.
    haze: f32,
}

/// sRGB of a named colour between 0 and 1.
pub(super) fn rgb_of(colour: Colour) -> Rgb {
    colour.rgb().map(|value| f32::from(value) / 255.0)
}

fn light_of(hour: Hour) -> HourLight {
    let light = |sky_top, sky_low, tint, haze| HourLight { sky_top, sky_low, tint, haze };
    match hour {
        Hour::Day => light([0.32, 0.58, 0.90], [0.76, 0.89, 0.97], [1.0, 1.0, 1.0], 0.25),
        Hour::Sunset => light([0.36, 0.25, 0.50], [0.99, 0.62, 0.30], [0.95, 0.72, 0.62], 0.35),
        Hour::Night => light([0.03, 0.04, 0.14], [0.11, 0.15, 0.33], [0.34, 0.40, 0.62], 0.2),
        Hour::Fog => light([0.74, 0.77, 0.79], [0.86, 0.87, 0.87], [0.88, 0.90, 0.91], 0.75),
        Hour::Storm => light([0.20, 0.22, 0.27], [0.50, 0.53, 0.56], [0.66, 0.69, 0.73], 0.3),
    }
}

impl Backdrop {
    /// Draws the chances of one picture.
    pub fn new(background: Background, random: &mut ChaCha8Rng) -> Self {
        let hour = match background {
            Background::Land(_, hour) => hour,
            _ => Hour::Day,
        };
        let turns = [0.0, std::f32::consts::FRAC_PI_2, std::f32::consts::FRAC_PI_4, -std::f32::consts::FRAC_PI_4];
        Self {
            background,
            seed: random.random(),
            horizon: random.random_range(0.5..0.66),
            sun: random.random_range(0.12..0.88),
            angle: turns[random.random_range(0..turns.len())],
            frequency: random.random_range(3..=7) as f32,
            hour: light_of(hour),
        }
    }

    /// The light that the background throws on the subjects.
    pub fn tint(&self) -> Rgb {
        match self.background {
            // A subject keeps more of its own colour than the land does, so that it can still be named.
            Background::Land(..) => mix(self.hour.tint, [1.0; 3], 0.45),
            _ => [1.0; 3],
        }
    }

    /// The colour at a point; `sheet` is what the style brings along, `pixel` the edge of a pixel.
    pub fn colour_at(&self, x: f32, y: f32, sheet: Rgb, pixel: f32) -> Rgb {
        match self.background {
            Background::Sheet => sheet,
            Background::Plain(colour) => rgb_of(colour),
            Background::Gradient(first, second) => {
                let along = (x - 0.5) * self.angle.sin() + (y - 0.5) * self.angle.cos() + 0.5;
                mix(rgb_of(first), rgb_of(second), smoothstep(0.05, 0.95, along))
            }
            Background::Pattern(pattern, first, second) => {
                let share = self.pattern(pattern, x, y, pixel);
                mix(rgb_of(first), rgb_of(second), share)
            }
            Background::Land(land, hour) => self.land(land, hour, x, y),
        }
    }

    /// 0 where a pattern shows its first colour, 1 where its second, between them on the edges.
    fn pattern(&self, pattern: Pattern, x: f32, y: f32, pixel: f32) -> f32 {
        let edge = pixel * self.frequency;
        match pattern {
            Pattern::Stripes => {
                let phase = (x * self.angle.cos() + y * self.angle.sin()) * self.frequency;
                step(((phase.rem_euclid(1.0)) - 0.5).abs() - 0.25, edge)
            }
            Pattern::Dots => {
                let (u, v) = ((x * self.frequency).rem_euclid(1.0) - 0.5, (y * self.frequency).rem_euclid(1.0) - 0.5);
                step((u * u + v * v).sqrt() - 0.3, edge)
            }
            Pattern::Checks => {
                let half = self.frequency * 0.5;
                let wave = |value: f32| ((value * half).rem_euclid(1.0) - 0.5).abs() - 0.25;
                let (u, v) = (step(wave(x), edge), step(wave(y), edge));
                u * (1.0 - v) + v * (1.0 - u)
            }
        }
    }

    fn land(&self, land: Land, hour: Hour, x: f32, y: f32) -> Rgb {
        match land {
            Land::Table => return self.table(x, y),
            Land::Underwater => return self.underwater(x, y),
            _ => {}
        }
        let sky = self.sky(hour, if land == Land::Sky { 1.0 } else { self.horizon }, land == Land::Sky, x, y);
        match land {
            Land::Meadow => self.meadow(sky, x, y),
            Land::Hills => self.ridges(sky, x, y, &HILLS),
            Land::Mountains => self.mountains(sky, x, y),
            Land::Sea => self.water(sky, x, y, 1.1),
            Land::Desert => self.ridges(sky, x, y, &DUNES),
            Land::Snow => self.snow(sky, x, y),
            Land::Forest => self.forest(sky, x, y),
            Land::Beach => self.water(sky, x, y, self.horizon + 0.16 + 0.04 * noise(x * 3.0, 0.0, self.seed)),
            Land::City => self.city(sky, hour, x, y),
            Land::Sky | Land::Table | Land::Underwater => sky,
        }
    }

    fn sky(&self, hour: Hour, horizon: f32, cloudy: bool, x: f32, y: f32) -> Rgb {
        let mut colour = mix(self.hour.sky_top, self.hour.sky_low, smoothstep(0.0, horizon, y));
        let bright = match hour {
            Hour::Sunset => Some(([1.0, 0.92, 0.62], self.horizon - 0.1, 0.075)),
            Hour::Night => Some(([0.95, 0.94, 0.84], 0.17, 0.06)),
            _ => None,
        };
        if let Some((light, height, radius)) = bright {
            let distance = ((x - self.sun).powi(2) + (y - height).powi(2)).sqrt();
            colour = mix(colour, light, 0.45 * (-distance * 5.0).exp());
            colour = mix(colour, light, smoothstep(radius + 0.012, radius - 0.008, distance));
        }
        if hour == Hour::Night && lattice((x * 44.0) as i32, (y * 44.0) as i32, self.seed) > 0.975 {
            colour = mix(colour, [1.0; 3], 0.75);
        }
        let amount = match hour {
            Hour::Day | Hour::Sunset => 0.75,
            Hour::Storm => 0.9,
            _ => 0.2,
        };
        let from = if cloudy { 0.46 } else { 0.56 };
        let cloud = smoothstep(from, from + 0.16, fractal_noise(x * 3.0, y * 7.0, 3, 0.5, self.seed)) * amount;
        let white = if hour == Hour::Storm { [0.36, 0.38, 0.42] } else { mix(self.hour.sky_low, [1.0; 3], 0.6) };
        mix(colour, white, cloud)
    }

    /// Land of a colour, in this hour's light, `distance` (0 near, 1 far) deep in the haze.
    fn lit(&self, colour: Rgb, distance: f32) -> Rgb {
        mix(times(colour, self.hour.tint), self.hour.sky_low, self.hour.haze * distance)
    }

    fn meadow(&self, sky: Rgb, x: f32, y: f32) -> Rgb {
        let edge = self.horizon + 0.03 * noise(x * 4.0, 0.0, self.seed);
        if y < edge {
            return sky;
        }
        let depth = (y - edge) / (1.0 - edge);
        let blades = fractal_noise(x * 26.0, y * 12.0, 2, 0.6, self.seed);
        let mut colour = scaled(mix([0.50, 0.72, 0.30], [0.24, 0.55, 0.20], depth), 0.8 + 0.4 * blades);
        if lattice((x * 30.0) as i32, (y * 30.0) as i32, self.seed ^ 5) > 0.96 && depth > 0.15 {
            colour = [[0.95, 0.85, 0.30], [0.95, 0.95, 0.92], [0.90, 0.45, 0.50]][(self.seed % 3) as usize];
        }
        self.lit(colour, 1.0 - depth)
    }

    fn ridges(&self, sky: Rgb, x: f32, y: f32, bands: &[Band; 3]) -> Rgb {
        let mut colour = sky;
        for (index, band) in bands.iter().enumerate() {
            let seed = self.seed.wrapping_add(index as u32 * 31);
            let height = noise(x * band.width, 0.5, seed) - 0.5 + 0.25 * (noise(x * band.width * 2.3, 9.5, seed) - 0.5);
            let edge = self.horizon - 0.06 + 0.13 * index as f32 - height * band.height;
            if y > edge {
                let shade = 1.12 - 0.9 * (y - edge) + 0.16 * (noise(x * 18.0, y * 26.0, seed) - 0.5);
                colour = self.lit(scaled(band.colour, shade), 1.0 - index as f32 / 2.0);
            }
        }
        colour
    }

    fn mountains(&self, sky: Rgb, x: f32, y: f32) -> Rgb {
        let mut colour = sky;
        for (index, (peak, rock)) in [(0.5, [0.50, 0.55, 0.66]), (0.34, [0.36, 0.38, 0.45])].into_iter().enumerate() {
            let seed = self.seed.wrapping_add(index as u32 * 77);
            // Folded noise has sharp ridges.
            let fold = |frequency: f32| 1.0 - (2.0 * noise(x * frequency, 3.5, seed) - 1.0).abs();
            let height = 0.65 * fold(2.6) + 0.25 * fold(6.0) + 0.1 * fold(14.0);
            let foot = self.horizon + 0.06 + 0.07 * index as f32;
            let edge = foot - height * peak;
            if y > edge {
                let slope = noise(x * 14.0 + y * 9.0, y * 8.0, seed);
                let snow = smoothstep(0.34, 0.2, y - 0.08 * slope) * (1.0 - index as f32 * 0.5);
                colour =
                    self.lit(mix(scaled(rock, 0.75 + 0.5 * slope), [0.95, 0.96, 0.99], snow), 0.8 - index as f32 * 0.4);
            }
        }
        let ground = self.horizon + 0.12 + 0.02 * noise(x * 5.0, 1.5, self.seed);
        if y > ground {
            let shade = 0.85 + 0.3 * noise(x * 22.0, y * 30.0, self.seed);
            colour = self.lit(scaled([0.35, 0.52, 0.28], shade), 0.1);
        }
        colour
    }

    /// Sea from the horizon down to `shore`, sand below.
    fn water(&self, sky: Rgb, x: f32, y: f32, shore: f32) -> Rgb {
        if y < self.horizon {
            return sky;
        }
        if y > shore {
            let foam = smoothstep(shore + 0.02, shore, y);
            let sand = scaled([0.90, 0.80, 0.58], 0.9 + 0.2 * noise(x * 30.0, y * 40.0, self.seed));
            return self.lit(mix(sand, [0.98, 0.98, 0.96], foam), 0.0);
        }
        let depth = (y - self.horizon) / (1.0 - self.horizon);
        let waves = noise(x * (14.0 - 8.0 * depth), (y - self.horizon) * (60.0 - 30.0 * depth), self.seed);
        let base = mix([0.35, 0.62, 0.80], [0.08, 0.32, 0.58], depth);
        let mut colour = times(scaled(base, 0.85 + 0.35 * waves), self.hour.tint);
        colour = mix(colour, self.hour.sky_low, 0.25 * (1.0 - depth));
        // The low sun or moon glitters in a lane below it.
        let lane = (-((x - self.sun) / (0.05 + 0.12 * depth)).powi(2)).exp() * smoothstep(0.45, 0.65, waves);
        mix(colour, mix(self.hour.sky_low, [1.0, 0.95, 0.85], 0.4), 0.6 * lane)
    }

    fn snow(&self, sky: Rgb, x: f32, y: f32) -> Rgb {
        let mut colour = self.ridges(sky, x, y, &SNOWFIELDS);
        let (u, v) = ((x * 17.0).rem_euclid(1.0) - 0.5, (y * 17.0).rem_euclid(1.0) - 0.5);
        if lattice((x * 17.0) as i32, (y * 17.0) as i32, self.seed ^ 3) > 0.86 && u * u + v * v < 0.06 {
            colour = mix(colour, [1.0; 3], 0.85);
        }
        colour
    }

    fn forest(&self, sky: Rgb, x: f32, y: f32) -> Rgb {
        let mut colour = sky;
        for layer in 0..3 {
            let seed = self.seed.wrapping_add(layer * 101);
            let count = 13.0 - 3.0 * layer as f32;
            let near = layer as f32 / 2.0;
            let green = self.lit(mix([0.30, 0.47, 0.36], [0.07, 0.24, 0.13], near), 0.9 - 0.8 * near);
            let foot = self.horizon + 0.06 + 0.12 * near;
            // Neighbouring trees overlap, so a point may belong to the tree of the cell beside its own.
            for neighbour in -1..=1 {
                let cell = (x * count).floor() as i32 + neighbour;
                let centre = (cell as f32 + 0.3 + 0.4 * lattice(cell, 7, seed)) / count;
                let top = foot - 0.28 - 0.22 * lattice(cell, 3, seed);
                let teeth = 0.7 + 0.3 * ((y - top) * 16.0).rem_euclid(1.0);
                if y > top && (x - centre).abs() < (y - top) * 0.24 * teeth {
                    colour = scaled(green, 0.85 + 0.3 * lattice(cell, 11, seed));
                }
            }
            if y > foot {
                colour = scaled(green, 0.9 + 0.25 * noise(x * 20.0, y * 34.0, seed));
            }
        }
        colour
    }

    fn city(&self, sky: Rgb, hour: Hour, x: f32, y: f32) -> Rgb {
        let mut colour = sky;
        for layer in 0..2 {
            let seed = self.seed.wrapping_add(layer * 13);
            let count = 9.0 - 2.0 * layer as f32;
            let cell = (x * count).floor() as i32;
            let top = 0.24 + 0.16 * layer as f32 + 0.3 * lattice(cell, 1, seed);
            if y < top {
                continue;
            }
            let walls = [[0.55, 0.57, 0.64], [0.68, 0.52, 0.44], [0.44, 0.50, 0.60], [0.72, 0.68, 0.60]];
            let wall = walls[(lattice(cell, 2, seed) * 3.99) as usize];
            colour = self.lit(scaled(wall, 0.8 + 0.2 * layer as f32), 0.7 - 0.5 * layer as f32);
            let (column, row) = (x * count * 4.0, y * 24.0);
            let inside = column.rem_euclid(1.0) > 0.45 && row.rem_euclid(1.0) > 0.45;
            let lamp = lattice(column.floor() as i32, row.floor() as i32, seed);
            if inside && y > top + 0.03 {
                let dark = matches!(hour, Hour::Night | Hour::Sunset | Hour::Storm);
                colour = if dark && lamp > 0.5 { [0.98, 0.85, 0.48] } else { scaled(colour, 0.68) };
            }
        }
        if y > 0.84 {
            colour = self.lit([0.42, 0.42, 0.45], 0.0);
        }
        colour
    }

    fn table(&self, x: f32, y: f32) -> Rgb {
        let walls = [[0.80, 0.76, 0.68], [0.62, 0.72, 0.74], [0.76, 0.62, 0.54], [0.55, 0.60, 0.52]];
        let wall = walls[(self.seed % 4) as usize];
        if y < 0.66 {
            let light = 1.1 - 0.45 * ((x - self.sun).powi(2) + (y - 0.1).powi(2)).sqrt();
            return times(scaled(wall, light), self.hour.tint);
        }
        let depth = (y - 0.66) / 0.34;
        let grain = fractal_noise(x * 3.0, y * 42.0, 3, 0.6, self.seed);
        let wood = scaled(mix([0.66, 0.46, 0.27], [0.52, 0.33, 0.18], depth), 0.75 + 0.5 * grain);
        times(wood, self.hour.tint)
    }

    fn underwater(&self, x: f32, y: f32) -> Rgb {
        let water = mix([0.30, 0.72, 0.82], [0.03, 0.20, 0.42], smoothstep(0.0, 0.9, y));
        let rays = smoothstep(0.5, 0.8, noise((x + 0.35 * y) * 7.0, y * 0.7, self.seed)) * (1.0 - y) * 0.4;
        let mut colour = mix(water, [0.85, 0.97, 0.97], rays);
        if lattice((x * 20.0) as i32, (y * 20.0) as i32, self.seed) > 0.965 {
            let (u, v) = ((x * 20.0).rem_euclid(1.0) - 0.5, (y * 20.0).rem_euclid(1.0) - 0.5);
            colour = mix(colour, [0.85, 0.96, 0.99], smoothstep(0.2, 0.08, ((u * u + v * v).sqrt() - 0.3).abs()) * 0.6);
        }
        let floor = 0.87 + 0.05 * noise(x * 3.0, 2.5, self.seed);
        if y > floor {
            colour = mix(scaled([0.76, 0.68, 0.46], 0.85 + 0.3 * noise(x * 26.0, y * 26.0, self.seed)), water, 0.35);
        }
        times(colour, mix(self.hour.tint, [1.0; 3], 0.3))
    }
}

/// One of three ridges behind each other.
struct Band {
    colour: Rgb,
    /// Hills across the picture.
    width: f32,
    height: f32,
}

const HILLS: [Band; 3] = [
    Band { colour: [0.52, 0.68, 0.50], width: 2.4, height: 0.22 },
    Band { colour: [0.40, 0.62, 0.32], width: 1.8, height: 0.2 },
    Band { colour: [0.28, 0.52, 0.22], width: 1.3, height: 0.14 },
];
const DUNES: [Band; 3] = [
    Band { colour: [0.90, 0.72, 0.48], width: 2.0, height: 0.16 },
    Band { colour: [0.87, 0.64, 0.36], width: 1.5, height: 0.18 },
    Band { colour: [0.80, 0.55, 0.28], width: 1.0, height: 0.12 },
];
const SNOWFIELDS: [Band; 3] = [
    Band { colour: [0.74, 0.82, 0.90], width: 2.6, height: 0.24 },
    Band { colour: [0.86, 0.91, 0.96], width: 1.7, height: 0.16 },
    Band { colour: [0.95, 0.97, 0.99], width: 1.2, height: 0.1 },
];

/// 1 where `distance` is negative, 0 where it is positive, straight over `edge` between.
fn step(distance: f32, edge: f32) -> f32 {
    (0.5 - distance / edge).clamp(0.0, 1.0)
}
