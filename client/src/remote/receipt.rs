//! Receipts and outputs behind URLs, and receipts that are written anew.

use super::{place, runtime};

use crate::exit::{Failure, Result};
use crate::settings;
use futures_util::TryStreamExt as _;
use protocol::JobReceipt;
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::Path;
use worker::atomic::Pending;

/// Largest receipt that is read.
const MAX_RECEIPT: u64 = 1 << 30;

/// The bytes of a receipt; a URL that is no JSON file's stands for the `sundog-receipt.json` below it.
pub fn read(url: &str) -> Result<Vec<u8>> {
    let url = match url.ends_with(".json") {
        true => url.to_owned(),
        false => format!("{}/sundog-receipt.json", url.trim_end_matches('/')),
    };
    let config = crate::services(&settings::load()?)?;
    let (store, _, key) = place(&config, &url)?;
    let bytes = runtime()?.block_on(store.get(&key, MAX_RECEIPT));
    let bytes = bytes.map_err(|error| match error {
        cloud::Error::NotFound(_) => {
            Failure::usage(format!("cannot read the receipt {url}: no such object"))
        }
        error => crate::from_cloud(&error),
    });
    Ok(bytes?.to_vec())
}

/// The SHA-256 of an object, in hexadecimal digits.
pub fn digest(url: &str) -> Result<String> {
    let config = crate::services(&settings::load()?)?;
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
    let hash = hash.map_err(|error| crate::from_cloud(&error))?;
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a receipt in place of the one that is there.
pub fn write(receipt: &JobReceipt, path: &Path) -> Result<()> {
    let written = || -> std::io::Result<()> {
        let pending = Pending::create(path)?;
        serde_json::to_writer_pretty(pending.writer(), receipt)?;
        pending.writer().write_all(b"\n")?;
        pending.commit().map(drop)
    };
    written().map_err(|error| Failure::failed(format!("the receipt: {error}")))
}
