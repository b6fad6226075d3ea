//! Which job system a command talks to: what the settings name, or else the user's own `sundog serve`.

use super::{Client, Direct, Gateway, problem, serving};
use crate::exit::{Exit, Failure, Result};
use crate::output;
use crate::settings::{Layers, Setting};
use cloud::config::Config;

/// Settings that together name the services.
const SERVICES: [(&str, &str); 3] = [
    ("broker", "SUNDOG_BROKER"),
    ("redis", "SUNDOG_REDIS"),
    ("store", "SUNDOG_STORE"),
];

/// The job system that the settings name, or else the user's own serve. Needs a Tokio runtime.
pub fn connect(layers: &Layers) -> Result<Client> {
    if let Some(address) = layers.text("gateway") {
        let gateway = Gateway::new(address, token(layers)?, false)?;
        let base = gateway.base();
        if base.scheme() == "http" && !super::is_loopback(&base) {
            output::warning(&format!(
                "the token goes to {base} in clear text (use https://)"
            ));
        }
        return Ok(Client::Gateway(Box::new(gateway)));
    }
    let config = services(layers)?;
    let missing = config.missing();
    if missing.is_empty() {
        let direct = Direct::new(&config, user()?)?;
        return Ok(Client::Direct(Box::new(direct)));
    }
    // Some stores are set for `sundog serve`, whose file then leads on.
    if let Some(serving) = serving::find()? {
        let gateway = Gateway::new(&serving.address, Some(&serving.token), true)?;
        if !super::is_loopback(&gateway.base()) {
            return Err(Failure::usage(
                "the file of the running sundog serve names another machine (remove it and start sundog serve again)",
            ));
        }
        return Ok(Client::Gateway(Box::new(gateway)));
    }
    let message = match missing.len() {
        3 => "there is no job system to talk to (start one: sundog serve; or set SUNDOG_GATEWAY and SUNDOG_TOKEN, or SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE)".to_owned(),
        _ => format!(
            "the job system is not complete: {} not set (set it, or SUNDOG_GATEWAY and SUNDOG_TOKEN instead)",
            missing.join(" and ") + if missing.len() == 1 { " is" } else { " are" }
        ),
    };
    Err(Failure {
        exit: Exit::Unreachable,
        message,
    })
}

/// The token for the gateway that is set. A project's directory may name a gateway, but a token from elsewhere
/// is not sent there: whoever wrote that file need not be somebody whom the user trusts with it.
fn token(layers: &Layers) -> Result<Option<&str>> {
    let from_project = |setting: &Setting| setting.origin.starts_with("sundog.toml");
    let (Some(gateway), Some(token)) =
        (layers.settings.get("gateway"), layers.settings.get("token"))
    else {
        return Ok(layers.text("token"));
    };
    if from_project(gateway) && !from_project(token) {
        return Err(Failure::usage(format!(
            "the token of {} is not sent to the gateway that {} names (set SUNDOG_GATEWAY where the token is set)",
            token.origin, gateway.origin
        )));
    }
    Ok(layers.text("token"))
}

/// The services that settings name; credentials of stores come from their providers' variables.
pub fn services(layers: &Layers) -> Result<Config> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let own = |name: &str| name.starts_with("SUNDOG_");
    let variables = std::env::vars_os()
        .filter_map(text)
        .filter(|(name, _)| !own(name));
    let endpoint = ("s3_endpoint", "SUNDOG_S3_ENDPOINT");
    let settings = SERVICES
        .into_iter()
        .chain([endpoint])
        .filter_map(|(key, name)| Some((name.to_owned(), layers.text(key)?.to_owned())));
    Config::from_vars(variables.chain(settings)).map_err(|error| problem::from_cloud(&error))
}

/// Whose jobs are seen without a gateway: `SUNDOG_USER`, else the login name.
pub fn user() -> Result<String> {
    service::access::own_name().map_err(|error| Failure::usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_sent_where_a_project_says() {
        let layers = |gateway: &str, token: &str| {
            let mut layers = Layers::default();
            for (key, origin) in [("gateway", gateway), ("token", token)] {
                let setting = Setting {
                    value: "x".into(),
                    origin: origin.into(),
                };
                layers.settings.insert(key.into(), setting);
            }
            layers
        };
        assert!(token(&layers("sundog.toml:3", "SUNDOG_TOKEN")).is_err());
        assert!(token(&layers("sundog.toml:3", "sundog.toml:4")).is_ok());
        assert!(token(&layers("SUNDOG_GATEWAY", "SUNDOG_TOKEN")).is_ok());
        assert!(token(&layers("SUNDOG_GATEWAY", "sundog.toml:4")).is_ok());
    }
}
