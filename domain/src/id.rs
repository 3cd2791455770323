//! Typed ids: a UUIDv7 with the name of its noun in front, as the TypeID specification writes it (`lora_01h455vb…`).
//! Inside the house ids are plain [`Uuid`]s; they are written and read at the edge only.

use type_safe_id::{DynamicType, TypeSafeId};
use uuid::Uuid;

use crate::error::Refused;

macro_rules! nouns {
    ($($(#[$meta:meta])* $variant:ident => ($prefix:literal, $name:literal)),* $(,)?) => {
        /// What an id can name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Noun { $($(#[$meta])* $variant),* }

        impl Noun {
            /// Every noun.
            pub const ALL: &'static [Noun] = &[$(Noun::$variant),*];

            /// The part of an id before the underscore.
            pub const fn prefix(self) -> &'static str {
                match self { $(Noun::$variant => $prefix),* }
            }

            /// The noun in a sentence.
            pub const fn name(self) -> &'static str {
                match self { $(Noun::$variant => $name),* }
            }
        }
    };
}

nouns! {
    /// A person.
    User => ("user", "user"),
    /// A team.
    Team => ("team", "team"),
    /// A membership.
    Membership => ("member", "membership"),
    /// An invitation.
    Invitation => ("invite", "invitation"),
    /// An upload.
    Upload => ("upload", "upload"),
    /// A data set.
    Dataset => ("dataset", "data set"),
    /// A picture of a data set.
    DatasetPicture => ("picture", "picture"),
    /// A base model.
    BaseModel => ("model", "base model"),
    /// A LoRA.
    Lora => ("lora", "LoRA"),
    /// A version of a LoRA.
    LoraVersion => ("version", "LoRA version"),
    /// A preview of a version.
    Preview => ("preview", "preview"),
    /// A training run.
    TrainingRun => ("training", "training run"),
    /// An epoch of a training run.
    TrainingEpoch => ("epoch", "training epoch"),
    /// A generation.
    Generation => ("generation", "generation"),
    /// A generated picture.
    Asset => ("asset", "asset"),
    /// A rating.
    Rating => ("rating", "rating"),
    /// A report of something that was published.
    Report => ("report", "report"),
    /// A comment.
    Comment => ("comment", "comment"),
    /// A collection.
    Collection => ("collection", "collection"),
    /// A follow.
    Follow => ("follow", "follow"),
    /// A notification.
    Notification => ("notification", "notification"),
    /// A job.
    Job => ("job", "job"),
    /// An entry of the ledger.
    LedgerEntry => ("entry", "ledger entry"),
    /// An entry of the audit trail.
    AuditEntry => ("audit", "audit entry"),
}

/// Writes an id for the outside.
pub fn encode(noun: Noun, id: Uuid) -> String {
    let kind = DynamicType::new(noun.prefix()).expect("invariant: prefixes are lower-case letters");
    TypeSafeId::from_type_and_uuid(kind, id).to_string()
}

/// Reads an id of any noun.
pub fn decode_any(text: &str) -> Option<(Noun, Uuid)> {
    let id: TypeSafeId<DynamicType> = text.parse().ok()?;
    let noun = Noun::ALL.iter().copied().find(|noun| noun.prefix() == id.type_prefix())?;
    Some((noun, id.uuid()))
}

/// Reads an id of one noun.
///
/// # Errors
/// [`Refused::NotFound`] when the text is no id of that noun: to a caller, a malformed id is the id of nothing.
pub fn decode(noun: Noun, text: &str) -> Result<Uuid, Refused> {
    match decode_any(text) {
        Some((found, id)) if found == noun => Ok(id),
        _ => Err(Refused::NotFound(noun.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_noun_is_read_back_as_itself_and_as_no_other() {
        let id = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
        for &noun in Noun::ALL {
            let text = encode(noun, id);
            assert_eq!(decode(noun, &text), Ok(id), "{text}");
            let other = Noun::ALL.iter().copied().find(|other| *other != noun).expect("several nouns");
            assert_eq!(decode(other, &text), Err(Refused::NotFound(other.name())));
        }
        for nonsense in
            ["", "lora_", "lora_zzzz", "lora_01h455vb4pex5vsknk084sn02qq", "LORA_01h455vb4pex5vsknk084sn02q"]
        {
            assert!(decode(Noun::Lora, nonsense).is_err(), "{nonsense}");
        }
    }
}
