//! Which URLs may be inputs. They are read with the dispatcher's credentials, so that its own store, where
//! other users' uploads and results lie, is never among them.

use crate::error::{Error, Result};
use cloud::config::Location;

/// The URLs that users may name as inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InputUrls {
    /// All that the dispatcher's credentials open.
    #[default]
    Any,
    /// Those at or below one of these, such as `s3://bucket/raw`; none if there is none.
    Below(Vec<String>),
}

impl InputUrls {
    /// Reads `SUNDOG_INPUTS` of this process's environment.
    pub fn from_env() -> Result<InputUrls> {
        match std::env::var("SUNDOG_INPUTS") {
            Ok(text) => InputUrls::parse(&text),
            Err(_) => Ok(InputUrls::Any),
        }
    }

    /// Reads URLs with commas or spaces between them; `none` for none; empty for any.
    pub fn parse(text: &str) -> Result<InputUrls> {
        let words = text.split([',', ' ', '\t', '\n']).filter(|w| !w.is_empty());
        let words: Vec<&str> = words.collect();
        match words[..] {
            [] => Ok(InputUrls::Any),
            ["none"] => Ok(InputUrls::Below(Vec::new())),
            _ => {
                let urls = words.into_iter().map(|word| match Url::parse(word) {
                    Ok(url) => Ok(url.text()),
                    Err(_) => Err(Error::invalid(
                        "SUNDOG_INPUTS",
                        format!(
                            "`{word}`: expected s3://bucket/prefix, gs://bucket/prefix or none"
                        ),
                    )),
                });
                urls.collect::<Result<_>>().map(InputUrls::Below)
            }
        }
    }

    /// Whether all that a URL or pattern can name may be read.
    pub(crate) fn admit(&self, url: &Url) -> bool {
        match self {
            InputUrls::Any => true,
            InputUrls::Below(list) => {
                let text = url.fixed();
                list.iter().any(|prefix| is_below(&text, prefix))
            }
        }
    }
}

/// A URL of an object, a prefix or a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    scheme: &'static str,
    bucket: String,
    pub(crate) key: String,
}

impl Url {
    pub(crate) fn is_one(text: &str) -> bool {
        text.starts_with("s3://") || text.starts_with("gs://")
    }

    pub(crate) fn parse(text: &str) -> Result<Url> {
        let (scheme, bucket, key) = match Location::parse(text) {
            Ok(Location::S3 { bucket, prefix }) => ("s3", bucket, prefix),
            Ok(Location::Gcs { bucket, prefix }) => ("gs", bucket, prefix),
            _ => {
                let reason = format!("`{text}`: expected s3://bucket/key or gs://bucket/key");
                return Err(Error::invalid("inputs", reason));
            }
        };
        Ok(Url {
            scheme,
            bucket,
            key,
        })
    }

    /// What stands before the keys of its bucket, with a `/` at the end.
    pub(crate) fn root(&self) -> String {
        format!("{}://{}/", self.scheme, self.bucket)
    }

    pub(crate) fn location(&self) -> Location {
        let (bucket, prefix) = (self.bucket.clone(), String::new());
        match self.scheme {
            "s3" => Location::S3 { bucket, prefix },
            _ => Location::Gcs { bucket, prefix },
        }
    }

    fn text(&self) -> String {
        let text = format!("{}{}", self.root(), self.key);
        text.trim_end_matches('/').to_owned()
    }

    /// The part below which all lies that it can name.
    fn fixed(&self) -> String {
        let text = self.text();
        match self.key.find(['*', '?', '[']) {
            None => text,
            Some(at) => {
                let literal = &text[..self.root().len() + at];
                let folder = literal.rfind('/').unwrap_or(literal.len());
                text[..folder].to_owned()
            }
        }
    }

    /// The prefix of the store at `own`, if the URL is of the same bucket.
    pub(crate) fn prefix_of(&self, own: &str) -> Option<String> {
        let own = Url::is_one(own).then(|| Url::parse(own).ok())??;
        (own.scheme == self.scheme && own.bucket == self.bucket).then_some(own.key)
    }

    /// Whether it names the store at `own` or something in it. A pattern or prefix above that may reach into
    /// it, which is for its expansion to prevent.
    pub(crate) fn is_in(&self, own: &str) -> bool {
        match self.prefix_of(own) {
            Some(prefix) => {
                let own = format!("{}{prefix}", self.root());
                is_below(&self.fixed(), own.trim_end_matches('/'))
            }
            None => false,
        }
    }
}

/// Whether a path is another one or below it, by whole parts.
pub(crate) fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_admitted() {
        let admitted = |rules: &str, url: &str| {
            InputUrls::parse(rules)
                .unwrap()
                .admit(&Url::parse(url).unwrap())
        };
        assert!(admitted("", "s3://b/x"));
        assert!(!admitted("none", "s3://b/x"));
        let rules = "s3://b/raw/, gs://c";
        for url in [
            "s3://b/raw",
            "s3://b/raw/a/*.jpg",
            "s3://b//raw/a[1].jpg",
            "gs://c/x",
        ] {
            assert!(admitted(rules, url), "{url}");
        }
        for url in [
            "s3://b",
            "s3://b/rawer",
            "s3://b/raw*/x",
            "s3://b/r?w/x",
            "gs://b/raw",
            "s3://c/x",
        ] {
            assert!(!admitted(rules, url), "{url}");
        }
        for wrong in ["s3://", "none s3://b", "/dir", "raw"] {
            assert!(InputUrls::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_own_store_is_told_from_its_neighbours() {
        let inside = |url: &str, own: &str| Url::parse(url).unwrap().is_in(own);
        let own = "s3://b/sundog";
        for url in [
            "s3://b/sundog",
            "s3://b/sundog/jobs/*",
            "s3://b//sundog/x",
            "s3://b/sundog/",
        ] {
            assert!(inside(url, own), "{url}");
        }
        for url in [
            "s3://b/sundogs/x",
            "s3://b/raw",
            "s3://c/sundog",
            "gs://b/sundog",
        ] {
            assert!(!inside(url, own), "{url}");
        }
        for url in ["s3://b", "s3://b/x", "s3://b/*"] {
            assert!(inside(url, "s3://b/"), "{url}");
        }
        assert!(!inside("s3://b/x", "file:///b"));
    }
}
