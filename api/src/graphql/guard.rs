//! The gate in front of the GraphQL engine. Its parser can be made to overflow the stack by nested lists and its
//! validator to burn minutes by fanned-out fragments, both with documents of a kilobyte or two. So every document, by
//! whichever transport it comes, passes [`check`] first: size, lexical form and bracket depth on the bytes, then one
//! parse, then the measures of [`super::cost`]. What passes is handed on already parsed.

use async_graphql::{
    Pos, Variables,
    parser::{
        parse_query,
        types::{DocumentOperations, ExecutableDocument, OperationType},
    },
};

use super::{
    cost::{self, Unmeasurable},
    error::Code,
};

/// What a document may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardSettings {
    /// Bytes of the document.
    pub document_bytes: usize,
    /// Brackets of any kind inside each other, outside strings and comments.
    pub bracket_depth: usize,
    /// Points of one document, and selections after fragments have been put in place.
    pub cost: u32,
    /// Fields inside fields; introspection excepted.
    pub depth: u32,
    /// Directives in the document.
    pub directives: usize,
    /// Aliases in the document.
    pub aliases: usize,
    /// Whether `__schema` and `__type` are answered.
    pub introspection: bool,
    /// Whether mistakes are answered with names from the schema ("did you mean …").
    pub suggestions: bool,
}

impl GuardSettings {
    /// The limits of the service; in production the schema is not told.
    pub const fn new(production: bool) -> Self {
        Self {
            document_bytes: 16 * 1024,
            bracket_depth: 64,
            cost: 2_000,
            depth: 12,
            directives: 10,
            aliases: 30,
            introspection: !production,
            suggestions: !production,
        }
    }
}

/// A type whose fields lead to types again multiplies its answer with each step; so many steps are enough for every
/// tool that reads schemas.
const INTROSPECTION_LISTS: u32 = 2;

/// Selection sets inside each other, those of fragments included: the engine walks them by recursion.
const NESTING: u32 = 32;

/// A document that may be validated and run.
#[derive(Debug)]
pub struct Checked {
    /// The document, parsed.
    pub document: ExecutableDocument,
    /// Its points.
    pub cost: u32,
    /// What the chosen operation is.
    pub operation: OperationType,
}

/// Why a document was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its code.
    pub code: Code,
    /// What is wrong and what to do.
    pub message: String,
    /// Where in the document, if that can be said.
    pub at: Option<Pos>,
    /// Whether the document is wrong (it does not parse, or names no operation) rather than too large. A client that
    /// accepts only `application/json` gets such an answer with status 200, as GraphQL over HTTP asks.
    pub is_document_error: bool,
}

impl Rejected {
    fn limit(message: String) -> Self {
        Self { code: Code::CostExceeded, message, at: None, is_document_error: false }
    }

    fn document(code: Code, message: String, at: Option<Pos>) -> Self {
        Self { code, message, at, is_document_error: true }
    }

    /// The entry of `errors[]`.
    pub fn to_json(&self) -> serde_json::Value {
        let mut entry = super::error::entry(self.code, &self.message);
        if let Some(at) = self.at {
            entry["locations"] = serde_json::json!([{ "line": at.line, "column": at.column }]);
        }
        entry
    }
}

/// Checks a document.
///
/// # Errors
/// [`Rejected`].
pub fn check(
    source: &str,
    operation_name: Option<&str>,
    variables: &Variables,
    settings: &GuardSettings,
) -> Result<Checked, Rejected> {
    if source.len() > settings.document_bytes {
        let (bytes, most) = (source.len(), settings.document_bytes);
        return Err(Rejected {
            code: Code::TooLarge,
            ..Rejected::limit(format!(
                "The document has {bytes} bytes; at most {most} are taken. Ask for less at once."
            ))
        });
    }
    scan(source, settings.bracket_depth)?;
    let document = parse_query(source).map_err(syntax)?;
    let operation = choose(&document, operation_name)?;
    let cost = measure(&document, variables, settings)?;
    Ok(Checked { document, cost, operation })
}

fn syntax(error: async_graphql::parser::Error) -> Rejected {
    let at = error.positions().next();
    // The parser draws a picture of the place under its message; the place is in `locations`.
    let text = error.to_string();
    let reason = text.lines().rev().find_map(|line| line.trim().strip_prefix("= ")).unwrap_or(&text).trim();
    let place = at.map_or(String::new(), |at| format!(" (line {}, column {})", at.line, at.column));
    Rejected::document(Code::ParseFailed, format!("The document is not GraphQL: {reason}{place}."), at)
}

/// The operation that is meant.
fn choose(document: &ExecutableDocument, name: Option<&str>) -> Result<OperationType, Rejected> {
    let wrong = |message: String| Err(Rejected::document(Code::BadRequest, message, None));
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(operation.node.ty),
        (DocumentOperations::Single(_), Some(name)) => wrong(format!(
            "`operationName` is `{name}`, but the document's one operation has no name. Leave `operationName` away."
        )),
        (DocumentOperations::Multiple(operations), None) => match operations.values().next() {
            Some(operation) if operations.len() == 1 => Ok(operation.node.ty),
            _ => wrong(format!(
                "The document has {} operations. Say in `operationName` which of them is to be run.",
                operations.len()
            )),
        },
        (DocumentOperations::Multiple(operations), Some(name)) => match operations.get(name) {
            Some(operation) => Ok(operation.node.ty),
            None => wrong(format!("The document has no operation `{name}`. Check `operationName`.")),
        },
    }
}

fn measure(document: &ExecutableDocument, variables: &Variables, settings: &GuardSettings) -> Result<u32, Rejected> {
    let measure = cost::measure(document, variables).map_err(|reason| match reason {
        Unmeasurable::Cycle { fragment, at } => Rejected::document(
            Code::ValidationFailed,
            format!("A fragment may not contain itself, and `{fragment}` leads into such a circle. Break it."),
            Some(at),
        ),
        Unmeasurable::Page { argument, rows, at } => Rejected {
            code: Code::BadRequest,
            at: Some(at),
            ..Rejected::limit(format!(
                "`{argument}` asks for {rows} rows; ask for 1 to 100 at once and page through the rest."
            ))
        },
    })?;
    let (cost, most) = (measure.cost, settings.cost);
    if cost > most {
        return Err(Rejected::limit(format!(
            "This document costs {cost} points and {most} are allowed. Ask for fewer fields or smaller pages."
        )));
    }
    let selections = measure.selections;
    if selections > most {
        return Err(Rejected::limit(format!(
            "With its fragments in place this document has {selections} selections and {most} are allowed. Ask for less."
        )));
    }
    within("selection sets inside each other", measure.nesting, NESTING)?;
    within("fields inside fields", measure.depth, settings.depth)?;
    let written = cost::written(document);
    within("directives", written.directives, settings.directives)?;
    within("aliases", written.aliases, settings.aliases)?;
    if measure.introspects && !settings.introspection {
        return Err(Rejected {
            code: Code::Forbidden,
            ..Rejected::limit(
                "Introspection is off on this server. Its schema is published as `schema.graphql`.".into(),
            )
        });
    }
    if measure.introspects {
        within("introspection lists inside each other", measure.introspection_lists, INTROSPECTION_LISTS)?;
    }
    Ok(cost)
}

fn within<N: PartialOrd + std::fmt::Display>(what: &str, number: N, most: N) -> Result<(), Rejected> {
    if number <= most {
        return Ok(());
    }
    Err(Rejected::limit(format!("This document has {number} {what} and {most} are allowed. Split it into several.")))
}

/// Reads the document's bytes as the lexer will: strings, block strings and comments are skipped, brackets counted. A
/// string that does not end is refused here: the engine's parser would read on after its quotation mark, over brackets
/// that this count has not seen.
fn scan(source: &str, most: usize) -> Result<(), Rejected> {
    let bytes = source.as_bytes();
    let (mut depth, mut next) = (0_usize, 0_usize);
    while let Some(byte) = bytes.get(next) {
        match byte {
            b'#' => next = skip_comment(bytes, next),
            b'"' => {
                next = skip_string(bytes, next).ok_or_else(|| {
                    let at = position(source, next);
                    let message = format!("The document is not GraphQL: the string at line {} does not end.", at.line);
                    Rejected::document(Code::ParseFailed, message, Some(at))
                })?;
                continue;
            }
            b'{' | b'[' | b'(' => {
                depth += 1;
                if depth > most {
                    let message = format!("Brackets may stand {most} deep inside each other. Nest less.");
                    return Err(Rejected { at: Some(position(source, next)), ..Rejected::limit(message) });
                }
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        next += 1;
    }
    Ok(())
}

/// The last byte of a comment.
fn skip_comment(bytes: &[u8], start: usize) -> usize {
    let length = bytes[start..].iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    length.map_or(bytes.len(), |length| start + length)
}

/// The byte after a string; none when it does not end.
fn skip_string(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes[start..].starts_with(b"\"\"\"") {
        let mut next = start + 3;
        loop {
            let rest = bytes.get(next..)?;
            if rest.starts_with(b"\"\"\"") {
                return Some(next + 3);
            }
            next += if rest.starts_with(b"\\\"\"\"") { 4 } else { 1 };
        }
    }
    let mut next = start + 1;
    loop {
        match bytes.get(next)? {
            b'"' => return Some(next + 1),
            b'\n' | b'\r' => return None,
            b'\\' => next += 2,
            _ => next += 1,
        }
    }
}

fn position(source: &str, offset: usize) -> Pos {
    let before = &source[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    Pos { line, column }
}
