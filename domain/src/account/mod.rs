//! People: signing up, proving a mail address, sessions, passwords, profiles.
//!
//! [`sign_up()`] mails a link; [`verify_email`] makes the account, its own team and that team's first credits.
//! [`sign_in`] begins a session: an access token of ten minutes that [`authenticate`] reads, and a refresh token that
//! [`refresh`] exchanges once.

pub mod access_token;
pub(crate) mod identity;
pub(crate) mod letter;
pub mod password;
mod profile;
mod reset;
pub mod session;
mod sign_up;
#[cfg(test)]
mod tests;
pub(crate) mod throttle;
pub(crate) mod token;

pub use profile::{
    ChangePasswordError, UpdateProfile, UpdateProfileError, by_handle, by_ids, change_password, get, own,
    update_profile,
};
pub use reset::{
    FirstAdministrator, RequestPasswordResetError, ResetPasswordError, first_administrator, request_password_reset,
    reset_password,
};
pub use session::{
    AuthenticateError, Authenticated, RefreshError, Session, SignInError, SignOutError, authenticate, refresh, sign_in,
    sign_out,
};
pub use sign_up::{SignUp, SignUpError, VerifyEmailError, sign_up, verify_email};
