//! Scene descriptions in varied natural English.

use super::spec::{
    Arrangement, Background, Colour, Hour, Land, Motif, Pattern, Place, Relation, SceneSpec, Size, Style, Subject,
    Texture,
};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

impl SceneSpec {
    /// A caption of this scene: the same scene has many, `random` chooses. Every word it uses holds for the scene.
    pub fn caption(&self, random: &mut ChaCha8Rng) -> String {
        if !self.style.shows_colours() {
            return self.without_colours().words(random);
        }
        self.words(random)
    }

    /// The same scene with every colour that a caption would name taken out.
    fn without_colours(&self) -> Self {
        let plain = |subject: Subject| Subject { colour: None, ..subject };
        let arrangement = match self.arrangement {
            Arrangement::One(subject, place) => Arrangement::One(plain(subject), place),
            Arrangement::Several(subject, count) => Arrangement::Several(plain(subject), count),
            Arrangement::Grid(subject) => Arrangement::Grid(plain(subject)),
            Arrangement::Two(first, relation, second) => Arrangement::Two(plain(first), relation, plain(second)),
            other => other,
        };
        let background = match (self.background, arrangement) {
            (Background::Plain(_) | Background::Gradient(..), Arrangement::Nothing) => self.background,
            (Background::Plain(_) | Background::Gradient(..), _) => Background::Sheet,
            (other, _) => other,
        };
        Self { arrangement, background, style: self.style }
    }

    fn words(&self, random: &mut ChaCha8Rng) -> String {
        let coloured = self.style.shows_colours();
        let what = match self.arrangement {
            Arrangement::One(subject, place) => one(random, subject, place, self.background),
            Arrangement::Several(subject, count) => several(random, subject, count),
            Arrangement::Grid(subject) => {
                format!("{} {}", say(random, &["a grid of", "rows of", "a pattern of"]), noun(random, subject, true))
            }
            Arrangement::Two(first, relation, second) => two(random, first, relation, second),
            Arrangement::Nothing => return self.empty_caption(random),
            Arrangement::Abstract(first, second) => return abstract_caption(random, first, second, self.style),
        };
        let what = match background_phrase(random, self.background, coloured) {
            Some(phrase) => format!("{what} {phrase}"),
            None => what,
        };
        let caption = styled(random, what, self.style, self.background == Background::Sheet);
        spelled(random, caption)
    }

    fn empty_caption(&self, random: &mut ChaCha8Rng) -> String {
        let what = match self.background {
            Background::Land(land, hour) => land_alone(random, land, hour),
            Background::Pattern(pattern, ..) if !self.style.shows_colours() => match pattern {
                Pattern::Stripes => say(random, &["stripes", "a striped pattern"]).to_owned(),
                Pattern::Dots => say(random, &["dots", "a dotted pattern"]).to_owned(),
                Pattern::Checks => say(random, &["checks", "a checkered pattern"]).to_owned(),
            },
            Background::Gradient(..) if !self.style.shows_colours() => {
                say(random, &["a gradient", "a soft gradient", "soft light"]).to_owned()
            }
            Background::Pattern(pattern, first, second) => pattern_alone(random, pattern, first, second),
            Background::Gradient(first, second) => {
                let (first, second) = (first.word(), second.word());
                let start = say(random, &["a gradient from", "a soft gradient from", "a blend from"]);
                format!("{start} {first} to {second}")
            }
            Background::Plain(_) if !self.style.shows_colours() => "a plain background".to_owned(),
            Background::Plain(colour) => format!("a plain {} background", colour.word()),
            Background::Sheet => "an empty sheet".to_owned(),
        };
        let caption = styled(random, what, self.style, false);
        spelled(random, caption)
    }
}

fn say<'a>(random: &mut ChaCha8Rng, phrases: &[&'a str]) -> &'a str {
    phrases.choose(random).expect("invariant: chosen from a list that is never empty")
}

/// "a" or "an" before `phrase`.
fn with_article(phrase: &str) -> String {
    let vowel = phrase.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {phrase}", if vowel { "an" } else { "a" })
}

fn plural(noun: &str) -> String {
    match noun {
        "leaf" => "leaves".to_owned(),
        "fish" => "fish".to_owned(),
        _ if noun.ends_with("ss") || noun.ends_with("sh") || noun.ends_with('x') => format!("{noun}es"),
        _ if noun.ends_with('y') => format!("{}ies", &noun[..noun.len() - 1]),
        _ => format!("{noun}s"),
    }
}

/// Size, texture, colour and noun of a subject, without an article.
fn noun(random: &mut ChaCha8Rng, subject: Subject, many: bool) -> String {
    let mut words: Vec<String> = Vec::new();
    match subject.size {
        Size::Small => words.push(say(random, &["small", "small", "little", "tiny"]).to_owned()),
        Size::Large => words.push(say(random, &["large", "large", "big", "huge"]).to_owned()),
        Size::Medium => {}
    }
    if subject.texture != Texture::Plain {
        words.push(subject.texture.word().to_owned());
    }
    if let Some(colour) = subject.colour {
        words.push(colour.word().to_owned());
    }
    let name = match subject.motif {
        Motif::Shape(shape) => shape.word(),
        Motif::Thing(thing) => thing.word(),
    };
    words.push(if many { plural(name) } else { name.to_owned() });
    words.join(" ")
}

fn one(random: &mut ChaCha8Rng, subject: Subject, place: Place, background: Background) -> String {
    let what = with_article(&noun(random, subject, false));
    // On a landscape a thing stands where it belongs unless a place is named, so that the centre goes unsaid.
    let unsaid = match place {
        Place::Centre if matches!(background, Background::Land(..)) => 1.0,
        Place::Centre => 0.7,
        _ => 0.0,
    };
    if random.random_bool(unsaid) {
        return what;
    }
    let place = match place {
        Place::Centre => say(random, &["in the centre", "in the middle"]),
        Place::Left => say(random, &["on the left", "on the left side", "at the left"]),
        Place::Right => say(random, &["on the right", "on the right side", "at the right"]),
        Place::Top => say(random, &["at the top", "at the top"]),
        Place::Bottom => say(random, &["at the bottom", "at the bottom"]),
        other => other.word(),
    };
    format!("{what} {place}")
}

fn several(random: &mut ChaCha8Rng, subject: Subject, count: u32) -> String {
    let number = match count {
        2 => say(random, &["two", "two", "a pair of", "2"]),
        3 => say(random, &["three", "three", "3"]),
        _ => say(random, &["four", "four", "4"]),
    };
    format!("{number} {}", noun(random, subject, true))
}

fn two(random: &mut ChaCha8Rng, first: Subject, relation: Relation, second: Subject) -> String {
    let relation = match relation {
        Relation::LeftOf => say(random, &["to the left of", "left of"]),
        Relation::RightOf => say(random, &["to the right of", "right of"]),
        Relation::Above => say(random, &["above", "above", "over"]),
        Relation::Below => say(random, &["below", "below", "under"]),
        Relation::Beside => say(random, &["beside", "beside", "next to", "and"]),
        Relation::Inside => say(random, &["inside", "inside", "in"]),
    };
    let (first, second) = (noun(random, first, false), noun(random, second, false));
    format!("{} {relation} {}", with_article(&first), with_article(&second))
}

fn background_phrase(random: &mut ChaCha8Rng, background: Background, coloured: bool) -> Option<String> {
    match background {
        Background::Pattern(pattern, ..) if !coloured => Some(match pattern {
            Pattern::Stripes => "on a striped background".to_owned(),
            Pattern::Dots => "on a dotted background".to_owned(),
            Pattern::Checks => "on a checkered background".to_owned(),
        }),
        Background::Sheet => None,
        Background::Plain(Colour::White) if random.random_bool(0.4) => None,
        Background::Plain(colour) => {
            let word = colour.word();
            Some(match random.random_range(0..4) {
                0 => format!("on {word}"),
                1 => format!("against {}", with_article(&format!("{word} background"))),
                _ => format!("on {}", with_article(&format!("{word} background"))),
            })
        }
        Background::Gradient(first, second) => {
            let (first, second) = (first.word(), second.word());
            Some(match random.random_range(0..2) {
                0 => format!("on a gradient from {first} to {second}"),
                _ => format!("on {}", with_article(&format!("{first} and {second} gradient"))),
            })
        }
        Background::Pattern(pattern, first, second) => {
            let (first, second) = (first.word(), second.word());
            Some(match pattern {
                Pattern::Stripes => format!("on {first} and {second} stripes"),
                Pattern::Dots => format!("on {first} with {second} dots"),
                Pattern::Checks => format!("on {first} and {second} checks"),
            })
        }
        Background::Land(land, hour) => Some(match hour_phrase(random, hour) {
            Some(hour) => format!("{} {hour}", land_phrase(random, land)),
            None => land_phrase(random, land).to_owned(),
        }),
    }
}

fn land_phrase(random: &mut ChaCha8Rng, land: Land) -> &'static str {
    match land {
        Land::Meadow => say(random, &["in a meadow", "on green grass", "in a green field"]),
        Land::Hills => say(random, &["in front of green hills", "in the hills"]),
        Land::Mountains => say(random, &["in front of mountains", "in the mountains"]),
        Land::Sea => say(random, &["by the sea", "by the ocean", "on the sea"]),
        Land::Desert => say(random, &["in the desert", "in a sandy desert"]),
        Land::Snow => say(random, &["in the snow", "in a snowy landscape", "in winter"]),
        Land::Forest => say(random, &["in a forest", "in the woods"]),
        Land::Beach => say(random, &["on the beach", "on a sandy beach"]),
        Land::City => say(random, &["in front of a city", "in front of a city skyline", "in the city"]),
        Land::Table => say(random, &["on a wooden table", "on a table in a room"]),
        Land::Sky => say(random, &["in the sky", "among the clouds"]),
        Land::Underwater => say(random, &["under water", "in the deep sea"]),
    }
}

fn hour_phrase(random: &mut ChaCha8Rng, hour: Hour) -> Option<&'static str> {
    match hour {
        Hour::Day if random.random_bool(0.75) => None,
        Hour::Day => Some(say(random, &["by day", "on a sunny day"])),
        Hour::Sunset => Some(say(random, &["at sunset", "at sunset", "in the evening light"])),
        Hour::Night => Some(say(random, &["at night", "at night", "under the stars"])),
        Hour::Fog => Some(say(random, &["in the fog", "in morning mist"])),
        Hour::Storm => Some(say(random, &["before a storm", "under dark clouds"])),
    }
}

fn land_alone(random: &mut ChaCha8Rng, land: Land, hour: Hour) -> String {
    let land = match land {
        Land::Meadow => say(random, &["a green meadow", "a meadow", "a green field"]),
        Land::Hills => say(random, &["green hills", "rolling hills"]),
        Land::Mountains => say(random, &["mountains", "a mountain range", "a landscape with mountains"]),
        Land::Sea => say(random, &["the sea", "the ocean", "waves on the sea"]),
        Land::Desert => say(random, &["a desert", "sand dunes in the desert"]),
        Land::Snow => say(random, &["a snowy landscape", "a winter landscape", "hills in the snow"]),
        Land::Forest => say(random, &["a forest", "the woods", "a dark forest"]),
        Land::Beach => say(random, &["a beach", "a sandy beach by the sea"]),
        Land::City => say(random, &["a city", "a city skyline"]),
        Land::Table => say(random, &["an empty wooden table", "a table in a room"]),
        Land::Sky => say(random, &["clouds in the sky", "the sky", "a cloudy sky"]),
        Land::Underwater => say(random, &["an underwater scene", "the deep sea"]),
    };
    match hour_phrase(random, hour) {
        Some(hour) => format!("{land} {hour}"),
        None => land.to_owned(),
    }
}

fn pattern_alone(random: &mut ChaCha8Rng, pattern: Pattern, first: Colour, second: Colour) -> String {
    let (first, second) = (first.word(), second.word());
    match pattern {
        Pattern::Stripes => match random.random_range(0..2) {
            0 => format!("{first} and {second} stripes"),
            _ => format!("a striped pattern in {first} and {second}"),
        },
        Pattern::Dots => match random.random_range(0..2) {
            0 => format!("{second} dots on {first}"),
            _ => format!("a dotted pattern, {second} on {first}"),
        },
        Pattern::Checks => match random.random_range(0..2) {
            0 => format!("{first} and {second} checks"),
            _ => format!("a checkered pattern in {first} and {second}"),
        },
    }
}

fn abstract_caption(random: &mut ChaCha8Rng, first: Colour, second: Colour, style: Style) -> String {
    let phrase = match style {
        Style::Monochrome => {
            say(random, &["an abstract black and white photo", "a black and white photo of a surface"])
        }
        Style::Sepia => say(random, &["an abstract sepia photograph", "a sepia photograph of a surface"]),
        _ => {
            let start = say(random, &["an abstract photo in", "a photograph of a surface in", "a blurred photo in"]);
            return spelled(random, format!("{start} {} and {}", first.word(), second.word()));
        }
    };
    spelled(random, phrase.to_owned())
}

/// Puts the style before or behind the description, or leaves it unsaid where it goes without saying.
fn styled(random: &mut ChaCha8Rng, what: String, style: Style, plain_sheet: bool) -> String {
    let (before, behind): (&[&str], &[&str]) = match style {
        Style::Flat if random.random_bool(0.7) => return what,
        Style::Flat => (&["a flat drawing of", "a drawing of", "an illustration of"], &["flat design", "vector art"]),
        Style::Outline => (&["an outline drawing of", "a line drawing of"], &["outline", "line art"]),
        Style::Watercolour => (&["a watercolour of", "a watercolour painting of"], &["watercolour"]),
        Style::Pixel => (&["pixel art of", "a pixel art picture of"], &["pixel art", "pixel art"]),
        Style::Sketch => (&["a pencil sketch of", "a sketch of"], &["pencil sketch", "coloured pencil"]),
        Style::Neon => (&["a neon sign of", "a neon sign showing"], &["neon light", "in neon"]),
        Style::Pastel => (&["a pastel drawing of"], &["in pastel colours", "soft pastel"]),
        Style::Night => (&["a night picture of"], &["in the dark", "night scene"]),
        Style::Sepia => (&["a sepia photograph of", "an old photograph of"], &["sepia"]),
        Style::Poster => (&["a poster of", "a bold poster of"], &["poster", "pop art poster"]),
        Style::Photo if random.random_bool(0.15) => return what,
        Style::Photo => (&["a photo of", "a photograph of"], &["photo", "realistic"]),
        Style::Monochrome => (&["a black and white photo of"], &["black and white", "monochrome photo"]),
        Style::PaperCut => (&["a paper cut-out of"], &["paper cut-out", "cut out of paper"]),
        Style::Chalk => (&["a chalk drawing of"], &["chalk on a blackboard", "chalk"]),
        Style::Blueprint => (&["a blueprint of"], &["blueprint", "technical drawing"]),
    };
    let in_front = plain_sheet || random.random_bool(0.55);
    if in_front { format!("{} {what}", say(random, before)) } else { format!("{what}, {}", say(random, behind)) }
}

/// Some captions are written in American spelling.
fn spelled(random: &mut ChaCha8Rng, caption: String) -> String {
    if random.random_bool(0.75) {
        return caption;
    }
    caption.replace("colour", "color").replace("grey", "gray").replace("centre", "center")
}
