//! Objects behind URLs: where their stores are found, and one that is fetched to be looked at.

use client::{Config, remote, settings};
use imaging::executor::Stop;
use imaging::{Error, Result};
use protocol::name;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
pub use worker::elsewhere::is_url;

/// Bytes of an object that is fetched only to be looked at.
const MOST: u64 = 512 << 20;

/// Where stores are found.
#[derive(Clone, Debug, Default)]
pub enum Services {
    /// As the settings and the environment say, as for the command line.
    #[default]
    Settings,
    /// As given.
    Given(Arc<Config>),
}

impl Services {
    /// The services, as they are set now.
    pub fn config(&self) -> std::result::Result<Arc<Config>, String> {
        match self {
            Services::Given(config) => Ok(config.clone()),
            Services::Settings => {
                let config = settings::load().and_then(|layers| client::services(&layers));
                config.map(Arc::new).map_err(|failure| failure.message)
            }
        }
    }
}

/// The URL that a path is, if it is one.
pub fn url_of(path: &Path) -> Option<String> {
    let text = name::to_text(path);
    is_url(&text).then_some(text)
}

/// A file that may be read: the path itself, or a copy of the object that it names.
#[derive(Debug)]
pub struct Local {
    /// Where it is.
    pub path: PathBuf,
    /// What goes with the copy.
    _folder: Option<TempDir>,
}

/// The file of a path; an object is fetched.
pub fn local(services: &Services, path: &Path, stop: &Stop) -> Result<Local> {
    local_of(services, path, MOST, stop)
}

/// The same of an object of so many bytes at the most.
pub fn local_of(services: &Services, path: &Path, most: u64, stop: &Stop) -> Result<Local> {
    let Some(url) = url_of(path) else {
        return Ok(Local {
            path: path.to_owned(),
            _folder: None,
        });
    };
    let config = services.config().map_err(Error::Io)?;
    let folder = tempfile::Builder::new()
        .prefix("sundog-object-")
        .tempdir()?;
    // Its own name, of which its format may be told; nothing else of the path.
    let own = path.file_name().map_or("object".into(), PathBuf::from);
    let to = folder.path().join(own);
    let got = remote::get(&config, &url, &to, most, stop);
    got.map_err(|failure| Error::Io(failure.message))?;
    Ok(Local {
        path: to,
        _folder: Some(folder),
    })
}
