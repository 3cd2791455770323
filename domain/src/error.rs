//! How use-cases fail. What a caller can mend is a value with a stable code; what one may not see is "not found"; the
//! rest is unexpected, logged once at the edge and shown as an opaque code.

use std::borrow::Cow;

/// Refusals that every use-case may give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such thing, or the actor may not know of it.
    #[error("There is no such {0}, or you may not see it. Check the id.")]
    NotFound(&'static str),
    /// The actor may see the thing but not do this to it.
    #[error("You may not {0}. Ask somebody with a higher role in the team.")]
    Forbidden(&'static str),
    /// Nobody is signed in.
    #[error("Sign in first: this needs an account.")]
    Unauthenticated,
    /// The thing changed meanwhile, or the same key came with another input.
    #[error("{0}")]
    Conflict(&'static str),
}

/// Input that the caller can mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// Input field, in the API's spelling; empty for the input as a whole.
    pub field: Cow<'static, str>,
    /// Stable code, such as `TOO_LONG`.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Invalid {
    /// A failure of one input field.
    pub fn new(field: impl Into<Cow<'static, str>>, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }
}

/// A failure as the edge shows it.
#[derive(Debug)]
pub enum Report {
    /// A `userError` of the payload.
    User(Invalid),
    /// An entry of `errors[]`.
    Refused(Refused),
    /// Logged, and shown as `INTERNAL`.
    Unexpected(anyhow::Error),
}

/// Whether something failed because a disk has no room: the machine's own sentence, wherever in the chain it stands.
pub fn is_disk_full(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let is_full = |error: &std::io::Error| {
            matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
        };
        // SQLite says it in words only, and so do layers that have turned an error into text.
        let says = |text: &str| text.contains("database or disk is full") || text.contains("No space left on device");
        cause.downcast_ref::<std::io::Error>().is_some_and(is_full) || says(&cause.to_string())
    })
}

/// What people are told then.
pub const DISK_FULL: &str =
    "The disk of this installation is full: nothing was changed. Tell whoever runs it to make room, then try again.";

/// What every use-case's error can do.
pub trait Failure: std::error::Error + Send + Sync + 'static {
    /// Turns the failure into what the edge shows.
    fn report(self) -> Report;
}

/// Declares the error of a use-case: its own expected failures with field, code and sentence, and the three that all
/// share.
///
/// ```ignore
/// failures! {
///     /// Why [`publish`] refused.
///     pub enum PublishError {
///         /// There is nothing to publish.
///         NoVersion => ("id", "NO_VERSION", "This LoRA has no version yet. Train one or import a file first."),
///         /// Too many words.
///         TooMany { limit: usize } => ("triggerWords", "TOO_MANY", "At most {limit} trigger words are kept. Remove some."),
///     }
/// }
/// ```
#[macro_export]
macro_rules! failures {
    ($(#[$meta:meta])* pub enum $name:ident {
        $( $(#[$vmeta:meta])* $variant:ident $({ $($f:ident : $t:ty),* $(,)? })? => ($field:literal, $code:literal, $message:literal) ),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, thiserror::Error)]
        pub enum $name {
            $(
                $(#[$vmeta])*
                #[error($message)]
                $variant $({ $(
                    #[doc = "Shown in the message."]
                    $f : $t),* })?,
            )*
            /// An input field that the caller can mend.
            #[error(transparent)]
            Invalid(#[from] $crate::error::Invalid),
            /// Not found, not allowed or not signed in.
            #[error(transparent)]
            Refused(#[from] $crate::error::Refused),
            /// What nobody expected.
            #[error(transparent)]
            Unexpected(#[from] anyhow::Error),
        }

        impl From<$crate::page::PageError> for $name {
            fn from(error: $crate::page::PageError) -> Self {
                match error {
                    $crate::page::PageError::Invalid(invalid) => Self::Invalid(invalid),
                    $crate::page::PageError::Database(error) => Self::Unexpected(error.into()),
                }
            }
        }

        impl From<sea_orm::DbErr> for $name {
            fn from(error: sea_orm::DbErr) -> Self {
                Self::Unexpected(error.into())
            }
        }

        impl $crate::error::Failure for $name {
            fn report(self) -> $crate::error::Report {
                #[allow(unused_variables)]
                let message = self.to_string();
                match self {
                    $( Self::$variant { .. } => $crate::error::Report::User($crate::error::Invalid::new($field, $code, message)), )*
                    Self::Invalid(invalid) => $crate::error::Report::User(invalid),
                    Self::Refused(refused) => $crate::error::Report::Refused(refused),
                    Self::Unexpected(error) => $crate::error::Report::Unexpected(error),
                }
            }
        }
    };
}

failures! {
    /// The error of reads, which have no expected failures of their own.
    pub enum ReadError {}
}
