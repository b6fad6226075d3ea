//! Whose users may sign in, as flags and variables of the environment. All services that are reached by people take the same.

use service::access::oidc::{Members, Oidc, Roles, Settings};
use std::path::PathBuf;

/// A provider of OpenID Connect where people sign in.
#[derive(Clone, Debug, clap::Args)]
pub struct SignIn {
    /// Provider of OpenID Connect whose users may come in, exactly as it calls itself
    #[arg(
        long,
        env = "SUNDOG_OIDC_ISSUER",
        value_name = "URL",
        requires = "oidc_client"
    )]
    pub oidc_issuer: Option<String>,
    /// What the provider calls this client; tokens must be made for it
    #[arg(
        long,
        env = "SUNDOG_OIDC_CLIENT",
        value_name = "NAME",
        requires = "oidc_issuer"
    )]
    pub oidc_client: Option<String>,
    /// File with the client's secret; none for a public client
    #[arg(
        long,
        env = "SUNDOG_OIDC_CLIENT_SECRET_FILE",
        value_name = "FILE",
        requires = "oidc_issuer"
    )]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// Other audiences whose tokens programs may show, with commas between
    #[arg(
        long,
        env = "SUNDOG_OIDC_AUDIENCES",
        value_name = "LIST",
        value_delimiter = ',',
        requires = "oidc_issuer"
    )]
    pub oidc_audiences: Vec<String>,
    /// What is asked of the provider beside `openid`, with commas between
    #[arg(
        long,
        env = "SUNDOG_OIDC_SCOPES",
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "profile"
    )]
    pub oidc_scopes: Vec<String>,
    /// Claim that names users; letters, digits, `-` and `.` of it stay, all else becomes `_` and hexadecimal digits
    #[arg(
        long,
        env = "SUNDOG_OIDC_USER_CLAIM",
        value_name = "CLAIM",
        default_value = "sub"
    )]
    pub oidc_user_claim: String,
    /// Claim that lists a user's groups
    #[arg(
        long,
        env = "SUNDOG_OIDC_GROUPS_CLAIM",
        value_name = "CLAIM",
        default_value = "groups"
    )]
    pub oidc_groups_claim: String,
    /// Groups whose members are administrators, with commas between; `*` is everybody whom the provider knows
    #[arg(
        long,
        env = "SUNDOG_OIDC_ADMINS",
        value_name = "LIST",
        value_delimiter = ',',
        requires = "oidc_issuer"
    )]
    pub oidc_admins: Vec<String>,
    /// Groups whose members may submit and look
    #[arg(
        long,
        env = "SUNDOG_OIDC_SUBMITTERS",
        value_name = "LIST",
        value_delimiter = ',',
        requires = "oidc_issuer"
    )]
    pub oidc_submitters: Vec<String>,
    /// Groups whose members may look
    #[arg(
        long,
        env = "SUNDOG_OIDC_READERS",
        value_name = "LIST",
        value_delimiter = ',',
        requires = "oidc_issuer"
    )]
    pub oidc_readers: Vec<String>,
}

impl SignIn {
    /// The provider, if there is one.
    pub fn oidc(&self) -> Result<Option<Oidc>, String> {
        let (Some(issuer), Some(client)) = (&self.oidc_issuer, &self.oidc_client) else {
            return Ok(None);
        };
        let secret = match &self.oidc_client_secret_file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| {
                    let path = path.display();
                    format!("the file of the client's secret {path}: {error}")
                })?;
                Some(text.trim().to_owned())
            }
        };
        let oidc = Oidc::new(Settings {
            issuer: issuer.clone(),
            client: client.clone(),
            secret,
            audiences: self.oidc_audiences.clone(),
            scopes: self.oidc_scopes.clone(),
            user_claim: self.oidc_user_claim.clone(),
            groups_claim: self.oidc_groups_claim.clone(),
            roles: Roles {
                admin: Members::of(self.oidc_admins.clone()),
                submit: Members::of(self.oidc_submitters.clone()),
                read: Members::of(self.oidc_readers.clone()),
            },
        });
        let hint = "(hint: --oidc-submitters GROUP, or '*' for all; docs/security.md)";
        oidc.map(Some)
            .map_err(|error| format!("signing in at {issuer}: {error} {hint}"))
    }
}
