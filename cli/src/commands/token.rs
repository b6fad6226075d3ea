//! `sundog token`: who may use a gateway.

use crate::output;
use client::exit::{Exit, Failure, Result};
use service::access::{self, Grant};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Draw a token for a user, and add its hash to a tokens file
    #[command(after_help = "\
Examples:
  sundog token add ada --file /etc/sundog/tokens.toml
  sundog token add robot --scope submit --expires 90d --file /etc/sundog/tokens.toml

For a change of tokens without a gap: add the new one, hand it out, then revoke the old one by its hash.
Prints the token, which nobody can see again. Services read the file again when it changes; removing a
user's lines takes the token away.")]
    Add {
        /// The user: 1 to 100 letters, digits, `-`, `_` and `.` [default: your login name]
        user: Option<String>,
        /// The tokens file, made if need be
        #[arg(
            long,
            value_name = "FILE",
            env = "SUNDOG_TOKENS",
            hide_env_values = true
        )]
        file: PathBuf,
        /// Let the user see to everybody's dead letters, and to what concerns all
        #[arg(long)]
        admin: bool,
        /// What the token is good for; both where not given
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// How long the token is good, such as 12h or 90d; without end where not given
        #[arg(long, value_name = "TIME", value_parser = term)]
        expires: Option<Duration>,
    },
    /// Print whose tokens a tokens file has, and the first digits of their hashes
    List {
        /// The tokens file
        #[arg(
            long,
            value_name = "FILE",
            env = "SUNDOG_TOKENS",
            hide_env_values = true
        )]
        file: PathBuf,
        /// Print one JSON object a token
        #[arg(long)]
        json: bool,
    },
    /// Take tokens out of a tokens file: all of a user, or the one with this hash
    #[command(after_help = "\
Examples:
  sundog token revoke ada --file /etc/sundog/tokens.toml
  sundog token revoke 3f9a04c1 --file /etc/sundog/tokens.toml

Services read the file again when it changes. The first digits of a hash, eight or more, are what `sundog token
list` prints.")]
    Revoke {
        /// A user, or the first digits of a token's hash
        #[arg(value_name = "USER|HASH")]
        which: String,
        /// The tokens file
        #[arg(
            long,
            value_name = "FILE",
            env = "SUNDOG_TOKENS",
            hide_env_values = true
        )]
        file: PathBuf,
    },
}

/// What a token may be good for.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scope {
    /// To look at jobs and results
    Read,
    /// To submit, cancel and delete
    Submit,
}

fn term(text: &str) -> std::result::Result<Duration, String> {
    let secs = crate::job_flags::seconds(text)?;
    match (1.0..=3650.0 * 86400.0).contains(&secs) {
        true => Ok(Duration::from_secs(secs as u64)),
        false => Err("a token is good for 1s to 3650d".into()),
    }
}

/// Digits of a hash by which one token is told from another.
const DIGITS: usize = 8;

/// Does what is asked for.
pub fn run(args: Args) -> Result {
    match args.action {
        Action::Add {
            user,
            file,
            admin,
            scopes,
            expires,
        } => {
            let has = |scope| scopes.is_empty() || scopes.contains(&scope);
            let grant = Grant {
                admin,
                read: has(Scope::Read),
                submit: has(Scope::Submit),
                expires: expires.map(|life| SystemTime::now() + life),
            };
            add(user, &file, grant)
        }
        Action::List { file, json } => list(&file, json),
        Action::Revoke { which, file } => revoke(&which, &file),
    }
}

fn failure(error: access::Error) -> Failure {
    match error {
        access::Error::Name(_) => Failure::usage(error.to_string()),
        error => Failure::failed(error.to_string()),
    }
}

fn list(file: &Path, json: bool) -> Result {
    for token in access::list(file).map_err(failure)? {
        let (user, hash) = (&token.user, &token.sha256[..DIGITS]);
        match json {
            true => output::json(&serde_json::json!({
                "user": user.name, "admin": user.admin, "hash": hash,
                "scopes": user.scopes(), "expires": user.expires.map(access::rfc3339),
            })),
            false => {
                let mut more = if user.admin { "  admin" } else { "" }.to_owned();
                if !(user.read && user.submit) {
                    more += &format!("  only {}", user.scopes().join(", "));
                }
                if let Some(end) = user.expires {
                    let word = if end <= SystemTime::now() {
                        "ended"
                    } else {
                        "until"
                    };
                    more += &format!("  {word} {}", access::rfc3339(end));
                }
                output::line(format!("{hash}  {}{more}", user.name));
            }
        }
    }
    Ok(Exit::Ok)
}

fn revoke(which: &str, file: &Path) -> Result {
    let digits = which.len() >= DIGITS && which.bytes().all(|b| b.is_ascii_hexdigit());
    let which_hash = which.to_ascii_lowercase();
    // A user's name comes first, whatever it looks like.
    let there = access::list(file).map_err(failure)?;
    let is_user = there.iter().any(|token| token.user.name == which);
    let gone = access::revoke(file, |token| match is_user {
        true => token.user.name == which,
        false => digits && token.sha256.starts_with(&which_hash),
    });
    let gone = gone.map_err(failure)?;
    if gone.is_empty() {
        return Err(Failure::usage(format!(
            "{} has no token of `{}` (hint: sundog token list)",
            file.display(),
            output::harmless(which)
        )));
    }
    for token in gone {
        let hash = &token.sha256[..DIGITS];
        output::message(&format!("token {hash} of {} is revoked", token.user.name));
    }
    Ok(Exit::Ok)
}

fn add(user: Option<String>, file: &Path, grant: Grant) -> Result {
    let user = match user {
        Some(user) => user,
        None => client::user()?,
    };
    let token = access::grant(file, &user, grant).map_err(failure)?;
    output::line(token);
    output::message(&format!(
        "the token of {user}; its hash is in {}",
        file.display()
    ));
    Ok(Exit::Ok)
}
