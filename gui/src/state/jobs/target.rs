//! Where jobs run, what lets in there, and whether it answers.

/// Where jobs run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// On this computer, within the window.
    #[default]
    Local,
    /// The user's own `sundog serve`.
    Serve,
    /// A gateway at an address.
    Gateway(String),
    /// Broker, Redis and store themselves.
    Cluster,
}

impl Target {
    /// What `--target` names.
    pub fn parse(text: &str) -> Result<Target, String> {
        match text {
            "local" => Ok(Target::Local),
            "serve" => Ok(Target::Serve),
            "cluster" => Ok(Target::Cluster),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Target::Gateway(url.trim_end_matches('/').to_owned()))
            }
            other => Err(format!(
                "`{other}` is no target (local, serve, cluster, or the address of a gateway such as https://images.example.org)"
            )),
        }
    }

    /// As `--target` names it.
    pub fn text(&self) -> &str {
        match self {
            Target::Local => "local",
            Target::Serve => "serve",
            Target::Gateway(address) => address,
            Target::Cluster => "cluster",
        }
    }

    /// For people.
    pub fn name(&self) -> String {
        match self {
            Target::Local => "This computer".into(),
            Target::Serve => "sundog serve".into(),
            Target::Gateway(address) => {
                let host = address.split("://").nth(1).unwrap_or(address);
                crate::text::harmless(host).into_owned()
            }
            Target::Cluster => "Cluster".into(),
        }
    }
}

/// What lets into a gateway. It is not shown.
#[derive(Clone)]
pub struct Token {
    /// The token.
    pub text: String,
    /// Whether it is kept for the next time.
    pub keep: bool,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Whether the job system answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// There is none to ask.
    #[default]
    None,
    /// It was not reached yet.
    Connecting,
    /// It answers.
    Up,
    /// Why it does not; it is tried again.
    Down(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_named_as_on_the_command_line() {
        for text in ["local", "serve", "cluster", "https://images.example.org"] {
            assert_eq!(Target::parse(text).unwrap().text(), text);
        }
        assert!(Target::parse("ftp://x").is_err_and(|e| e.contains("local, serve, cluster")));
    }
}
