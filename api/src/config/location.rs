//! Where things lie: the addresses that people write, read into what they mean.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use url::{Host, Url};

/// A secret: never shown in a log or a panic.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Err("it is empty; leave it away or give it a value".into())
        } else {
            Ok(Self(text.into()))
        }
    }
}

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseLocation {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A Postgres server; the URL carries its password.
    Postgres(Secret),
}

impl DatabaseLocation {
    /// Reads `sqlite:PATH`, `sqlite://PATH` or `postgres://…`.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
            let path = path.split('?').next().unwrap_or_default();
            if path.is_empty() || path == ":memory:" {
                return Err("a SQLite database needs a file, such as `sqlite:atelier.sqlite`".into());
            }
            return Ok(Self::Sqlite(path.into()));
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") && url.has_host() => {
                Ok(Self::Postgres(Secret(text.to_owned())))
            }
            _ => Err("write `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`".into()),
        }
    }
}

/// Which search engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchLocation {
    /// The one in the process, with its index in the data folder.
    Embedded,
    /// A Meilisearch server.
    Meilisearch(Url),
}

impl SearchLocation {
    /// Reads `embedded` or the address of a Meilisearch server.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        server(text).map(Self::Meilisearch).ok_or_else(|| {
            "write `embedded`, or the address of a Meilisearch server, such as `http://127.0.0.1:7700`; its key goes to \
             `--search-key`"
                .into()
        })
    }
}

/// Where files are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobLocation {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of S3 or of something that speaks its protocol.
    Bucket(String),
}

impl BlobLocation {
    /// Reads a folder, `file:PATH` or `s3://BUCKET`.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(bucket) = text.strip_prefix("s3://") {
            let bucket = bucket.trim_end_matches('/');
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
            if (3..=63).contains(&bucket.len()) && bucket.bytes().all(fits) {
                return Ok(Self::Bucket(bucket.to_owned()));
            }
            return Err("a bucket is written `s3://NAME`, its name being 3 to 63 of a-z, 0-9, `-` and `.`".into());
        }
        let path = text.strip_prefix("file://").or_else(|| text.strip_prefix("file:")).unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err("write a folder, or `s3://BUCKET`".into());
        }
        Ok(Self::Folder(path.into()))
    }
}

/// Reads the name of an index on a Meilisearch server.
///
/// # Errors
/// A sentence.
pub fn search_index(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err("its name is 1 to 64 of a-z, A-Z, 0-9, `-` and `_`".into())
}

/// Reads an address to listen on.
///
/// # Errors
/// A sentence.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    numeric.parse().map_err(|_| "write an address and a port, such as `127.0.0.1:8080` or `[::]:8080`".into())
}

/// Reads the address under which people reach the service, and takes a slash off its end.
///
/// # Errors
/// A sentence.
pub fn public_url(text: &str) -> Result<String, String> {
    let wrong = || "write it as people would, such as `https://atelier.example`".to_owned();
    let url = Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.query().is_some() || url.fragment().is_some()
    {
        return Err(wrong());
    }
    if url.path() != "/" {
        return Err("it must be the root of a host: the service does not live under a path".into());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Reads the address of a hub of models; it may lie under a path, as mirrors do.
///
/// # Errors
/// A sentence.
pub fn hub_endpoint(text: &str) -> Result<Url, String> {
    server(text)
        .ok_or_else(|| "write the address of a hub, such as `https://huggingface.co`; a token goes to `--token`".into())
}

/// The address of an HTTP server, without credentials and without anything behind its path.
fn server(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    fits.then_some(url)
}

/// Whether what is sent to an address can be read on the way: it is not encrypted and leaves this machine.
pub fn is_overheard(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() != "https" && !is_local
}

/// Reads the address of a service that is spoken to in one of these schemes.
fn service_url(text: &str, schemes: &[&str]) -> Result<Secret, String> {
    match Url::parse(text) {
        Ok(url) if schemes.contains(&url.scheme()) && url.has_host() => Ok(Secret(text.to_owned())),
        _ => Err(format!("it must begin with `{}://` and name a host", schemes.join("://` or `"))),
    }
}

/// Reads the address of a mail server, with user and password if it wants them.
///
/// # Errors
/// A sentence.
pub fn smtp_url(text: &str) -> Result<Secret, String> {
    service_url(text, &["smtp", "smtps"])
}

/// Reads an origin of web pages.
///
/// # Errors
/// A sentence.
pub fn origin(text: &str) -> Result<String, String> {
    let wrong = || "an origin is written `https://HOST` or `https://HOST:PORT`, without a path".to_owned();
    let url = Url::parse(text).map_err(|_| wrong())?;
    let origin = url.origin().ascii_serialization();
    if matches!(url.scheme(), "http" | "https") && text.trim_end_matches('/') == origin {
        Ok(origin)
    } else {
        Err(wrong())
    }
}

/// The folder of a path that is to be made, checked as far as that goes without making it.
///
/// # Errors
/// A sentence when something stands there that is no folder.
pub fn folder(path: &Path) -> Result<(), String> {
    if path.exists() && !path.is_dir() {
        return Err(format!("`{}` is a file, not a folder. Choose another with `--data`.", path.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_has_an_address_without_secrets_in_it() {
        assert!(hub_endpoint("https://huggingface.co").is_ok());
        assert!(hub_endpoint("http://mirror.example/hub/").is_ok());
        for text in ["huggingface.co", "ftp://hub.example", "https://ada:secret@hub.example", "https://hub.example?x=1"]
        {
            assert!(hub_endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_is_encrypted_or_stays_here_is_not_overheard() {
        for (text, overheard) in [
            ("https://hub.example", false),
            ("http://127.0.0.1:8000", false),
            ("http://localhost", false),
            ("http://[::1]", false),
            ("http://hub.example", true),
            ("http://192.168.0.2", true),
        ] {
            assert_eq!(is_overheard(&Url::parse(text).unwrap()), overheard, "{text}");
        }
    }
}
