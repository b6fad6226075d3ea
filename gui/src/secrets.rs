//! Tokens of gateways: in the system's keyring where `secret-tool` reaches one, else in a file that the user alone can read.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn file() -> Option<PathBuf> {
    Some(crate::remember::folder()?.join("tokens.json"))
}

fn keyring(action: &str, address: &str) -> Command {
    let mut command = Command::new("secret-tool");
    command.arg(action);
    if action == "store" {
        command.arg("--label=Sundog gateway");
    }
    command.args(["application", "sundog", "gateway", address]);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null());
    command
}

/// Keeps a token for the gateway at an address.
pub fn keep(address: &str, token: &str) -> Result<(), String> {
    let stored = keyring("store", address)
        .stdin(Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(token.as_bytes())?;
            }
            child.wait()
        });
    if stored.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let path = file().ok_or("the token is not kept: neither HOME nor XDG_CONFIG_HOME is set")?;
    keep_in(path, address, token)
}

fn keep_in(path: PathBuf, address: &str, token: &str) -> Result<(), String> {
    let mut tokens = read(&path);
    tokens.insert(address.into(), token.into());
    let bytes = serde_json::to_vec_pretty(&tokens).map_err(|error| error.to_string())?;
    let folder = path.parent().map_or(Ok(()), client::serving::private_dir);
    folder
        .and_then(|()| client::serving::write_private(&path, &bytes))
        .map_err(|error| format!("the token is not kept: {}: {error}", path.display()))
}

/// The token for the gateway at an address.
pub fn find(address: &str) -> Option<String> {
    let found = keyring("lookup", address)
        .stdout(Stdio::piped())
        .output()
        .ok();
    let token = found
        .filter(|o| o.status.success())
        .and_then(|o| String::from_utf8(o.stdout).ok());
    token
        .filter(|t| !t.is_empty())
        .or_else(|| find_in(file()?, address))
}

fn find_in(path: PathBuf, address: &str) -> Option<String> {
    read(&path).get(address)?.as_str().map(str::to_owned)
}

fn read(path: &std::path::Path) -> serde_json::Map<String, serde_json::Value> {
    let bytes = std::fs::read(path).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_token_in_a_file_is_the_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sundog/tokens.json");
        keep_in(path.clone(), "https://a.example", "secret").unwrap();
        keep_in(path.clone(), "https://b.example", "other").unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            find_in(path.clone(), "https://a.example").as_deref(),
            Some("secret")
        );
        assert_eq!(find_in(path, "https://c.example"), None);
    }
}
