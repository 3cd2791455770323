//! What the hub's refusals mean, and what can be done.

use std::time::Duration;

use reqwest::{
    Response, StatusCode,
    header::{HeaderName, RETRY_AFTER},
};
use url::Url;

use super::{client::text, error::HubError, repository::Repository};

/// Where the hub says in one word what is wrong.
const ERROR_CODE: HeaderName = HeaderName::from_static("x-error-code");

/// Reads a refusal of the hub.
pub fn refusal(response: &Response, repository: &Repository, endpoint: &Url, has_token: bool) -> HubError {
    let status = response.status();
    if status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) {
        let seconds = text(response, RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok());
        return HubError::Passing {
            message: format!("The hub answers {status}"),
            wait: seconds.map(Duration::from_secs),
        };
    }
    let code = text(response, ERROR_CODE).unwrap_or_default();
    HubError::Lasting(sentence(status, &code, repository, endpoint.as_str().trim_end_matches('/'), has_token))
}

fn sentence(status: StatusCode, code: &str, repository: &Repository, hub: &str, has_token: bool) -> String {
    let page = format!("{hub}/{repository}");
    match (code, status) {
        ("GatedRepo", _) if has_token => format!(
            "{repository} is given to those only who have accepted its terms, and the account of this token has not, \
             or waits for an answer. Sign in as that account, accept the terms on {page}, and try again."
        ),
        ("GatedRepo", _) => format!(
            "{repository} is given to those only who have accepted its terms. Accept them on {page}, make a token on \
             {hub}/settings/tokens, and give it with `--token` or in HF_TOKEN."
        ),
        ("DisabledRepo", _) => format!("The hub has closed {repository}. {page} may say why."),
        ("RevisionNotFound", _) => format!("{repository} has no such revision. {page} lists them; check `--revision`."),
        ("EntryNotFound", _) => format!("The hub does not have a file of {repository} that it lists. Try again later."),
        (_, StatusCode::UNAUTHORIZED) if has_token && code != "RepoNotFound" => {
            format!(
                "The hub does not know this token. Make one on {hub}/settings/tokens and check `--token` or HF_TOKEN."
            )
        }
        ("RepoNotFound", _) | (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) => {
            let advice = if has_token {
                "the account of this token may not see it"
            } else {
                "it is private: accept its terms on its page, if it has any, and give a token with `--token` or in HF_TOKEN"
            };
            format!("There is no model {repository} on {hub}, or {advice}. Check how it is written.")
        }
        _ => format!("The hub answers {status} when asked for {repository}. Check `--endpoint` and {page}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_do() {
        let repository: Repository = "ada/fox".parse().unwrap();
        let say = |status: u16, code, has_token| {
            let status = StatusCode::from_u16(status).unwrap();
            sentence(status, code, &repository, "https://hub.example", has_token)
        };
        for (status, code, has_token, advice) in [
            (401, "GatedRepo", false, "Accept them on https://hub.example/ada/fox"),
            (403, "GatedRepo", true, "the account of this token has not"),
            (401, "RepoNotFound", false, "give a token"),
            (404, "RepoNotFound", true, "may not see it"),
            (401, "", true, "does not know this token"),
            (404, "RevisionNotFound", false, "--revision"),
            (404, "", false, "no model ada/fox"),
            (418, "", false, "--endpoint"),
        ] {
            let sentence = say(status, code, has_token);
            assert!(sentence.contains(advice), "{status} {code}: {sentence}");
        }
    }
}
