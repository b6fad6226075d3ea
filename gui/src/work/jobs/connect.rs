//! The way to the job system that the user chose.

use crate::secrets;
use crate::state::jobs::{Target, Token};
use crate::work::objects::Services;
use crate::work::{News, Post};
use client::exit::{Exit, Failure, Result};
use client::{Client, settings};
use std::sync::Arc;

/// Makes it; nothing is asked yet.
pub(super) fn connect(
    target: &Target,
    token: Option<&Token>,
    services: &Services,
    post: &Post,
) -> Result<Client> {
    match target {
        Target::Local => Err(Failure::failed("this computer needs no job system")),
        Target::Serve => {
            let serving = client::serving::find()?;
            let serving = serving.ok_or_else(|| Failure {
                exit: Exit::Unreachable,
                message: "no `sundog serve` of yours is running (start it: sundog serve)".into(),
            })?;
            let gateway = client::Gateway::new(&serving.address, Some(&serving.token), true)?;
            Ok(Client::Gateway(Box::new(gateway)))
        }
        Target::Gateway(address) => {
            let kept = match token {
                Some(token) => {
                    if token.keep
                        && let Err(why) = secrets::keep(address, &token.text)
                    {
                        post.send(News::Told(true, why));
                    }
                    Some(token.text.clone())
                }
                None => secrets::find(address).or_else(|| own_token(address)),
            };
            let gateway = client::Gateway::new(address, kept.as_deref(), false)?;
            Ok(Client::Gateway(Box::new(gateway)))
        }
        Target::Cluster => {
            let layers = settings::load()?;
            let config = match services {
                Services::Settings => Arc::new(client::services(&layers)?),
                Services::Given(config) => config.clone(),
            };
            let missing = config.missing();
            if !missing.is_empty() {
                return Err(Failure {
                    exit: Exit::Unreachable,
                    message: format!(
                        "{} not set (set it before the window is started)",
                        missing.join(" and ")
                    ),
                });
            }
            let scale = layers.text("scale_command");
            Ok(Client::Direct(Box::new(client::Direct::new(
                &config,
                client::user()?,
                scale,
            )?)))
        }
    }
}

/// The token of the settings, where they name the same gateway.
fn own_token(address: &str) -> Option<String> {
    let layers = settings::load().ok()?;
    let same = layers.text("gateway")?.trim_end_matches('/') == address;
    layers.text("token").filter(|_| same).map(str::to_owned)
}
