//! What a scene shows: the words that its caption uses and its drawing obeys.

/// Defines an enum of words with all its values in order and the word of each.
macro_rules! words {
    ($(#[$note:meta])* $name:ident { $($(#[$value_note:meta])* $value:ident = $word:literal),+ $(,)? }) => {
        $(#[$note])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$value_note])* #[doc = concat!("\"", $word, "\"")] $value),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[$name] = &[$($name::$value),+];

            /// The word or phrase that captions use.
            pub fn word(self) -> &'static str {
                match self { $($name::$value => $word),+ }
            }
        }
    };
}

words! {
    /// A named colour.
    Colour {
        Red = "red", Orange = "orange", Yellow = "yellow", Green = "green", DarkGreen = "dark green", Teal = "teal",
        LightBlue = "light blue", Blue = "blue", Purple = "purple", Pink = "pink", Brown = "brown", Beige = "beige",
        Black = "black", Grey = "grey", White = "white",
    }
}

impl Colour {
    /// The colour itself, as sRGB.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Colour::Red => [214, 38, 40],
            Colour::Orange => [242, 132, 26],
            Colour::Yellow => [248, 210, 50],
            Colour::Green => [66, 166, 72],
            Colour::DarkGreen => [22, 84, 50],
            Colour::Teal => [24, 150, 150],
            Colour::LightBlue => [140, 200, 240],
            Colour::Blue => [38, 92, 208],
            Colour::Purple => [122, 58, 172],
            Colour::Pink => [244, 136, 180],
            Colour::Brown => [124, 78, 44],
            Colour::Beige => [226, 206, 168],
            Colour::Black => [26, 26, 30],
            Colour::Grey => [136, 139, 144],
            Colour::White => [246, 246, 243],
        }
    }

    /// The named colour that lies nearest to `rgb` (squared distance with the weights 2, 4, 3 of the eye's rough
    /// sensitivity to red, green and blue). Reads the colour of a drawn or generated picture back.
    pub fn nearest(rgb: [u8; 3]) -> Colour {
        *Colour::ALL
            .iter()
            .min_by_key(|colour| colour_distance(colour.rgb(), rgb))
            .expect("invariant: there are colours")
    }

    /// Whether the two can be put on each other: one is clearly seen before the other.
    pub fn stands_out_from(self, other: Colour) -> bool {
        colour_distance(self.rgb(), other.rgb()) >= CONTRAST
    }
}

/// Two colours closer than this are not put on each other.
pub(super) const CONTRAST: i32 = 30_000;

/// Weighted squared distance between two sRGB colours.
pub(super) fn colour_distance(a: [u8; 3], b: [u8; 3]) -> i32 {
    let part = |channel: usize, weight: i32| weight * (i32::from(a[channel]) - i32::from(b[channel])).pow(2);
    part(0, 2) + part(1, 4) + part(2, 3)
}

words! {
    /// A plain geometric shape.
    Shape {
        Circle = "circle", Square = "square", Triangle = "triangle", Star = "star", Ring = "ring", Heart = "heart",
        Cross = "cross", Diamond = "diamond", Hexagon = "hexagon", Oval = "oval", Rectangle = "rectangle",
        Crescent = "crescent", Drop = "drop", Arrow = "arrow",
    }
}

words! {
    /// An object that is put together from shapes.
    Thing {
        House = "house", Tree = "tree", PineTree = "pine tree", Sun = "sun", Moon = "moon", Cloud = "cloud",
        Boat = "boat", Flower = "flower", Car = "car", Mountain = "mountain", Face = "face", Fish = "fish",
        Mushroom = "mushroom", Lamp = "lamp", Cup = "cup", Apple = "apple", Umbrella = "umbrella", Rocket = "rocket",
        Balloon = "balloon", Candle = "candle", Cat = "cat", Bird = "bird", Butterfly = "butterfly", Leaf = "leaf",
        Snowman = "snowman", Cactus = "cactus", Lighthouse = "lighthouse", Tent = "tent", IceCream = "ice cream",
        Book = "book", Bell = "bell", Key = "key", Vase = "vase", Bridge = "bridge",
    }
}

words! {
    /// What a subject's surface looks like.
    Texture { Plain = "plain", Striped = "striped", Dotted = "dotted", Checkered = "checkered", Grainy = "grainy" }
}

words! {
    /// How large a subject is; medium is never said.
    Size { Small = "small", Medium = "medium", Large = "large" }
}

words! {
    /// Where a single subject stands.
    Place {
        Centre = "in the centre", Left = "on the left", Right = "on the right", Top = "at the top",
        Bottom = "at the bottom", TopLeft = "in the top left corner", TopRight = "in the top right corner",
        BottomLeft = "in the bottom left corner", BottomRight = "in the bottom right corner",
    }
}

words! {
    /// How the first subject stands to the second.
    Relation {
        LeftOf = "to the left of", RightOf = "to the right of", Above = "above", Below = "below", Beside = "beside",
        Inside = "inside",
    }
}

words! {
    /// The land behind the subjects.
    Land {
        Meadow = "in a meadow", Hills = "in front of green hills", Mountains = "in front of mountains",
        Sea = "by the sea", Desert = "in the desert", Snow = "in the snow", Forest = "in a forest",
        Beach = "on the beach", City = "in front of a city", Table = "on a wooden table", Sky = "in the sky",
        Underwater = "under water",
    }
}

words! {
    /// The light that lies on a landscape.
    Hour { Day = "by day", Sunset = "at sunset", Night = "at night", Fog = "in the fog", Storm = "before a storm" }
}

words! {
    /// The way in which a scene is drawn.
    Style {
        Flat = "flat drawing", Outline = "outline drawing", Watercolour = "watercolour", Pixel = "pixel art",
        Sketch = "pencil sketch", Neon = "neon sign", Pastel = "pastel drawing", Night = "night picture",
        Sepia = "sepia photograph", Poster = "poster", Photo = "photograph", Monochrome = "black and white photo",
        PaperCut = "paper cut-out", Chalk = "chalk drawing", Blueprint = "blueprint",
    }
}

impl Style {
    /// Whether colours can be told apart in it; captions of the others name none.
    pub fn shows_colours(self) -> bool {
        !matches!(self, Style::Sepia | Style::Monochrome)
    }
}

/// A shape or a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Motif {
    /// A plain geometric shape.
    Shape(Shape),
    /// An object put together from shapes.
    Thing(Thing),
}

/// One kind of motif in a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject {
    /// What it is.
    pub motif: Motif,
    /// Its colour; none stands for the colour that the thing has by nature, which the caption does not name.
    pub colour: Option<Colour>,
    /// Its surface.
    pub texture: Texture,
    /// Its size beside what its arrangement would give it.
    pub size: Size,
}

/// The two-coloured pattern of a background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// Bands.
    Stripes,
    /// Dots of the second colour on the first.
    Dots,
    /// A chess board.
    Checks,
}

/// What lies behind the subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Background {
    /// One colour.
    Plain(Colour),
    /// From the first colour (top or centre) to the second.
    Gradient(Colour, Colour),
    /// A pattern in two colours.
    Pattern(Pattern, Colour, Colour),
    /// A landscape in some light.
    Land(Land, Hour),
    /// The paper, board or darkness that the style brings along; plain white where it brings none.
    Sheet,
}

/// How the subjects are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrangement {
    /// One subject at a place.
    One(Subject, Place),
    /// The same subject several times (2 to 4).
    Several(Subject, u32),
    /// Nine of the same subject in rows.
    Grid(Subject),
    /// Two subjects in relation.
    Two(Subject, Relation, Subject),
    /// Nothing but the background.
    Nothing,
    /// A picture without things, made of light, noise and blur in two colours, as a camera might see a surface.
    Abstract(Colour, Colour),
}

/// Everything that a scene's caption says and its drawing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SceneSpec {
    /// The subjects.
    pub arrangement: Arrangement,
    /// What lies behind them.
    pub background: Background,
    /// How it is drawn.
    pub style: Style,
}
