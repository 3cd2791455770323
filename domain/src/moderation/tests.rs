//! Who may report and hide, and what that does to figures.

use atelier_entities::{
    kinds::{ContentKind, ReportReason, ReportState},
    lora,
};
use sea_orm::EntityTrait as _;
use uuid::Uuid;

use super::{
    DismissReportsError, HideContentError, QueueSort, QueueState, ReportContent, ReportContentError,
    RestoreContentError, dismiss_reports, hidden_reasons, hide, queue, report, report_of, restore,
};
use crate::{
    actor::Actor,
    error::Refused,
    lora::{self as loras, PublishLora, publish, unpublish},
    page::PageRequest,
    social::rating::{RateLora, rate},
    testing::{TestHouse, published_lora},
};

/// Somebody who administers the installation.
async fn moderator(house: &TestHouse) -> Actor {
    let mut person = house.person("mod").await.person().expect("a person").clone();
    person.is_administrator = true;
    Actor::Person(person)
}

fn spam(kind: ContentKind, subject: Uuid) -> ReportContent {
    ReportContent { kind, subject, reason: ReportReason::Spam, explanation: String::new() }
}

#[tokio::test]
async fn a_person_has_one_open_report_of_a_thing_and_only_moderators_decide() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let moderator = moderator(&house).await;
    let (id, _) = published_lora(ctx, &ada, "Ink").await;
    let first = report(ctx, &bob, spam(ContentKind::Lora, id), None).await.expect("reported");
    let again = ReportContent { reason: ReportReason::Hate, ..spam(ContentKind::Lora, id) };
    assert_eq!(report(ctx, &bob, again, None).await.expect("the first"), first);
    report(ctx, &eve, spam(ContentKind::Lora, id), None).await.expect("reported");
    assert!(matches!(report(ctx, &ada, spam(ContentKind::Lora, id), None).await, Err(ReportContentError::OwnContent)));
    let other = ReportContent { reason: ReportReason::Other, ..spam(ContentKind::Lora, id) };
    assert!(matches!(report(ctx, &moderator, other, None).await, Err(ReportContentError::ExplanationNeeded)));
    let wrong = report(ctx, &bob, spam(ContentKind::Comment, id), None).await;
    assert!(matches!(wrong, Err(ReportContentError::Refused(Refused::NotFound(_)))), "{wrong:?}");

    let page = PageRequest::new(10, None).expect("a page");
    assert!(queue(ctx, &ada, QueueState::All, QueueSort::Newest, &page).await.is_err());
    let open = queue(ctx, &moderator, QueueState::Open, QueueSort::MostReported, &page).await.expect("a queue");
    let counts: Vec<_> = open.rows.iter().map(|(_, row)| (row.subject_id, row.open_report_count)).collect();
    assert_eq!(counts, [(id, 2)]);
    assert!(report_of(ctx, &eve, first.id).await.is_err() && report_of(ctx, &moderator, first.id).await.is_ok());

    let content = (ContentKind::Lora, id);
    let refused = hide(ctx, &ada, content, "Because.").await;
    assert!(matches!(refused, Err(HideContentError::Refused(Refused::Forbidden(_)))), "{refused:?}");
    dismiss_reports(ctx, &moderator, content).await.expect("dismissed");
    let none = dismiss_reports(ctx, &moderator, content).await;
    assert!(matches!(none, Err(DismissReportsError::NoOpenReports)), "{none:?}");
    let closed = report_of(ctx, &bob, first.id).await.expect("one's own");
    assert_eq!((closed.state, closed.closed_at.is_some()), (ReportState::Dismissed, true));
    let second = report(ctx, &bob, spam(ContentKind::Lora, id), None).await.expect("reported again");
    assert_ne!(second.id, first.id);

    hide(ctx, &moderator, content, "It is spam.").await.expect("hidden");
    assert!(matches!(hide(ctx, &moderator, content, "It is.").await, Err(HideContentError::AlreadyHidden)));
    assert_eq!(report_of(ctx, &bob, second.id).await.expect("one's own").state, ReportState::Upheld);
    assert!(loras::get(ctx, &bob, id).await.is_err());
    assert!(loras::get(ctx, &ada, id).await.expect("its team's").hidden_at.is_some());
    assert_eq!(hidden_reasons(ctx, &ada, &[id]).await.expect("reads")[&id], "It is spam.");
    assert!(hidden_reasons(ctx, &bob, &[id]).await.expect("reads").is_empty());
    // Taking it back and showing it again does not help.
    unpublish(ctx, &ada, id).await.expect("taken back");
    publish(ctx, &ada, PublishLora { id, version: None, license: None, terms: None }).await.expect("published again");
    assert!(loras::get(ctx, &bob, id).await.is_err());
    restore(ctx, &moderator, content).await.expect("restored");
    assert!(matches!(restore(ctx, &moderator, content).await, Err(RestoreContentError::NotHidden)));
    assert!(loras::get(ctx, &bob, id).await.is_ok());
}

#[tokio::test]
async fn pages_of_the_queue_show_every_thing_once_in_both_orders() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob, eve) = (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let moderator = moderator(&house).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let (id, _) = published_lora(ctx, &ada, &format!("Ink {number}")).await;
        report(ctx, &bob, spam(ContentKind::Lora, id), None).await.expect("reported");
        if number == 1 {
            report(ctx, &eve, spam(ContentKind::Lora, id), None).await.expect("reported");
        }
        ids.push(id);
    }
    for (sort, expected) in [(QueueSort::Newest, [4, 3, 2, 1, 0]), (QueueSort::MostReported, [1, 4, 3, 2, 0])] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = PageRequest::new(2, after).expect("a page");
            let page = queue(ctx, &moderator, QueueState::Open, sort, &page).await.expect("a queue");
            seen.extend(page.rows.iter().map(|(_, row)| row.subject_id));
            after = page.rows.last().map(|(cursor, _)| cursor.clone());
            if !page.has_next {
                break;
            }
        }
        assert_eq!(seen, expected.map(|place| ids[place]), "{sort:?}");
        let foreign = PageRequest::new(2, Some(crate::page::write_cursor("elsewhere:1"))).expect("a page");
        assert!(queue(ctx, &moderator, QueueState::Open, sort, &foreign).await.is_err());
    }
}

#[tokio::test]
async fn a_hidden_rating_counts_for_nothing_and_stays_hidden_when_it_is_changed() {
    let house = TestHouse::new().await;
    let ctx = &house.ctx;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let moderator = moderator(&house).await;
    let (id, _) = published_lora(ctx, &ada, "Ink").await;
    let stars = |stars| RateLora { lora: id, version: None, stars, review: "Buy ink at …".to_owned() };
    let mine = rate(ctx, &bob, stars(5), None).await.expect("rated").id;
    let figures = async || {
        let card = lora::Entity::find_by_id(id).one(ctx.db.read()).await.expect("reads").expect("a LoRA");
        (card.rating_sum, card.rating_count)
    };
    assert_eq!(figures().await, (5, 1));
    let content = (ContentKind::Rating, mine);
    hide(ctx, &moderator, content, "Advertising.").await.expect("hidden");
    assert_eq!(figures().await, (0, 0));
    rate(ctx, &bob, stars(3), None).await.expect("changed");
    assert_eq!(figures().await, (0, 0), "still hidden");
    restore(ctx, &moderator, content).await.expect("restored");
    assert_eq!(figures().await, (3, 1));
    crate::social::rating::delete(ctx, &bob, mine).await.expect("taken back");
    assert_eq!(figures().await, (0, 0));
    let gone = hide(ctx, &moderator, content, "Advertising.").await;
    assert!(matches!(gone, Err(HideContentError::Refused(Refused::NotFound(_)))), "{gone:?}");
    let again = rate(ctx, &bob, stars(4), None).await.expect("rated again");
    assert_eq!((again.id, figures().await), (mine, (4, 1)));
}
