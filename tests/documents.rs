//! Documents as clients send them, and as they should not.

use rand::{Rng, seq::IndexedRandom as _};

/// What people ask, as documents with variables in them.
pub fn questions(dataset: &str) -> Vec<String> {
    vec![
        "query Q($n: Int! = 3) { datasets(first: $n) { edges { cursor node { id name lint { code message } } } } }".into(),
        "{ viewer { email user { ...U } personalTeam { credits { available } } } } fragment U on User { handle bio \
         followers(first: 2) { edges { node { id follower { handle } } } } }"
            .into(),
        "{ loras(search: \"ink wash\", sort: NEWEST, filter: { tags: [\"ink\"], minimumRating: 1.5, licenses: [\"CC0-1.0\"], \
         publishedAfter: \"2020-01-01T00:00:00Z\" }, first: 5) { facets { tags { value count } } edges { highlights { html } \
         node { name creator { handle } } } } }"
            .into(),
        format!("{{ node(id: \"{dataset}\") {{ __typename ... on Dataset {{ name pictures(first: 3) {{ edges {{ node {{ \
                 caption url }} }} }} }} }} user(handle: \"ada\") {{ id displayName }} }}"),
        "{ loraByHash(hash: \"0123456789abcdef\") { id number } notifications(first: 2, unreadOnly: true, after: \"MDE\") { \
         edges { node { message } } } }"
            .into(),
        format!("mutation {{ updateDataset(input: {{ id: \"{dataset}\", name: \"Foxes\", description: \"\"\"two\nlines\"\"\" }}) \
                 {{ dataset {{ name }} userErrors {{ field message code }} }} }}"),
        "mutation { generatePictures(input: { prompt: \"a \\\"fox\\\" # no comment\", seed: 7, count: 2, width: 64, guidance: \
         1.5, idempotencyKey: \"k\" }) { generation { id seed } userErrors { code } } }"
            .into(),
        "mutation { signIn(input: { email: \"nobody@atelier.test\", password: \"not the password\" }) { userErrors { code } } }"
            .into(),
        "{ __schema { types { name fields { name } } } __type(name: \"Lora\") { kind } }".into(),
    ]
}

/// Takes, doubles, swaps and inserts pieces of a document; or changes what stands in its strings and numbers alone, which
/// gets further.
pub fn mutated(seed: &str, random: &mut impl Rng) -> String {
    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "\"\"\"",
        "...",
        "@skip(if: true)",
        "$n",
        ":",
        "#",
        "\\",
        "\n",
        "é",
        "\u{0}",
        "null",
        "first: 101",
        "after: \"eA\"",
        "fragment F on Lora { id }",
    ];
    if random.random_bool(0.5) {
        return with_other_values(seed, random);
    }
    let mut characters: Vec<char> = seed.chars().collect();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..characters.len());
        let end = (at + random.random_range(1..30)).min(characters.len());
        match random.random_range(0..4) {
            0 => drop(characters.drain(at..end)),
            1 => {
                let again = characters[at..end].repeat(random.random_range(1..40));
                characters.splice(at..at, again);
            }
            2 => {
                let piece: Vec<char> = PIECES.choose(random).unwrap().chars().collect();
                characters.splice(at..at, piece);
            }
            _ => characters[at] = char::from(random.random_range(1_u8..127)),
        }
        if characters.is_empty() {
            characters.push('{');
        }
    }
    characters.into_iter().collect()
}

/// The document with other characters in its strings and numbers.
fn with_other_values(seed: &str, random: &mut impl Rng) -> String {
    const CHARACTERS: &[&str] =
        &["\\u0000", "\\uFFFF", "\\\"", "%", "_", "é", "🦊", "'", "<", "-", "0", "9", "zz", " ", ""];
    const NUMBERS: &[&str] =
        &["-1", "0", "101", "2147483648", "9007199254740993", "9223372036854775808", "1e999", "-0.0", "7"];
    let (rate, mut in_string, mut document) = (random.random_range(0.05..0.5), false, String::new());
    for character in seed.chars() {
        in_string ^= character == '"';
        let is_value = character.is_ascii_digit() && document.ends_with(' ');
        match character {
            '"' | '\\' => document.push(character),
            _ if in_string && random.random_bool(rate) => document.push_str(CHARACTERS.choose(random).unwrap()),
            _ if is_value && random.random_bool(rate) => document.push_str(NUMBERS.choose(random).unwrap()),
            _ => document.push(character),
        }
    }
    document
}
