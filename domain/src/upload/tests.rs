//! From an announced file to a picture of a data set.

use std::io;

use atelier_entities::{
    dataset_picture,
    kinds::{UploadPurpose, UploadState},
    outbox_event, upload,
};
use bytes::Bytes;
use chrono::TimeDelta;
use futures::stream;
use sea_orm::EntityTrait as _;
use uuid::Uuid;

use super::{NewUpload, ReceiveError, Swept, create, finish, get, link, open_link, receive, spool_file, sweep};
use crate::{
    actor::Actor,
    context::Context,
    dataset::{self, NewDataset, lint, pictures},
    error::Refused,
    page::PageRequest,
    testing::TestHouse,
};

async fn dataset(ctx: &Context, actor: &Actor) -> Uuid {
    let new = NewDataset { team: None, name: "Ink".to_owned(), description: String::new() };
    dataset::create(ctx, actor, new, None).await.expect("a data set").id
}

async fn announce(ctx: &Context, actor: &Actor, dataset: Uuid, name: &str, size: usize) -> upload::Model {
    let new = NewUpload {
        purpose: UploadPurpose::DatasetPicture,
        file_name: name.to_owned(),
        size: i64::try_from(size).expect("a size"),
        target: Some(dataset),
        team: None,
    };
    create(ctx, actor, new, None).await.expect("an upload")
}

fn pieces(bytes: &[u8]) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + use<> {
    let pieces: Vec<_> = bytes.chunks(3).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces)
}

async fn send(ctx: &Context, actor: &Actor, dataset: Uuid, name: &str, bytes: &[u8]) -> upload::Model {
    let row = announce(ctx, actor, dataset, name, bytes.len()).await;
    receive(ctx, row.id, 0, pieces(bytes)).await.expect("received");
    finish(ctx, row.id).await.expect("checked")
}

#[tokio::test]
async fn an_interrupted_upload_goes_on_where_it_stopped_and_becomes_one_picture() {
    let house = TestHouse::new().await;
    let (ctx, ada) = (&house.ctx, house.person("ada").await);
    let dataset = dataset(ctx, &ada).await;
    let bytes = b"PICTURE 640 480 of a fox in the snow";
    let row = announce(ctx, &ada, dataset, "../fox_in-the snow_02.png", bytes.len()).await;
    assert_eq!(row.file_name, "fox_in-the snow_02.png");

    let broken =
        stream::iter([Ok(Bytes::copy_from_slice(&bytes[..10])), Err(io::Error::from(io::ErrorKind::ConnectionReset))]);
    assert!(matches!(receive(ctx, row.id, 0, broken).await, Err(ReceiveError::Interrupted { received: 10 })));
    // Bytes that a crash left beyond the recorded offset are no part of the file.
    std::fs::write(spool_file(ctx, row.id), [&bytes[..10], [b'x'; 100].as_slice()].concat()).expect("a torn file");
    assert!(matches!(
        receive(ctx, row.id, 0, pieces(bytes)).await,
        Err(ReceiveError::WrongOffset { offset: 0, received: 10 })
    ));
    assert!(matches!(
        receive(ctx, row.id, 10, pieces(&[&bytes[10..], b"x"].concat())).await,
        Err(ReceiveError::TooMany { .. })
    ));
    let received = get(ctx, &ada, row.id).await.expect("the upload").received;
    let rest = &bytes[usize::try_from(received).expect("an offset")..];
    let row = receive(ctx, row.id, received, pieces(rest)).await.expect("the rest");
    assert_eq!(row.state, UploadState::Quarantined);

    // Nobody checked it: the server was killed. The next start does, and a second check changes nothing.
    assert_eq!(sweep(ctx).await.expect("a sweep"), Swept { checked: 1, ..Swept::default() });
    let row = finish(ctx, row.id).await.expect("checked");
    assert_eq!((row.state, row.reason), (UploadState::Ready, None));
    let pictures = dataset_picture::Entity::find().all(ctx.db.read()).await.expect("pictures");
    assert_eq!(pictures.len(), 1);
    assert_eq!((pictures[0].width, pictures[0].height), (640, 480));
    assert_eq!(pictures[0].caption, "fox in the snow");
    assert_eq!(ctx.blobs.read(&pictures[0].blob_sha256).await.expect("the bytes"), bytes);
    assert_eq!(outbox_event::Entity::find().all(ctx.db.read()).await.expect("events").len(), 1);
    assert!(!spool_file(ctx, row.id).exists());
    assert!(matches!(receive(ctx, row.id, 0, pieces(bytes)).await, Err(ReceiveError::Complete)));
}

#[tokio::test]
async fn what_is_wrong_with_a_data_set_is_named() {
    let house = TestHouse::new().await;
    let (ctx, ada) = (&house.ctx, house.person("ada").await);
    let dataset = dataset(ctx, &ada).await;
    send(ctx, &ada, dataset, "fox.png", b"PICTURE 640 480").await;
    send(ctx, &ada, dataset, "fox again.png", b"PICTURE 640 480").await;
    let rejected = send(ctx, &ada, dataset, "letter.png", b"Dear fox").await;
    assert_eq!(rejected.state, UploadState::Rejected);
    assert!(rejected.reason.is_some_and(|reason| reason.contains("no picture")));

    let findings = lint::lint(ctx, &ada, dataset).await.expect("findings");
    let named: Vec<_> = findings.iter().map(|finding| (finding.code, finding.file_name.as_str())).collect();
    assert_eq!(named, [("NEAR_DUPLICATE", "fox again.png"), ("UNREADABLE", "letter.png")]);
    assert!(findings[0].message.contains("`fox.png`"), "{}", findings[0].message);
}

#[tokio::test]
async fn pages_of_several_data_sets_come_in_one_read_and_hold_every_picture_once() {
    let house = TestHouse::new().await;
    let (ctx, ada) = (&house.ctx, house.person("ada").await);
    let (first, second) = (dataset(ctx, &ada).await, dataset(ctx, &ada).await);
    for number in 0..5 {
        send(ctx, &ada, first, "a.png", format!("PICTURE 64 {number}").as_bytes()).await;
    }
    send(ctx, &ada, second, "b.png", b"PICTURE 64 9").await;

    let mut heights = Vec::new();
    let mut after = None;
    loop {
        let request = PageRequest { first: 2, after };
        let mut pages = pictures::pages(ctx, &ada, &[first, second], &request).await.expect("pages");
        let page = pages.remove(&first).expect("the first data set's");
        heights.extend(page.rows.iter().map(|(_, row)| row.height));
        after = page.rows.last().map(|(cursor, _)| cursor.clone());
        if !page.has_next {
            break;
        }
    }
    assert_eq!(heights, [0, 1, 2, 3, 4]);
    let bob = house.person("bob").await;
    let request = PageRequest { first: 2, after: None };
    let pages = pictures::pages(ctx, &bob, &[first, second], &request).await.expect("pages");
    assert!(pages.values().all(|page| page.rows.is_empty()));
}

#[tokio::test]
async fn an_upload_link_opens_its_upload_until_it_expires_and_nothing_else() {
    let house = TestHouse::new().await;
    let (ctx, ada) = (&house.ctx, house.person("ada").await);
    let dataset = dataset(ctx, &ada).await;
    let (one, other) = (announce(ctx, &ada, dataset, "a.png", 9).await, announce(ctx, &ada, dataset, "b.png", 9).await);
    let read = |row: &upload::Model| {
        let link = url::Url::parse(&link(ctx, row)).expect("a link");
        let id = link.path_segments().and_then(Iterator::last).expect("an id").to_owned();
        let query: std::collections::HashMap<_, _> = link.query_pairs().into_owned().collect();
        (id, query["expires"].parse::<i64>().expect("a time"), query["signature"].clone())
    };
    let (id, expires, signature) = read(&one);
    let (other_id, ..) = read(&other);
    assert_eq!(open_link(ctx, &id, expires, &signature).await.expect("opens").id, one.id);
    for (id, expires) in [(&other_id, expires), (&id, expires + 1)] {
        assert!(open_link(ctx, id, expires, &signature).await.is_err());
    }
    receive(ctx, one.id, 0, pieces(b"PIC")).await.expect("a part");
    house.clock.advance(TimeDelta::hours(25));
    assert!(open_link(ctx, &id, expires, &signature).await.is_err());
    assert!(spool_file(ctx, one.id).exists());
    assert_eq!(sweep(ctx).await.expect("a sweep").expired, 2);
    assert!(!spool_file(ctx, one.id).exists());
}

#[tokio::test]
async fn another_team_finds_nothing_of_it() {
    let house = TestHouse::new().await;
    let (ctx, ada, bob) = (&house.ctx, house.person("ada").await, house.person("bob").await);
    let dataset = dataset(ctx, &ada).await;
    let upload = send(ctx, &ada, dataset, "fox.png", b"PICTURE 640 480").await;
    let request = PageRequest { first: 10, after: None };
    let pages = pictures::pages(ctx, &ada, &[dataset], &request).await.expect("pages");
    let picture = pages[&dataset].rows[0].1.id;

    let new = NewUpload {
        purpose: UploadPurpose::DatasetPicture,
        file_name: "x.png".to_owned(),
        size: 4,
        target: Some(dataset),
        team: None,
    };
    let captions = [(picture, "mine".to_owned())];
    let refusals = [
        get(ctx, &bob, upload.id).await.map(drop).map_err(|error| error.to_string()),
        create(ctx, &bob, new, None).await.map(drop).map_err(|error| error.to_string()),
        dataset::get(ctx, &bob, dataset).await.map(drop).map_err(|error| error.to_string()),
        dataset::delete(ctx, &bob, dataset).await.map(drop).map_err(|error| error.to_string()),
        dataset::update(ctx, &bob, dataset, dataset::UpdateDataset::default())
            .await
            .map(drop)
            .map_err(|error| error.to_string()),
        lint::lint(ctx, &bob, dataset).await.map(drop).map_err(|error| error.to_string()),
        pictures::one(ctx, &bob, picture).await.map(drop).map_err(|error| error.to_string()),
        pictures::remove(ctx, &bob, picture).await.map(drop).map_err(|error| error.to_string()),
        pictures::set_captions(ctx, &bob, dataset, &captions).await.map(drop).map_err(|error| error.to_string()),
    ];
    let not_found = |noun| Err(Refused::NotFound(noun).to_string());
    for (place, refusal) in refusals.into_iter().enumerate() {
        assert!(
            ["upload", "data set", "picture"].into_iter().any(|noun| refusal == not_found(noun)),
            "{place}: {refusal:?}"
        );
    }
    let loaders = [
        dataset::by_ids(ctx, &bob, &[dataset]).await.expect("reads").len(),
        pictures::by_ids(ctx, &bob, &[picture]).await.expect("reads").len(),
        pictures::counts(ctx, &bob, &[dataset]).await.expect("reads").len(),
        super::by_ids(ctx, &bob, &[upload.id]).await.expect("reads").len(),
        dataset::list(ctx, &bob, None, &request).await.expect("reads").rows.len(),
    ];
    assert_eq!(loaders, [0; 5]);
}
