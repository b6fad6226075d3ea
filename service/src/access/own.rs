//! Whose jobs they are where nobody shows a token.

use super::{Error, user_name};

/// `SUNDOG_USER`, else the login name.
pub fn own_name() -> Result<String, Error> {
    match std::env::var("SUNDOG_USER").ok().filter(|v| !v.is_empty()) {
        Some(name) => user_name(&name).map_err(|_| Error::OwnName),
        None => Ok(login()),
    }
}

/// The login name, with what does not fit into a user's name replaced.
fn login() -> String {
    let uid = nix::unistd::getuid();
    let known = nix::unistd::User::from_uid(uid).ok().flatten();
    fitting(&known.map_or_else(String::new, |user| user.name))
        .unwrap_or_else(|| format!("uid-{uid}"))
}

fn fitting(name: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fit = |c: char| if fits(c) { c } else { '-' };
    let name: String = name.chars().take(100).map(fit).collect();
    user_name(&name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_names_become_names_of_users() {
        for (login, name) in [
            ("ada", Some("ada")),
            ("EXAMPLE\\ada", Some("EXAMPLE-ada")),
            (".ada", None),
            ("", None),
        ] {
            assert_eq!(fitting(login).as_deref(), name, "{login}");
        }
        assert!(user_name(&login()).is_ok());
    }
}
