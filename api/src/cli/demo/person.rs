//! Somebody with an account and a session, who does one thing after the other.

use std::path::Path;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    client::{self, Api, Identified, Refusal},
    mailbox,
};

/// What is asked of a session.
const SESSION: &str = "session { accessToken refreshToken user { id } }";

/// What somebody signs in with.
#[derive(Clone, Debug)]
pub struct Account {
    /// Mail address.
    pub email: String,
    /// Password.
    pub password: String,
}

/// What the service gave for it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    access_token: String,
    refresh_token: String,
    user: Identified,
}

/// Somebody who is signed in. A refresh token is good once, so each session belongs to one person struct alone; who does
/// two things at once signs in twice.
#[derive(Debug)]
pub struct Person {
    api: Api,
    session: Session,
}

impl Account {
    /// Signs up and proves the address with the link from the mail.
    ///
    /// # Errors
    /// The service's own sentence; no mail.
    pub async fn sign_up(api: &Api, outbox: &Path, handle: &str, name: &str) -> anyhow::Result<Self> {
        // Whoever else is on this machine could try a password that is always the same.
        let password = uuid::Uuid::new_v4().to_string();
        let email = format!("{handle}@example.org");
        let input = json!({ "email": email, "password": password, "handle": handle, "displayName": name });
        let email: String = api.change("signUp", "email", input).await?;
        let token = mailbox::link_token(outbox, &email).await?;
        let _: Identified = api.change("verifyEmail", "user { id }", json!({ "token": token })).await?;
        Ok(Self { email, password })
    }
}

impl Person {
    /// Signs in.
    ///
    /// # Errors
    /// The service's own sentence.
    pub async fn sign_in(api: &Api, account: &Account) -> anyhow::Result<Self> {
        let input = json!({ "email": account.email, "password": account.password });
        Ok(Self { api: api.clone(), session: api.change("signIn", SESSION, input).await? })
    }

    /// Their id.
    pub fn id(&self) -> &str {
        &self.session.user.id
    }

    /// The service.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// What a WebSocket is introduced with.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.session.access_token)
    }

    /// Goes on with the session: its access token is good for ten minutes, and a training takes longer.
    ///
    /// # Errors
    /// The service's own sentence.
    pub async fn renew(&mut self) -> anyhow::Result<()> {
        let input = json!({ "refreshToken": self.session.refresh_token });
        self.session = self.api.change("refreshSession", SESSION, input).await?;
        Ok(())
    }

    /// Does something, see [`client::mutation`].
    ///
    /// # Errors
    /// The service's own sentences.
    pub async fn change<T: DeserializeOwned>(&mut self, field: &str, object: &str, input: Value) -> anyhow::Result<T> {
        let data = self.send(&client::mutation(field, object), &json!({ "input": input })).await?;
        client::outcome(data, field, object)
    }

    /// Reads what a document finds under its field.
    ///
    /// # Errors
    /// The service's own sentences.
    pub async fn read<T: DeserializeOwned>(
        &mut self,
        field: &str,
        document: &str,
        variables: Value,
    ) -> anyhow::Result<T> {
        let mut data = self.send(document, &variables).await?;
        client::read(data[field].take(), field)
    }

    async fn send(&mut self, document: &str, variables: &Value) -> anyhow::Result<Value> {
        match self.api.send(Some(&self.session.access_token), document, variables).await {
            // Nothing was done: the same may be sent again.
            Err(Refusal::Unauthenticated(_)) => self.renew().await?,
            answer => return Ok(answer?),
        }
        Ok(self.api.send(Some(&self.session.access_token), document, variables).await?)
    }
}
