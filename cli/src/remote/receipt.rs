//! Receipts and outputs behind URLs, for commands that only read them.

use super::{place, runtime};

use client::exit::{Failure, Result};
use client::settings;
use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

/// Largest receipt that is read.
const MAX_RECEIPT: u64 = 1 << 30;

/// The bytes of a receipt; a URL that is no JSON file's stands for the `sundog-receipt.json` below it.
pub fn read(url: &str) -> Result<Vec<u8>> {
    let url = match url.ends_with(".json") {
        true => url.to_owned(),
        false => format!("{}/sundog-receipt.json", url.trim_end_matches('/')),
    };
    let config = client::services(&settings::load()?)?;
    let (store, _, key) = place(&config, &url)?;
    let bytes = runtime()?.block_on(store.get(&key, MAX_RECEIPT));
    let bytes = bytes.map_err(|error| match error {
        cloud::Error::NotFound(_) => {
            Failure::usage(format!("cannot read the receipt {url}: no such object"))
        }
        error => client::from_cloud(&error),
    });
    Ok(bytes?.to_vec())
}

/// The SHA-256 of an object, in hexadecimal digits.
pub fn digest(url: &str) -> Result<String> {
    let config = client::services(&settings::load()?)?;
    let (store, _, key) = place(&config, url)?;
    let hash = async {
        let (_, mut stream) = store.get_stream(&key).await?;
        let mut hash = Sha256::new();
        while let Some(part) = stream.try_next().await? {
            hash.update(&part);
        }
        Ok(hash.finalize())
    };
    let hash: cloud::Result<_> = runtime()?.block_on(hash);
    let hash = hash.map_err(|error| client::from_cloud(&error))?;
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}
