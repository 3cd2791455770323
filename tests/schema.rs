//! The schema is written down, and only grows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use async_graphql::parser::{
    parse_schema,
    types::{FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition},
};
use atelier::graphql::{definition, permissions};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn generated_files_are_fresh() {
    for (name, text) in [("schema.graphql", definition()), ("docs/PERMISSIONS.md", permissions::page())] {
        let found = fs::read_to_string(root().join(name)).unwrap_or_default();
        assert!(found == text, "`{name}` is stale: run `cargo run -- schema` and commit what it writes");
    }
}

/// What clients may rely on, by its name (`Type`, `Type.field`, `Type.field(argument)`), with its type; and, in a set of
/// their own, what they must give.
#[derive(Default)]
struct Promises {
    given: BTreeMap<String, String>,
    required: BTreeSet<String>,
}

impl Promises {
    fn of(schema: &str) -> Self {
        let mut promises = Self::default();
        for definition in parse_schema(schema).unwrap().definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            promises.given.insert(name.clone(), String::new());
            match definition.node.kind {
                TypeKind::Object(object) => promises.fields(&name, object.fields.iter().map(|field| &field.node)),
                TypeKind::Interface(interface) => {
                    promises.fields(&name, interface.fields.iter().map(|field| &field.node));
                }
                TypeKind::InputObject(input) => {
                    promises.inputs(&name, input.fields.iter().map(|field| &field.node), |name, field| {
                        format!("{name}.{field}")
                    });
                }
                TypeKind::Enum(values) => {
                    let values = values.values.iter().map(|value| format!("{name}.{}", value.node.value.node));
                    promises.given.extend(values.map(|value| (value, String::new())));
                }
                TypeKind::Union(union) => {
                    let members = union.members.iter().map(|member| format!("{name}.{}", member.node));
                    promises.given.extend(members.map(|member| (member, String::new())));
                }
                TypeKind::Scalar => {}
            }
        }
        promises
    }

    fn fields<'a>(&mut self, name: &str, fields: impl Iterator<Item = &'a FieldDefinition>) {
        for field in fields {
            let place = format!("{name}.{}", field.name.node);
            self.given.insert(place.clone(), field.ty.node.to_string());
            self.inputs(&place, field.arguments.iter().map(|argument| &argument.node), |place, argument| {
                format!("{place}({argument})")
            });
        }
    }

    fn inputs<'a>(
        &mut self,
        name: &str,
        inputs: impl Iterator<Item = &'a InputValueDefinition>,
        place: impl Fn(&str, &str) -> String,
    ) {
        for input in inputs {
            let place = place(name, &input.name.node);
            let kind = input.ty.node.to_string();
            if kind.ends_with('!') && input.default_value.is_none() {
                self.required.insert(place.clone());
            }
            // Whether it must be given is promised apart: to ask less is no break.
            self.given.insert(place, kind.trim_end_matches('!').to_owned());
        }
    }

    /// What no longer holds of these promises.
    fn broken_by(&self, now: &Self) -> Vec<String> {
        let kept = |place: &String, kind: &String| match now.given.get(place) {
            // A field that was nullable may become non-null; the other way round breaks clients.
            Some(found) => found == kind || found.trim_end_matches('!') == kind,
            None => false,
        };
        let lost = self.given.iter().filter(|(place, kind)| !kept(place, kind)).map(|(place, _)| place.clone());
        let asked = now.required.iter().filter(|place| !self.required.contains(*place)).filter(|place| {
            // What is required of something that is new itself breaks nobody.
            let parent = place.rsplit_once(['.', '(']).map_or("", |(parent, _)| parent);
            self.given.contains_key(parent)
        });
        lost.chain(asked.cloned()).collect()
    }
}

#[test]
fn what_was_published_stays() {
    let published = fs::read_to_string(root().join("tests/fixtures/schema-published.graphql")).unwrap();
    let listed = fs::read_to_string(root().join("docs/SCHEMA_CHANGES.md")).unwrap();
    let broken = Promises::of(&published).broken_by(&Promises::of(&definition()));
    let unlisted: Vec<_> = broken.iter().filter(|place| !listed.contains(&format!("`{place}`"))).collect();
    assert!(unlisted.is_empty(), "breaks clients and is not listed in docs/SCHEMA_CHANGES.md: {unlisted:?}");
}

#[test]
fn breaks_are_seen() {
    let before = "type Query { a: Int! b(c: Int): String } enum E { X Y } input I { d: Int }";
    let broken = |now: &str| Promises::of(before).broken_by(&Promises::of(now));
    assert_eq!(broken(before), Vec::<String>::new());
    let grown = "type Query { a: Int! b(c: Int, new: Int): String! f(g: Int!): Int } enum E { X Y Z } input I { d: Int e: Int }";
    assert_eq!(broken(grown), Vec::<String>::new());
    let shrunk = "type Query { a: Int b(c: Int!): String } enum E { X } input I { d: Int e: Int! }";
    assert_eq!(broken(shrunk), ["E.Y", "Query.a", "I.e", "Query.b(c)"]);
}
