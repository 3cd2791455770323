//! Accounts: signing up and in, sessions, passwords, profiles.

use std::convert::identity;

use async_graphql::{Context, InputObject, Object, Result};
use atelier_domain::account::{self, SignUp, UpdateProfile};

use crate::{
    graphql::{
        context::Resolve,
        types::user::{Session, User},
    },
    payload,
};

/// Who wants an account.
#[derive(InputObject)]
pub struct SignUpInput {
    /// Mail address; a link to confirm it is sent there.
    pub email: String,
    /// Password, 10 to 200 characters.
    pub password: String,
    /// Name in addresses: 3 to 32 lower-case letters, digits and dashes.
    pub handle: String,
    /// Name shown to others, 1 to 80 characters; the handle without one.
    pub display_name: Option<String>,
}

payload! {
    /// The answer to `signUp`.
    pub struct SignUpPayload {
        /// The address that a mail went to. Nobody learns here whether it had an account already.
        email: String
    }
}

/// The link from the mail.
#[derive(InputObject)]
pub struct VerifyEmailInput {
    /// What stands behind `#token=` in the link.
    pub token: String,
    /// Another handle, should the one asked for be taken meanwhile.
    pub handle: Option<String>,
}

payload! {
    /// The answer to `verifyEmail`.
    pub struct VerifyEmailPayload {
        /// The new account; sign in to use it.
        user: User
    }
}

/// Who wants to sign in.
#[derive(InputObject)]
pub struct SignInInput {
    /// Mail address.
    pub email: String,
    /// Password.
    pub password: String,
}

payload! {
    /// The answer to `signIn`.
    pub struct SignInPayload {
        /// The session.
        session: Session
    }
}

/// Which session goes on.
#[derive(InputObject)]
pub struct RefreshSessionInput {
    /// The refresh token; it is spent by this. One that comes twice ends the session.
    pub refresh_token: String,
}

payload! {
    /// The answer to `refreshSession`.
    pub struct RefreshSessionPayload {
        /// The session with its new tokens.
        session: Session
    }
}

/// Which sessions end.
#[derive(InputObject, Default)]
pub struct SignOutInput {
    /// All of yours, and not this one alone.
    #[graphql(default)]
    pub everywhere: bool,
}

payload! {
    /// The answer to `signOut`.
    pub struct SignOutPayload {
        /// Who was signed in.
        user: User
    }
}

/// Whose password was forgotten.
#[derive(InputObject)]
pub struct RequestPasswordResetInput {
    /// Mail address of the account.
    pub email: String,
}

payload! {
    /// The answer to `requestPasswordReset`.
    pub struct RequestPasswordResetPayload {
        /// The address that a mail went to, if it has an account. Nobody learns here whether it does.
        email: String
    }
}

/// The link from the mail, and the new password.
#[derive(InputObject)]
pub struct ResetPasswordInput {
    /// What stands behind `#token=` in the link.
    pub token: String,
    /// New password, 10 to 200 characters.
    pub password: String,
}

payload! {
    /// The answer to `resetPassword`.
    pub struct ResetPasswordPayload {
        /// Whose password it is; all their sessions have ended.
        user: User
    }
}

/// What to change on your profile; what is left out stays.
#[derive(InputObject)]
pub struct UpdateProfileInput {
    /// Name shown to others, 1 to 80 characters.
    pub display_name: Option<String>,
    /// What you say of yourself, at most 2,000 characters.
    pub bio: Option<String>,
    /// All addresses of yours elsewhere: at most 5, each beginning with `https://`, of at most 200 characters.
    pub links: Option<Vec<String>>,
    /// Whether your picture goes. A new one comes by `createUpload` for the purpose `USER_AVATAR`.
    #[graphql(default)]
    pub remove_avatar: bool,
}

payload! {
    /// The answer to `updateProfile`.
    pub struct UpdateProfilePayload {
        /// Your profile.
        user: User
    }
}

/// Your passwords.
#[derive(InputObject)]
pub struct ChangePasswordInput {
    /// The one you have.
    pub current_password: String,
    /// The one you want, 10 to 200 characters.
    pub new_password: String,
}

payload! {
    /// The answer to `changePassword`.
    pub struct ChangePasswordPayload {
        /// You; your other sessions have ended.
        user: User
    }
}

/// Mutations of accounts.
#[derive(Default)]
pub struct UserMutation;

#[Object]
impl UserMutation {
    /// Asks for an account. A mail with a link follows; `verifyEmail` takes its token and makes the account.
    async fn sign_up(&self, ctx: &Context<'_>, input: SignUpInput) -> Result<SignUpPayload> {
        let SignUpInput { email, password, handle, display_name } = input;
        let new = SignUp { email, password, handle, display_name };
        SignUpPayload::answer(account::sign_up(ctx.house(), new).await, identity)
    }

    /// Proves a mail address with the token from the mail, and makes the account.
    async fn verify_email(&self, ctx: &Context<'_>, input: VerifyEmailInput) -> Result<VerifyEmailPayload> {
        let handle = input.handle.as_deref();
        VerifyEmailPayload::answer(account::verify_email(ctx.house(), &input.token, handle).await, User)
    }

    /// Begins a session.
    async fn sign_in(&self, ctx: &Context<'_>, input: SignInInput) -> Result<SignInPayload> {
        let session = account::sign_in(ctx.house(), &input.email, &input.password).await;
        SignInPayload::answer(session, Session::from)
    }

    /// Goes on with a session: new tokens for an old one.
    async fn refresh_session(&self, ctx: &Context<'_>, input: RefreshSessionInput) -> Result<RefreshSessionPayload> {
        RefreshSessionPayload::answer(account::refresh(ctx.house(), &input.refresh_token).await, Session::from)
    }

    /// Ends your session: its tokens are worthless from then on.
    async fn sign_out(&self, ctx: &Context<'_>, #[graphql(default)] input: SignOutInput) -> Result<SignOutPayload> {
        SignOutPayload::answer(account::sign_out(ctx.house(), ctx.actor(), input.everywhere).await, User)
    }

    /// Asks for a mail with a link that lets a new password be set.
    async fn request_password_reset(
        &self,
        ctx: &Context<'_>,
        input: RequestPasswordResetInput,
    ) -> Result<RequestPasswordResetPayload> {
        let outcome = account::request_password_reset(ctx.house(), &input.email).await;
        RequestPasswordResetPayload::answer(outcome, identity)
    }

    /// Sets a new password with the token from the mail, and ends all sessions of the account.
    async fn reset_password(&self, ctx: &Context<'_>, input: ResetPasswordInput) -> Result<ResetPasswordPayload> {
        let outcome = account::reset_password(ctx.house(), &input.token, &input.password).await;
        ResetPasswordPayload::answer(outcome, User)
    }

    /// Changes your profile.
    async fn update_profile(&self, ctx: &Context<'_>, input: UpdateProfileInput) -> Result<UpdateProfilePayload> {
        let change = UpdateProfile {
            display_name: input.display_name,
            bio: input.bio,
            links: input.links,
            removes_avatar: input.remove_avatar,
        };
        UpdateProfilePayload::answer(account::update_profile(ctx.house(), ctx.actor(), change).await, User)
    }

    /// Changes your password and ends your other sessions.
    async fn change_password(&self, ctx: &Context<'_>, input: ChangePasswordInput) -> Result<ChangePasswordPayload> {
        let (current, new) = (&input.current_password, &input.new_password);
        ChangePasswordPayload::answer(account::change_password(ctx.house(), ctx.actor(), current, new).await, User)
    }
}
