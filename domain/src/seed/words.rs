//! What made-up LoRAs are called and said to be.

pub(super) const MEDIA: &[&str] = &[
    "photography",
    "watercolor",
    "oil painting",
    "gouache",
    "linocut",
    "risograph",
    "charcoal",
    "pixel art",
    "vector art",
    "claymation",
    "stained glass",
    "embroidery",
    "mosaic",
    "woodblock print",
    "airbrush",
    "pastel",
    "screen print",
    "blueprint",
    "paper cutout",
    "double exposure",
    "cyanotype",
    "infrared film",
    "instant film",
    "macro photography",
    "ink wash",
    "fresco",
    "collage",
    "low poly",
];
pub(super) const ERAS: &[&str] = &[
    "1920s",
    "1930s",
    "1940s",
    "1950s",
    "1960s",
    "1970s",
    "1980s",
    "1990s",
    "art deco",
    "bauhaus",
    "baroque",
    "victorian",
    "mid-century",
    "brutalist",
    "art nouveau",
    "medieval",
    "renaissance",
    "psychedelic",
    "contemporary",
    "minimalist",
];
pub(super) const SUBJECTS: &[&str] = &[
    "advertising",
    "portraits",
    "landscapes",
    "kettles",
    "sneakers",
    "perfume",
    "architecture",
    "book covers",
    "album covers",
    "packaging",
    "travel posters",
    "botanicals",
    "wildlife",
    "streetwear",
    "kitchens",
    "interiors",
    "vehicles",
    "robots",
    "mascots",
    "cityscapes",
    "cocktails",
    "jewelry",
    "furniture",
    "storyboards",
    "icons",
    "maps",
    "ceramics",
    "lighthouses",
    "orchards",
    "harbours",
];
pub(super) const MOODS: &[&str] = &[
    "moody", "sunlit", "dreamy", "gritty", "soft", "neon", "muted", "vibrant", "hazy", "crisp", "grainy", "velvety",
    "stark", "playful", "wistful", "luminous", "frosted", "smoky",
];
pub(super) const LICENSES: &[&str] = &["CC0-1.0", "CC-BY-4.0", "OpenRAIL++-M", "Commercial", "CC-BY-NC-4.0"];
pub(super) const REVIEWS: &[&str] = &[
    "Holds the style at 0.8 and leaves the subject alone.",
    "Strong. Best below 0.7.",
    "The colours are right, hands are not.",
    "Works with every prompt that I tried.",
    "Too strong for faces.",
    "Exactly the grain that I was looking for.",
];

const SYLLABLES: &[&str] = &[
    "ka", "ru", "mo", "li", "ven", "tor", "ash", "bel", "cor", "dan", "el", "fin", "gar", "hal", "is", "jun", "kes",
    "lor", "mir", "nov", "or", "pel", "quin", "ros", "sol", "tam", "ul", "vex", "wyn", "yar", "zed",
];

/// A word that nobody uses, of so many syllables.
pub(super) fn word(chance: &mut super::Chance, syllables: usize) -> String {
    (0..syllables).map(|_| chance.one_of(SYLLABLES)).collect()
}

/// With a capital letter.
pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
