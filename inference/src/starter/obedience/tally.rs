//! How many questions were answered right.

use std::{collections::BTreeMap, fmt};

use serde_json::{Value, json};

use super::{
    question::{Kind, Question},
    reading::{Verdict, read},
};
use crate::image::Picture;

/// A question with the picture that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was asked.
    pub question: Question,
    /// What was drawn.
    pub picture: Picture,
    /// Whether it is right.
    pub verdict: Verdict,
}

/// Right answers and questions of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    kinds: BTreeMap<Kind, (usize, usize)>,
}

impl Answer {
    /// Reads pictures that answer questions, in the same order.
    pub fn all(questions: &[Question], pictures: &[Picture]) -> Vec<Self> {
        let pairs = questions.iter().zip(pictures);
        let answer = |(question, picture): (&Question, &Picture)| Self {
            question: question.clone(),
            picture: picture.clone(),
            verdict: read(question, picture),
        };
        pairs.map(answer).collect()
    }
}

impl Tally {
    /// Counts answers.
    pub fn of<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> Self {
        let mut tally = Self::default();
        answers.into_iter().for_each(|answer| tally.add(answer.question.kind, answer.verdict.right));
        tally
    }

    /// Counts one more question.
    pub fn add(&mut self, kind: Kind, right: bool) {
        let (rights, asked) = self.kinds.entry(kind).or_default();
        *rights += usize::from(right);
        *asked += 1;
    }

    /// Right answers and questions of a kind.
    pub fn of_kind(&self, kind: Kind) -> (usize, usize) {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }

    /// Right answers and questions of all kinds.
    pub fn total(&self) -> (usize, usize) {
        self.kinds.values().fold((0, 0), |sum, kind| (sum.0 + kind.0, sum.1 + kind.1))
    }

    /// The share of right answers among all, 0 when nothing was asked.
    pub fn right(&self) -> f64 {
        share(self.total())
    }

    /// `{"right": 0.93, "kinds": {"colour": 0.95, …}}`.
    pub fn to_json(&self) -> Value {
        let kinds: serde_json::Map<String, Value> =
            self.kinds.iter().map(|(kind, counts)| (kind.word().to_owned(), json!(rounded(share(*counts))))).collect();
        json!({ "right": rounded(self.right()), "kinds": kinds })
    }
}

fn share((right, asked): (usize, usize)) -> f64 {
    right as f64 / asked.max(1) as f64
}

fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, counts: (usize, usize)| {
            writeln!(formatter, "{name:<8} {:>4} of {:>4}  {:>5.1} %", counts.0, counts.1, 100.0 * share(counts))
        };
        for (kind, counts) in &self.kinds {
            line(kind.word(), *counts)?;
        }
        line("all", self.total())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_answers_are_counted() {
        let mut tally = Tally::default();
        [true, true, false].into_iter().for_each(|right| tally.add(Kind::Shape, right));
        tally.add(Kind::Count, true);
        assert_eq!((tally.of_kind(Kind::Shape), tally.total()), ((2, 3), (3, 4)));
        assert_eq!(tally.to_json(), json!({ "right": 0.75, "kinds": { "shape": 0.6667, "count": 1.0 } }));
        assert!(tally.to_string().contains("shape       2 of    3   66.7 %"), "{tally}");
    }
}
