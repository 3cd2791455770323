//! Payloads of mutations: the object, and what the caller can mend.

/// Declares a payload and how the outcome of a use-case becomes one.
///
/// ```ignore
/// payload! {
///     /// The answer to `publishLora`.
///     pub struct PublishLoraPayload { /// The published LoRA.
///         lora: Lora }
/// }
/// // in the resolver:
/// PublishLoraPayload::answer(lora::publish(ctx.house(), ctx.actor(), id).await, Lora)
/// ```
#[macro_export]
macro_rules! payload {
    ($(#[$meta:meta])* pub struct $name:ident { $(#[$fmeta:meta])* $field:ident : $type:ty }) => {
        $(#[$meta])*
        #[derive(async_graphql::SimpleObject)]
        pub struct $name {
            $(#[$fmeta])*
            pub $field: Option<$type>,
            /// What in the input the caller can mend; empty when it was done.
            pub user_errors: Vec<$crate::graphql::failure::UserError>,
        }

        impl $name {
            /// Turns the outcome of a use-case into the payload.
            ///
            /// # Errors
            /// Refusals and the unexpected, as entries of `errors[]`.
            pub fn answer<T, F: atelier_domain::error::Failure>(
                result: Result<T, F>,
                wrap: impl FnOnce(T) -> $type,
            ) -> async_graphql::Result<Self> {
                let (value, user_errors) = $crate::graphql::failure::outcome(result)?;
                Ok(Self { $field: value.map(wrap), user_errors })
            }
        }
    };
}
