//! The page behind the link in a mail that ends such mails.

use axum::body::Body;
use http::Request;

use crate::toy;

#[tokio::test]
async fn a_link_shows_what_it_ends_and_ends_it_by_post_alone() {
    let app = toy::app();
    let ask = async |method: &str, link: &str| {
        let request = Request::builder().method(method).uri(format!("/unsubscribe?{link}"));
        toy::send(&app, request.body(Body::empty()).unwrap()).await
    };
    let shown = ask("GET", "signature=ok").await;
    let page = String::from_utf8(shown.body.clone()).unwrap();
    assert_eq!((shown.status, shown.header("cache-control")), (200, "no-store"));
    assert!(shown.header("content-security-policy").contains("form-action 'self'"));
    assert!(
        page.contains("mails about &lt;foxes&gt; &amp; hares") && page.contains("<form method=\"post\">"),
        "{page}"
    );
    let ended = ask("POST", "signature=ok").await;
    let page = String::from_utf8(ended.body).unwrap();
    assert!(ended.status == 200 && page.contains("You get no more mails") && !page.contains("<form"), "{page}");
    for method in ["GET", "POST"] {
        for link in ["", "signature=other"] {
            assert_eq!(ask(method, link).await.status, 404, "{method} {link}");
        }
    }
    assert_eq!(ask("PUT", "signature=ok").await.status, 405);
}
