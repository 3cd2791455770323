//! What is trained on: the pictures of a folder, or those in the program.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;

/// Endings of pictures that the service reads.
const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// The longest name of a data set and of a LoRA, in characters.
const LONGEST_NAME: usize = 120;

macro_rules! bundle {
    ($($name:literal),* $(,)?) => {
        &[$((concat!($name, ".jpg"), include_bytes!(concat!("../../../../assets/demo/", $name, ".jpg")))),*]
    };
}

/// The pictures in the program: their files' names say what they show.
const BUNDLED: &[(&str, &[u8])] = bundle![
    "a-balloon-above-the-hills",
    "a-boat-on-the-sea-at-sunset",
    "a-cactus-in-the-desert",
    "a-city-at-night",
    "a-cup-on-a-table",
    "a-house-beside-a-tree",
    "a-lighthouse-above-the-sea",
    "flowers-in-a-vase",
    "mountains-under-a-large-moon",
    "mushrooms-in-a-meadow",
    "pine-trees-in-the-hills",
    "two-fish-under-water",
];

/// What is trained on, and how it is spoken of.
#[derive(Debug)]
pub struct Material {
    /// Name of the data set and of the LoRA.
    pub name: String,
    /// The style in words.
    pub description: String,
    /// Words by which somebody would look for it.
    pub query: String,
    /// The pictures, by name.
    pub pictures: Vec<SourcePicture>,
}

/// A picture to train on.
#[derive(Clone, Debug)]
pub struct SourcePicture {
    /// Its file's name.
    pub file_name: String,
    /// What it shows; may be empty.
    pub caption: String,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Program(&'static [u8]),
    File(PathBuf),
}

impl Material {
    /// The pictures in the program.
    pub fn bundled() -> Self {
        let pictures = BUNDLED.iter().map(|&(name, bytes)| SourcePicture {
            file_name: name.to_owned(),
            caption: caption_of_name(name),
            source: Source::Program(bytes),
        });
        Self {
            name: "Teal and ochre prints".to_owned(),
            description: "Prints in two inks, teal and ochre, on cream paper: coarse halftone dots, grain, and inks \
                          that do not quite meet."
                .to_owned(),
            query: "two inks coarse halftone".to_owned(),
            pictures: pictures.collect(),
        }
    }

    /// The pictures of a folder: PNG, JPEG and WebP files, not those of folders inside it.
    ///
    /// # Errors
    /// When there is no such folder, it cannot be read, or holds no picture.
    pub fn of_folder(folder: &Path) -> anyhow::Result<Self> {
        let shown = folder.display();
        if !folder.exists() {
            bail!("There is no folder `{shown}`. Name a folder of pictures with `--images`.");
        }
        if !folder.is_dir() {
            bail!("`{shown}` is a file, not a folder. Name the folder that it is in with `--images`.");
        }
        let unreadable = || format!("The folder `{shown}` cannot be read. Check who may read it.");
        let mut pictures = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(unreadable)? {
            let path = entry.with_context(unreadable)?.path();
            if is_picture(&path) {
                pictures.push(SourcePicture::of_file(path)?);
            }
        }
        if pictures.is_empty() {
            bail!("There are no pictures in `{shown}`. Put PNG, JPEG or WebP files there, or name another folder.");
        }
        pictures.sort_by(|a, b| a.file_name.cmp(&b.file_name));
        let name = name_of(folder);
        Ok(Self {
            description: format!("The style of {} pictures from the folder “{name}”.", pictures.len()),
            query: name.to_lowercase(),
            name,
            pictures,
        })
    }
}

impl SourcePicture {
    fn of_file(path: PathBuf) -> anyhow::Result<Self> {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = path.with_extension("txt");
        let caption = if beside.is_file() {
            let text = std::fs::read(&beside).with_context(|| {
                format!("The caption `{}` cannot be read. Check who may read it.", beside.display())
            })?;
            String::from_utf8_lossy(&text).trim_start_matches('\u{feff}').trim().to_owned()
        } else {
            caption_of_name(&file_name)
        };
        Ok(Self { file_name, caption, source: Source::File(path) })
    }

    /// Its bytes. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> anyhow::Result<Bytes> {
        match &self.source {
            Source::Program(bytes) => Ok(Bytes::from_static(bytes)),
            Source::File(path) => {
                let bytes = std::fs::read(path);
                let unreadable = || format!("`{}` cannot be read. Check who may read it.", path.display());
                bytes.map(Bytes::from).with_context(unreadable)
            }
        }
    }
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    ENDINGS.contains(&ending.as_str()) && !is_hidden && path.is_file()
}

/// What a file's name says if it reads like words: `red_fox.png` gives `red fox`, `IMG_2041.jpg` and `fox.png` nothing.
fn caption_of_name(file_name: &str) -> String {
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
    let words: Vec<&str> = stem.split(['-', '_', ' ']).filter(|word| !word.is_empty()).collect();
    let are_words = words.len() >= 2 && words.iter().all(|word| word.chars().all(char::is_alphabetic));
    if are_words { words.join(" ") } else { String::new() }
}

/// A folder's name as a title.
fn name_of(folder: &Path) -> String {
    // `.` and `..` have no name before they are followed.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = folder.file_name().unwrap_or_default().to_string_lossy().replace(['-', '_'], " ");
    let mut letters = name.trim().chars().filter(|letter| !letter.is_control());
    match letters.next() {
        Some(first) if name.chars().any(char::is_alphanumeric) => {
            first.to_uppercase().chain(letters).take(LONGEST_NAME).collect()
        }
        _ => "Pictures of the demo".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_is_words_or_nothing() {
        for (name, caption) in [
            ("a-house-beside-a-tree.jpg", "a house beside a tree"),
            ("red_fox.png", "red fox"),
            ("été à Paris.webp", "été à Paris"),
            ("fox.png", ""),
            ("IMG_2041.jpg", ""),
            ("red-fox-03.png", ""),
            ("--.png", ""),
        ] {
            assert_eq!(caption_of_name(name), caption, "{name}");
        }
        assert!(Material::bundled().pictures.iter().all(|picture| picture.caption.contains(' ')));
    }

    #[test]
    fn a_folder_gives_its_pictures_with_their_captions() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("ink_and-wash");
        std::fs::create_dir_all(folder.join("more.png")).unwrap();
        for (name, text) in [("b_fox.PNG", "1"), ("a.jpg", "2"), ("a.txt", "\u{feff} a boat\n"), (".c.png", "3")] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let material = Material::of_folder(&folder).unwrap();
        let found: Vec<_> = material.pictures.iter().map(|p| (p.file_name.as_str(), p.caption.as_str())).collect();
        assert_eq!(found, [("a.jpg", "a boat"), ("b_fox.PNG", "b fox")]);
        assert_eq!((material.name.as_str(), material.query.as_str()), ("Ink and wash", "ink and wash"));
        assert_eq!(&material.pictures[1].read().unwrap()[..], b"1");
    }

    #[test]
    fn what_is_in_the_way_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let says = |path: &Path| Material::of_folder(path).unwrap_err().to_string();
        assert!(says(folder.path()).contains("no pictures"));
        assert!(says(&folder.path().join("none")).contains("There is no folder"));
        let file = folder.path().join("a.png");
        std::fs::write(&file, "").unwrap();
        assert!(says(&file).contains("is a file"));
    }
}
