//! Failures that pass through: an inner call's error that has only the three variants which all use-cases share becomes
//! that variant of the outer error.

/// Lets `?` turn errors that have only `Invalid`, `Refused` and `Unexpected` into a use-case's error:
/// `widen!(ReadError, KeyError => ImportError);`
macro_rules! widen {
    ($($from:ident),+ => $into:ident) => {$(
        impl From<$from> for $into {
            fn from(error: $from) -> Self {
                match error {
                    $from::Invalid(invalid) => Self::Invalid(invalid),
                    $from::Refused(refused) => Self::Refused(refused),
                    $from::Unexpected(error) => Self::Unexpected(error),
                }
            }
        }
    )+};
}

pub(crate) use widen;
