//! Commenting on LoRAs.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_domain::{
    id::Noun,
    social::comment::{self, NewComment},
};

use crate::{
    graphql::{
        context::{Resolve, decode},
        types::comment::Comment,
    },
    payload,
};

/// A comment to be written.
#[derive(InputObject)]
pub struct AddCommentInput {
    /// The LoRA.
    pub lora_id: ID,
    /// The comment that it answers; without one it begins a thread.
    pub parent_id: Option<ID>,
    /// The text, 1 to 5,000 characters.
    pub body: String,
    /// The same key and input give the same answer for 24 hours.
    pub idempotency_key: Option<String>,
}

payload! {
    /// The answer to `addComment`.
    pub struct AddCommentPayload {
        /// The comment.
        comment: Comment
    }
}

/// What to change in a comment.
#[derive(InputObject)]
pub struct EditCommentInput {
    /// The comment, one of yours.
    pub id: ID,
    /// The text, 1 to 5,000 characters.
    pub body: String,
}

payload! {
    /// The answer to `editComment`.
    pub struct EditCommentPayload {
        /// The comment.
        comment: Comment
    }
}

/// Which comment to delete.
#[derive(InputObject)]
pub struct DeleteCommentInput {
    /// The comment: one of yours, or one on a LoRA of a team that you administer.
    pub id: ID,
}

payload! {
    /// The answer to `deleteComment`.
    pub struct DeleteCommentPayload {
        /// What is left: its place in the thread.
        comment: Comment
    }
}

/// Which thread to resolve.
#[derive(InputObject)]
pub struct ResolveCommentInput {
    /// The comment that begins the thread: one of yours, or one on a LoRA that you may change.
    pub id: ID,
}

payload! {
    /// The answer to `resolveComment`.
    pub struct ResolveCommentPayload {
        /// The comment that begins the thread.
        comment: Comment
    }
}

/// Which thread to take up again.
#[derive(InputObject)]
pub struct ReopenCommentInput {
    /// The comment that begins the thread: one of yours, or one on a LoRA that you may change.
    pub id: ID,
}

payload! {
    /// The answer to `reopenComment`.
    pub struct ReopenCommentPayload {
        /// The comment that begins the thread.
        comment: Comment
    }
}

/// Mutations of comments.
#[derive(Default)]
pub struct CommentMutation;

#[Object]
impl CommentMutation {
    /// Writes a comment on a LoRA. `@handle` in its text mentions a person, who is told if they may see the LoRA.
    async fn add_comment(&self, ctx: &Context<'_>, input: AddCommentInput) -> Result<AddCommentPayload> {
        let new = NewComment {
            lora: decode(Noun::Lora, &input.lora_id)?,
            parent: input.parent_id.map(|id| decode(Noun::Comment, &id)).transpose()?,
            body: input.body,
        };
        let key = input.idempotency_key.as_deref();
        AddCommentPayload::answer(comment::add(ctx.house(), ctx.actor(), new, key).await, Comment)
    }

    /// Changes the text of one of your comments.
    async fn edit_comment(&self, ctx: &Context<'_>, input: EditCommentInput) -> Result<EditCommentPayload> {
        let id = decode(Noun::Comment, &input.id)?;
        EditCommentPayload::answer(comment::edit(ctx.house(), ctx.actor(), id, &input.body).await, Comment)
    }

    /// Resolves a thread: what it asked for is done. Answers can still be written.
    async fn resolve_comment(&self, ctx: &Context<'_>, input: ResolveCommentInput) -> Result<ResolveCommentPayload> {
        let id = decode(Noun::Comment, &input.id)?;
        ResolveCommentPayload::answer(comment::resolve(ctx.house(), ctx.actor(), id).await, Comment)
    }

    /// Takes a resolved thread up again.
    async fn reopen_comment(&self, ctx: &Context<'_>, input: ReopenCommentInput) -> Result<ReopenCommentPayload> {
        let id = decode(Noun::Comment, &input.id)?;
        ReopenCommentPayload::answer(comment::reopen(ctx.house(), ctx.actor(), id).await, Comment)
    }

    /// Deletes a comment. Its place and the answers to it stay.
    async fn delete_comment(&self, ctx: &Context<'_>, input: DeleteCommentInput) -> Result<DeleteCommentPayload> {
        let id = decode(Noun::Comment, &input.id)?;
        DeleteCommentPayload::answer(comment::delete(ctx.house(), ctx.actor(), id).await, Comment)
    }
}
