//! Words that mean the same, from a text file that whoever runs the installation may edit.

use std::{
    collections::HashMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{analysis, reading::without_little_words};

/// What a new installation begins with.
const BUNDLED: &str = include_str!("synonyms.txt");
/// Seconds between two looks at the file.
const LOOK_EVERY: u64 = 1;

/// For each word, or several with a space between and without those that say little, what it means too: lists of one word or of several that stand together.
pub(crate) type Meanings = HashMap<String, Vec<Vec<String>>>;

/// Words that are looked up together, at most.
const MOST_TOGETHER: usize = 4;

/// What words mean too that were typed one behind the other, of several that stand together in the list: for each of these words.
pub(crate) fn of_several<'a>(typed: &[String], meanings: &'a Meanings) -> Vec<(String, &'a [Vec<String>])> {
    let typed = without_little_words(typed);
    let mut found = Vec::new();
    for length in 2..=MOST_TOGETHER {
        for run in typed.windows(length) {
            let Some(others) = meanings.get(&run.join(" ")) else { continue };
            found.extend(run.iter().map(|word| (word.clone(), others.as_slice())));
        }
    }
    found
}

/// The list, read again when its file changes.
pub(crate) struct Synonyms {
    file: PathBuf,
    seen: Mutex<Seen>,
}

struct Seen {
    looked: Instant,
    changed: Option<std::time::SystemTime>,
    meanings: Arc<Meanings>,
}

impl Synonyms {
    /// Reads the list, writing the bundled one where there is none.
    pub(crate) fn open(file: PathBuf) -> io::Result<Self> {
        if !file.try_exists()? {
            fs::write(&file, BUNDLED)?;
        }
        let text = fs::read_to_string(&file)?;
        let changed = fs::metadata(&file)?.modified().ok();
        let seen = Seen { looked: Instant::now(), changed, meanings: Arc::new(parse(&text)) };
        Ok(Self { file, seen: Mutex::new(seen) })
    }

    /// The list as it stands. A file that cannot be read leaves the last list in force, with a warning.
    pub(crate) fn meanings(&self) -> Arc<Meanings> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.looked.elapsed().as_secs() >= LOOK_EVERY {
            seen.looked = Instant::now();
            let changed = fs::metadata(&self.file).and_then(|facts| facts.modified()).ok();
            if changed != seen.changed {
                seen.changed = changed;
                match fs::read_to_string(&self.file) {
                    Ok(text) => seen.meanings = Arc::new(parse(&text)),
                    Err(error) => tracing::warn!(file = %self.file.display(), %error, "synonyms cannot be read"),
                }
            }
        }
        seen.meanings.clone()
    }
}

fn parse(text: &str) -> Meanings {
    let mut meanings = Meanings::new();
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|l| !l.is_empty()) {
        let (from, to) = match line.split_once("=>") {
            Some((from, to)) => (list(from), list(to)),
            None => (list(line), list(line)),
        };
        for words in from {
            if words.len() > MOST_TOGETHER {
                tracing::warn!(line, "so many words on the left of a synonym are not looked for together");
            }
            let known = meanings.entry(without_little_words(&words).join(" ")).or_default();
            for meaning in to.iter().filter(|meaning| **meaning != words) {
                if !known.contains(meaning) {
                    known.push(meaning.clone());
                }
            }
        }
    }
    meanings
}

fn list(text: &str) -> Vec<Vec<String>> {
    let split = |part: &str| analysis::words(part, 8).into_iter().map(|word| word.text).collect::<Vec<_>>();
    text.split(',').map(split).filter(|words| !words.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_groups_and_arrows() {
        let meanings = parse("ad, advertising # both\nbw => black and white\nblack and white => bw\n\n# nothing\n");
        assert_eq!(meanings["ad"], [["advertising"]]);
        assert_eq!(meanings["advertising"], [["ad"]]);
        assert_eq!(meanings["bw"], [["black", "and", "white"]]);
        assert_eq!(meanings["black white"], [["bw"]]);
        assert_eq!(meanings.len(), 4);
        let typed = ["a", "black", "and", "white", "cat"].map(str::to_owned);
        let found: Vec<String> = of_several(&typed, &meanings).into_iter().map(|(word, _)| word).collect();
        assert_eq!(found, ["black", "white"]);
    }

    #[test]
    fn the_bundled_list_knows_ad() {
        assert!(parse(BUNDLED)["ad"].contains(&vec!["advertising".to_owned()]));
    }
}
