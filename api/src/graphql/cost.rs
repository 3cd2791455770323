//! What a document costs, before it is validated or run: one walk over every definition, fragments expanded by sums that
//! are kept (each fragment is measured once) and saturate.
//!
//! A field costs one point. What is selected inside a field with `first`, `last` or `ids` is paid for once for each row
//! asked for. All definitions of a document are paid for, also those that the operation does not reach: the validator
//! reads them all.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Pos, Positioned, Value, Variables,
    parser::types::{ExecutableDocument, Field, Selection, SelectionSet},
};

/// Rows that a page may be asked for.
pub const PAGE: std::ops::RangeInclusive<i64> = 1..=100;

/// What a document, or a part of it, amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Points: fields, times the rows that they are asked for.
    pub cost: u32,
    /// Selections after every fragment has been put in its place; no rows counted.
    pub selections: u32,
    /// Fields inside fields.
    pub depth: u32,
    /// Selection sets inside each other, those of fragments included.
    pub nesting: u32,
    /// The longest chain of introspection lists inside each other (`fields`, `interfaces`, …).
    pub introspection_lists: u32,
    /// Whether `__schema` or `__type` is asked for.
    pub introspects: bool,
}

impl Measure {
    /// Adds what stands beside this.
    fn beside(self, other: Self) -> Self {
        Self {
            cost: self.cost.saturating_add(other.cost),
            selections: self.selections.saturating_add(other.selections),
            depth: self.depth.max(other.depth),
            nesting: self.nesting.max(other.nesting),
            introspection_lists: self.introspection_lists.max(other.introspection_lists),
            introspects: self.introspects || other.introspects,
        }
    }
}

/// A document that has no measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmeasurable {
    /// A fragment contains itself.
    Cycle {
        /// One of the fragments in the circle.
        fragment: String,
        /// Where it is defined.
        at: Pos,
    },
    /// A page of an impossible size.
    Page {
        /// `first`, `last` or `ids`.
        argument: String,
        /// The rows asked for.
        rows: i64,
        /// Where.
        at: Pos,
    },
}

/// Names and counts that no expansion changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Aliases in the whole document.
    pub aliases: usize,
    /// Directives in the whole document.
    pub directives: usize,
}

/// Measures a document.
///
/// # Errors
/// [`Unmeasurable`].
pub fn measure(document: &ExecutableDocument, variables: &Variables) -> Result<Measure, Unmeasurable> {
    let order = fragments_inside_out(document)?;
    let mut measuring = Measuring { document, variables, fragments: HashMap::with_capacity(order.len()) };
    for name in order {
        let measure = measuring.set(&document.fragments[name].node.selection_set)?;
        measuring.fragments.insert(name, measure);
    }
    let mut total = Measure::default();
    for (_, operation) in document.operations.iter() {
        total = total.beside(measuring.set(&operation.node.selection_set)?);
    }
    let used = spread_somewhere(document);
    for name in document.fragments.keys().filter(|name| !used.contains(*name)) {
        total = total.beside(measuring.fragments[name]);
    }
    Ok(total)
}

/// Counts what is written in a document.
pub fn written(document: &ExecutableDocument) -> Written {
    let mut written = Written::default();
    for (_, operation) in document.operations.iter() {
        written.directives += operation.node.directives.len();
        written.directives +=
            operation.node.variable_definitions.iter().map(|v| v.node.directives.len()).sum::<usize>();
        count(&operation.node.selection_set, &mut written);
    }
    for fragment in document.fragments.values() {
        written.directives += fragment.node.directives.len();
        count(&fragment.node.selection_set, &mut written);
    }
    written
}

fn count(set: &Positioned<SelectionSet>, written: &mut Written) {
    for selection in &set.node.items {
        written.directives += selection.node.directives().len();
        match &selection.node {
            Selection::Field(field) => {
                written.aliases += usize::from(field.node.alias.is_some());
                count(&field.node.selection_set, written);
            }
            Selection::InlineFragment(inline) => count(&inline.node.selection_set, written),
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// The fragments that some definition spreads: their cost is in that definition's.
fn spread_somewhere(document: &ExecutableDocument) -> HashSet<&Name> {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set);
    operations.chain(fragments).flat_map(spreads).collect()
}

/// The fragments that a selection set spreads, each as often as it does.
fn spreads(set: &Positioned<SelectionSet>) -> Vec<&Name> {
    let mut found = Vec::new();
    let mut open = vec![set];
    while let Some(set) = open.pop() {
        for selection in &set.node.items {
            match &selection.node {
                Selection::Field(field) => open.push(&field.node.selection_set),
                Selection::InlineFragment(inline) => open.push(&inline.node.selection_set),
                Selection::FragmentSpread(spread) => found.push(&spread.node.fragment_name.node),
            }
        }
    }
    found
}

/// The fragments in an order in which each comes after those that it spreads. Without recursion: a document of a few
/// kilobytes can chain hundreds of them.
fn fragments_inside_out(document: &ExecutableDocument) -> Result<Vec<&Name>, Unmeasurable> {
    let mut waiting: HashMap<&Name, usize> = HashMap::with_capacity(document.fragments.len());
    let mut used_by: HashMap<&Name, Vec<&Name>> = HashMap::new();
    for (name, fragment) in &document.fragments {
        let inner: Vec<&Name> = spreads(&fragment.node.selection_set);
        let inner = inner.into_iter().filter(|inner| document.fragments.contains_key(*inner));
        let mut number = 0;
        for spread in inner {
            used_by.entry(spread).or_default().push(name);
            number += 1;
        }
        waiting.insert(name, number);
    }
    let mut order: Vec<&Name> = waiting.iter().filter(|(_, number)| **number == 0).map(|(name, _)| *name).collect();
    let mut next = 0;
    while let Some(name) = order.get(next).copied() {
        next += 1;
        for user in used_by.get(name).into_iter().flatten() {
            let number = waiting.get_mut(user).expect("invariant: every fragment is in the map");
            *number -= 1;
            if *number == 0 {
                order.push(user);
            }
        }
    }
    match document.fragments.iter().filter(|(name, _)| waiting[name] > 0).min_by_key(|(_, fragment)| fragment.pos) {
        Some((name, fragment)) => Err(Unmeasurable::Cycle { fragment: name.to_string(), at: fragment.pos }),
        None => Ok(order),
    }
}

struct Measuring<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    fragments: HashMap<&'a Name, Measure>,
}

impl Measuring<'_> {
    /// Measures a selection set; recursion is bounded by the brackets of one definition.
    fn set(&self, set: &Positioned<SelectionSet>) -> Result<Measure, Unmeasurable> {
        let mut total = Measure::default();
        for selection in &set.node.items {
            let mut part = match &selection.node {
                Selection::Field(field) => self.field(field)?,
                Selection::InlineFragment(inline) => self.set(&inline.node.selection_set)?,
                Selection::FragmentSpread(spread) => {
                    self.fragments.get(&spread.node.fragment_name.node).copied().unwrap_or_default()
                }
            };
            part.selections = part.selections.saturating_add(1);
            total = total.beside(part);
        }
        if !set.node.items.is_empty() {
            total.nesting = total.nesting.saturating_add(1);
        }
        Ok(total)
    }

    fn field(&self, field: &Positioned<Field>) -> Result<Measure, Unmeasurable> {
        let inside = self.set(&field.node.selection_set)?;
        let name = field.node.name.node.as_str();
        let introspection = matches!(name, "__schema" | "__type");
        let list = matches!(name, "fields" | "inputFields" | "interfaces" | "possibleTypes");
        Ok(Measure {
            cost: inside.cost.saturating_mul(self.rows(&field.node)?).saturating_add(1),
            selections: inside.selections,
            // Types are nested deeply by nature; their size is bounded through `introspection_lists`.
            depth: if introspection { 1 } else { inside.depth.saturating_add(1) },
            nesting: inside.nesting,
            introspection_lists: inside.introspection_lists.saturating_add(u32::from(list)),
            introspects: inside.introspects || introspection,
        })
    }

    /// How many rows a field is asked for, by `first`, `last` or a list of `ids`; one where it takes neither.
    fn rows(&self, field: &Field) -> Result<u32, Unmeasurable> {
        let mut rows = 1;
        for (argument, value) in &field.arguments {
            let name = argument.node.as_str();
            if !matches!(name, "first" | "last" | "ids") {
                continue;
            }
            // Anything but a number or a list of ids is for the validator to refuse.
            let asked = match value.node.clone().into_const_with(|variable| self.variable(&variable).ok_or(())) {
                Ok(Value::Number(asked)) if name != "ids" => asked.as_i64(),
                Ok(Value::List(ids)) if name == "ids" => i64::try_from(ids.len().max(1)).ok(),
                _ => None,
            };
            let Some(asked) = asked else { continue };
            if !PAGE.contains(&asked) {
                return Err(Unmeasurable::Page { argument: name.to_owned(), rows: asked, at: value.pos });
            }
            rows = rows.max(u32::try_from(asked).unwrap_or(u32::MAX));
        }
        Ok(rows)
    }

    /// What a variable holds. Without a value its default; definitions of the same name in other operations may have
    /// other defaults, and the largest is meant.
    fn variable(&self, name: &Name) -> Option<Value> {
        if let Some(value) = self.variables.get(name) {
            return Some(value.clone());
        }
        let operations = self.document.operations.iter();
        let definitions = operations.flat_map(|(_, operation)| &operation.node.variable_definitions);
        let defaults = definitions
            .filter(|definition| definition.node.name.node == *name)
            .filter_map(|definition| definition.node.default_value.as_ref().map(|value| &value.node));
        defaults.max_by_key(|value| if let Value::Number(number) = value { number.as_i64() } else { None }).cloned()
    }
}
