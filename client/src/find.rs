//! Which job system a command talks to: what the settings name, or else the user's own `sundog serve`.

use super::{Client, Direct, Gateway, problem, serving};
use crate::exit::{Exit, Failure, Result};
use crate::settings::Layers;
use cloud::config::Config;

/// Settings that together name the services.
const SERVICES: [(&str, &str); 3] = [
    ("broker", "SUNDOG_BROKER"),
    ("redis", "SUNDOG_REDIS"),
    ("store", "SUNDOG_STORE"),
];

/// The job system that the settings name, or else the user's own serve; `warn` is told what the user should know
/// of it. Needs a Tokio runtime.
pub fn connect(layers: &Layers, warn: impl FnOnce(&str)) -> Result<Client> {
    if let Some(address) = layers.text("gateway") {
        let gateway = Gateway::new(address, layers.text("token"), false)?;
        let base = gateway.base();
        if base.scheme() == "http" && !super::is_loopback(&base) {
            warn(&format!(
                "the token goes to {base} in clear text (use https://)"
            ));
        }
        return Ok(Client::Gateway(Box::new(gateway)));
    }
    let config = services(layers)?;
    let missing = config.missing();
    if missing.is_empty() {
        let direct = Direct::new(&config, user()?, layers.text("scale_command"))?;
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

/// The services that settings name; credentials of stores come from their providers' variables.
pub fn services(layers: &Layers) -> Result<Config> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let own = |name: &str| name.starts_with("SUNDOG_");
    let variables = std::env::vars_os()
        .filter_map(text)
        .filter(|(name, _)| !own(name));
    let endpoints = [
        ("s3_endpoint", "SUNDOG_S3_ENDPOINT"),
        ("s3_public_endpoint", "SUNDOG_S3_PUBLIC_ENDPOINT"),
    ];
    let settings = SERVICES
        .into_iter()
        .chain(endpoints)
        .filter_map(|(key, name)| Some((name.to_owned(), layers.text(key)?.to_owned())));
    Config::from_vars(variables.chain(settings)).map_err(|error| problem::from_cloud(&error))
}

/// Whose jobs are seen without a gateway: `SUNDOG_USER`, else the login name.
pub fn user() -> Result<String> {
    service::access::own_name().map_err(|error| Failure::usage(error.to_string()))
}
