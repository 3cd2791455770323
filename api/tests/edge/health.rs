//! Signs of life, metrics, and the page to try the API with.

use axum::body::Body;
use http::Request;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::toy::{app, send, state};
use atelier::http::router;

async fn get(app: &axum::Router, path: &str) -> crate::toy::Reply {
    send(app, Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_service_that_goes_down_is_alive_and_not_ready() {
    let state = state(|_| {});
    let shutdown = state.lifetime.shutdown.clone();
    let app = router(state);
    assert_eq!((get(&app, "/healthz").await.status, get(&app, "/readyz").await.status), (200, 200));
    shutdown.cancel();
    let ready = get(&app, "/readyz").await;
    assert_eq!((get(&app, "/healthz").await.status, ready.status), (200, 503));
    assert!(ready.json()["missing"][0].as_str().unwrap().contains("going down"));
}

#[tokio::test]
async fn metrics_count_and_are_shown_to_whoever_has_the_token() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let mut state = state(|settings| settings.metrics_token = Some("m3trics".parse().unwrap()));
    state.metrics = Some(recorder.handle());
    let _guard = metrics::set_default_local_recorder(&recorder);
    let app = router(state);
    crate::toy::ask(&app, "{ me }").await;
    assert_eq!(get(&app, "/metrics").await.status, 401);
    let request = Request::get("/metrics").header("authorization", "Bearer m3trics").body(Body::empty()).unwrap();
    let text = String::from_utf8(send(&app, request).await.body).unwrap();
    for line in [
        r#"atelier_http_requests_total{method="POST",route="/graphql",status="200"} 1"#,
        r#"atelier_graphql_operations_total{operation="query"} 1"#,
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test]
async fn graphiql_finds_all_its_parts_here() {
    let app = app();
    let page = String::from_utf8(get(&app, "/graphiql").await.body).unwrap();
    let parts: Vec<&str> =
        page.split(['"', '\'']).filter(|part| part.contains(".js") || part.contains(".css")).collect();
    assert_eq!(parts.len(), 5, "{parts:?}");
    for part in parts {
        let reply = get(&app, part).await;
        assert!(part.starts_with("/graphiql/") && reply.status == 200 && reply.body.len() > 500, "{part}");
        assert!(reply.header("content-security-policy").contains("script-src 'self'"));
    }
}
