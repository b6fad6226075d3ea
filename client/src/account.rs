//! Users' affairs as a whole.

use super::direct::Direct;
use super::problem;
use super::{Client, Gateway, from_jobs};
use crate::exit::{Failure, Result};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::Path;
use worker::atomic::Pending;

/// What was removed of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Jobs.
    pub jobs: u64,
    /// Uploads.
    pub uploads: u64,
}

impl Client {
    /// Removes everything of a user; for administrators.
    pub async fn erase(&self, user: &str) -> Result<Erased> {
        check(user)?;
        match self {
            Client::Gateway(gateway) => gateway.erase(user).await,
            Client::Direct(direct) => direct.erase(user).await,
        }
    }

    /// Writes everything of the user, or of another one for administrators, into a zip archive. Returns its bytes. Only
    /// gateways make such archives.
    pub async fn export(&self, user: Option<&str>, target: &Path) -> Result<u64> {
        if let Some(user) = user {
            check(user)?;
        }
        match self {
            Client::Gateway(gateway) => gateway.export(user, target).await,
            Client::Direct(_) => Err(Failure::usage(
                "archives of everything are made by a gateway (set SUNDOG_GATEWAY and SUNDOG_TOKEN)",
            )),
        }
    }
}

fn check(user: &str) -> Result<()> {
    match service::access::user_name(user) {
        Ok(_) => Ok(()),
        Err(_) => {
            let user = user.escape_debug();
            Err(Failure::usage(format!("`{user}` is no user's name")))
        }
    }
}

impl Gateway {
    async fn erase(&self, user: &str) -> Result<Erased> {
        let path = format!("v1/users/{user}");
        self.ask(Method::DELETE, &path, None).await
    }

    async fn export(&self, user: Option<&str>, target: &Path) -> Result<u64> {
        let path = match user {
            Some(user) => format!("v1/export?user={user}"),
            None => "v1/export".to_owned(),
        };
        let mut response = self.open(&path).await?;
        let disk = |error: std::io::Error| Failure::failed(error.to_string());
        let pending = Pending::create(target).map_err(disk)?;
        let mut bytes = 0;
        loop {
            // An archive that ends early does so with an error.
            let piece = response.chunk().await;
            let piece = piece.map_err(|error| {
                let cause = problem::cause(&error);
                Failure::failed(format!("the archive broke off: {cause} (hint: try again)"))
            })?;
            let Some(piece) = piece else { break };
            bytes += piece.len() as u64;
            pending.writer().write_all(&piece).map_err(disk)?;
        }
        pending.commit().map_err(disk)?;
        Ok(bytes)
    }
}

impl Direct {
    async fn erase(&self, user: &str) -> Result<Erased> {
        let erased = self.jobs.erase(user).await;
        let (jobs, uploads) = erased.map_err(from_jobs)?;
        Ok(Erased {
            jobs: jobs as u64,
            uploads: uploads as u64,
        })
    }
}
