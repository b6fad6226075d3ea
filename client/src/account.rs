//! Users' affairs as a whole.

use super::direct::Direct;
use super::{Client, Gateway, from_jobs};
use crate::exit::{Failure, Result};
use reqwest::Method;
use serde::{Deserialize, Serialize};

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
        if service::access::user_name(user).is_err() {
            return Err(Failure::usage(format!(
                "`{}` is no user's name",
                user.escape_debug()
            )));
        }
        match self {
            Client::Gateway(gateway) => gateway.erase(user).await,
            Client::Direct(direct) => direct.erase(user).await,
        }
    }
}

impl Gateway {
    async fn erase(&self, user: &str) -> Result<Erased> {
        let path = format!("v1/users/{user}");
        self.ask(Method::DELETE, &path, None).await
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
