//! Uploads in parts to the server of objects.

use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;

/// An upload that was begun and not ended.
#[derive(Debug, Default)]
struct Upload {
    name: String,
    headers: Vec<(String, String)>,
    parts: BTreeMap<u32, Bytes>,
}

/// Uploads by their ids.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    open: BTreeMap<String, Upload>,
    begun: u64,
}

impl Uploads {
    /// Begins one; returns what the client is told.
    pub(super) fn begin(&mut self, name: &str, headers: Vec<(String, String)>) -> String {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        let upload = Upload {
            name: name.to_owned(),
            headers,
            parts: BTreeMap::new(),
        };
        self.open.insert(id.clone(), upload);
        let (bucket, key) = name.split_once('/').unwrap_or((name, ""));
        format!(
            "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{}</Key>\
             <UploadId>{id}</UploadId></InitiateMultipartUploadResult>",
            super::answers::escape(key)
        )
    }

    /// Keeps a part; false if there is no such upload.
    pub(super) fn part(&mut self, id: &str, number: &str, bytes: Bytes) -> bool {
        match (self.open.get_mut(id), number.parse()) {
            (Some(upload), Ok(number)) => {
                upload.parts.insert(number, bytes);
                true
            }
            _ => false,
        }
    }

    /// Ends one: its name, headers and bytes.
    pub(super) fn complete(&mut self, id: &str) -> Option<(String, Vec<(String, String)>, Bytes)> {
        let upload = self.open.remove(id)?;
        let mut bytes = BytesMut::new();
        for part in upload.parts.values() {
            bytes.extend_from_slice(part);
        }
        Some((upload.name, upload.headers, bytes.freeze()))
    }

    /// Forgets one.
    pub(super) fn abort(&mut self, id: &str) {
        self.open.remove(id);
    }

    /// How many were begun and not ended.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }
}
