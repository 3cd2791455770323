//! The links in mails that end them. They need no sign-in: who has the mail has the link, and all that it can do is to end
//! mails. They never expire, for mails are read years later.

use atelier_entities::{
    kinds::{MailFrequency, NotificationKind},
    user,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sea_orm::{ActiveEnum as _, ConnectionTrait, EntityTrait};
use sha2::Sha256;
use uuid::Uuid;

use super::{
    letters::{Endings, subject_matter},
    notification_preference::{self as preference, ChangedChannels},
};
use crate::{
    actor::Actor,
    context::Context,
    error::{ReadError, Refused},
    failures,
    id::{self, Noun},
    policy::{Action, Resource as _, authorize},
    widen::widen,
};

/// Which mails a link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Those about one kind of thing.
    Kind(NotificationKind),
    /// The daily digest.
    Digest,
    /// All that tell of something; those about the account itself go on.
    All,
}

impl Ending {
    /// The ending in a link.
    fn name(self) -> String {
        match self {
            Self::Kind(kind) => kind.to_value(),
            Self::Digest => "digest".to_owned(),
            Self::All => "all".to_owned(),
        }
    }

    fn read(name: &str) -> Option<Self> {
        match name {
            "digest" => Some(Self::Digest),
            "all" => Some(Self::All),
            kind => NotificationKind::try_from_value(&kind.to_owned()).ok().map(Self::Kind),
        }
    }

    /// What ends, as in "no more …".
    pub fn phrase(self) -> String {
        match self {
            Self::Kind(kind) => format!("mails about {}", subject_matter(kind)),
            Self::Digest => "daily digests".to_owned(),
            Self::All => "mails about anything that happens".to_owned(),
        }
    }
}

/// A link that was opened: whose mails it ends, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsubscribeLink {
    person: Uuid,
    /// Which mails.
    pub ending: Ending,
}

failures! {
    /// Why [`unsubscribe`] did not end them.
    pub enum UnsubscribeError {}
}

widen!(ReadError => UnsubscribeError);

/// Where a person's mails are ended: `/unsubscribe?user=…&from=…&signature=…`.
fn link(ctx: &Context, person: Uuid, ending: Ending) -> String {
    let (user, from) = (id::encode(Noun::User, person), ending.name());
    let signature = URL_SAFE_NO_PAD.encode(sign(ctx, &user, &from).finalize().into_bytes());
    format!("{}/unsubscribe?user={user}&from={from}&signature={signature}", ctx.settings.public_url)
}

/// The links of a mail.
pub(super) fn endings(ctx: &Context, person: Uuid, this: Ending) -> Endings {
    Endings { this: link(ctx, person, this), all: link(ctx, person, Ending::All) }
}

/// Opens a link, if the signature is ours.
///
/// # Errors
/// [`Refused::NotFound`].
pub fn open(ctx: &Context, user: &str, from: &str, signature: &str) -> Result<UnsubscribeLink, Refused> {
    let missing = || Refused::NotFound("link");
    let person = id::decode(Noun::User, user).map_err(|_| missing())?;
    let ending = Ending::read(from).ok_or_else(missing)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| missing())?;
    sign(ctx, user, from).verify_slice(&signature).map_err(|_| missing())?;
    Ok(UnsubscribeLink { person, ending })
}

fn sign(ctx: &Context, user: &str, from: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&ctx.secrets.links).expect("invariant: HMAC takes keys of any length");
    mac.update(format!("unsubscribe\0{user}\0{from}").as_bytes());
    mac
}

/// Ends the mails of a link. Done twice it is as done once.
///
/// # Errors
/// What the database says.
pub async fn unsubscribe(ctx: &Context, link: UnsubscribeLink) -> Result<(), UnsubscribeError> {
    let tx = ctx.db.write().await?;
    let person = user::Entity::find_by_id(link.person).one(&tx).await?.ok_or(Refused::NotFound(user::Model::NAME))?;
    // The signature has shown that the house itself allows it.
    let permit = authorize(&Actor::System, Action::AccountChange, &person)?;
    let changes: Vec<ChangedChannels> = ended(&tx, person.id, link.ending)
        .await?
        .into_iter()
        .map(|kind| ChangedChannels { kind, in_app: None, mail: Some(MailFrequency::Off) })
        .collect();
    if !changes.is_empty() {
        preference::change(&tx, ctx, &permit, person.id, &changes, "unsubscribe").await?;
        ctx.commit(tx).await?;
    }
    Ok(())
}

/// The kinds of which mails are to end, and do not end already.
async fn ended<C: ConnectionTrait>(
    tx: &C,
    person: Uuid,
    ending: Ending,
) -> Result<Vec<NotificationKind>, sea_orm::DbErr> {
    let now = preference::of(tx, person).await?;
    let ends = |kind: NotificationKind, mail: MailFrequency| match ending {
        Ending::Kind(ended) => kind == ended && mail != MailFrequency::Off,
        Ending::Digest => mail == MailFrequency::Daily,
        Ending::All => mail != MailFrequency::Off,
    };
    Ok(now.into_iter().filter(|(kind, channels)| ends(*kind, channels.mail)).map(|(kind, _)| kind).collect())
}

#[cfg(test)]
mod tests {
    use sea_orm::Iterable as _;

    use super::*;
    use crate::testing::TestHouse;

    #[tokio::test]
    async fn every_ending_has_a_link_that_opens_and_no_other_does() {
        let house = TestHouse::new().await;
        let ctx = &house.ctx;
        let person = ctx.new_id();
        for ending in NotificationKind::iter().map(Ending::Kind).chain([Ending::Digest, Ending::All]) {
            let link = url::Url::parse(&link(ctx, person, ending)).expect("a link");
            let part = |name: &str| link.query_pairs().find(|(found, _)| found == name).expect(name).1.into_owned();
            let (user, from, signature) = (part("user"), part("from"), part("signature"));
            assert_eq!(open(ctx, &user, &from, &signature), Ok(UnsubscribeLink { person, ending }));
            let other = id::encode(Noun::User, ctx.new_id());
            for (user, from, signature) in [
                (other.as_str(), from.as_str(), signature.as_str()),
                (&user, if ending == Ending::All { "digest" } else { "all" }, &signature),
                (&user, &from, &signature[1..]),
                (&user, "everything", &signature),
                ("", "", ""),
            ] {
                assert!(open(ctx, user, from, signature).is_err(), "{user} {from}");
            }
        }
    }
}
