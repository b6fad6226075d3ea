//! Which store it is, whoever opens it and by whatever address: an object of it says so.

use super::{Created, Store};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The object, at the store's root.
const OBJECT: &str = "store.json";
/// It is far shorter.
const MOST: u64 = 4096;

#[derive(Serialize, Deserialize)]
struct Identity {
    version: u32,
    store: String,
}

impl Store {
    /// The name of the store itself, read once; drawn and written where it has none yet. Of several who draw one, all are
    /// told the same.
    pub async fn identity(&self) -> Result<String> {
        if let Some(known) = self.known.get() {
            return Ok(known.clone());
        }
        let found = match self.read_identity().await? {
            Some(found) => found,
            None => self.draw_identity().await?,
        };
        Ok(self.known.get_or_init(|| found).clone())
    }

    /// What the store says now; None where it was never given a name.
    pub async fn read_identity(&self) -> Result<Option<String>> {
        match self.get(OBJECT, MOST).await {
            Ok(bytes) => match serde_json::from_slice::<Identity>(&bytes) {
                Ok(found) => Ok(Some(found.store)),
                // A loss of power cut it off before anybody was told.
                Err(error) if error.is_eof() && self.local.is_some() => {
                    self.delete(OBJECT).await?;
                    Ok(None)
                }
                Err(error) => Err(Error::Refused {
                    what: format!("`{OBJECT}` in {}", self.address),
                    reason: format!("it does not say which store this is: {error}"),
                }),
            },
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn draw_identity(&self) -> Result<String> {
        let identity = Identity {
            version: 1,
            store: crate::links::hex(&crate::random::bytes::<16>()),
        };
        let bytes = serde_json::to_vec(&identity)
            .map_err(|error| Error::invalid("the store's identity", error.to_string()))?;
        match self
            .create(OBJECT, bytes.into(), "application/json")
            .await?
        {
            Created::New => Ok(identity.store),
            Created::Exists => {
                let there = self.read_identity().await?;
                there.ok_or_else(|| Error::NotFound(OBJECT.into()))
            }
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.local.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_has_one_name_whoever_asks() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::directory(dir.path()).unwrap();
        assert_eq!(open().read_identity().await.unwrap(), None);
        let (one, other) = (open(), open());
        let (a, b) = tokio::join!(one.identity(), other.identity());
        let name = a.unwrap();
        assert_eq!(b.unwrap(), name);
        assert_eq!(open().read_identity().await.unwrap(), Some(name.clone()));
        assert_ne!(Store::memory().identity().await.unwrap(), name);
        // Cut off by a loss of power: it is drawn anew.
        std::fs::write(dir.path().join(OBJECT), "{\"ver").unwrap();
        assert_eq!(open().read_identity().await.unwrap(), None);
        assert_ne!(open().identity().await.unwrap(), name);
    }
}
