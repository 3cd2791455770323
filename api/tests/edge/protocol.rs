//! Runs `tests/protocol` (npm's audit of GraphQL over HTTP, and the clients of both stream protocols) against the toy.

use std::{path::Path, process::Command};

use crate::toy::{serve, state};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs node and npm: cargo test --test edge -- --ignored"]
async fn npm_clients_and_the_audit_agree() {
    let (address, _, _) = serve(state(|_| {})).await;
    let scripts = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/protocol"));
    let folder = tempfile::tempdir().unwrap();
    for file in ["package.json", "audit.mjs", "clients.mjs"] {
        std::fs::copy(scripts.join(file), folder.path().join(file)).unwrap();
    }
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).current_dir(folder.path()).status().unwrap();
        assert!(status.success(), "{program} {arguments:?}");
    };
    let url = format!("http://{address}/graphql");
    run("npm", &["install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]);
    run("node", &["audit.mjs", &url]);
    run("node", &["clients.mjs", &url]);
}
