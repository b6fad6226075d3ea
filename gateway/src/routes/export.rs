//! Everything of a user as one zip archive: to look at, or to take along.

use super::account::{Whose, whose};
use super::archive::receipts;
use crate::archive::Archive;
use crate::run::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use dispatcher::names;
use protocol::state::TaskState;
use serde::Serialize;
use serde_json::Value;
use service::{Api, Operation, Problem, User};
use std::io::{Error, Result};

/// Bytes of a webhook as it is kept.
const MAX_HOOK: u64 = 1 << 20;
/// Jobs and letters that are looked at together.
const PAGE: u16 = 1000;

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    api.add(
        Operation::get(
            "/v1/export",
            "exportUser",
            "Gets everything of yours as one zip archive",
        )
        .about("Jobs with their receipts and outputs, uploads, dead letters, and webhooks without their secrets.")
        .tag("account")
        .query::<Whose>()
        .answer_as(200, "the archive", "application/zip"),
        export,
    )
}

async fn export(
    State(gateway): State<Gateway>,
    user: User,
    query: std::result::Result<Query<Whose>, QueryRejection>,
) -> std::result::Result<Response, Problem> {
    let owner = whose(query, user)?;
    // What can be refused is refused before the first byte.
    let known = &gateway.known;
    gateway.jobs.page(&owner, 1, None, None, known).await?;
    let name = format!("sundog-{owner}.zip");
    Ok(Archive::answer(&name, |archive| async move {
        let mut export = Export {
            gateway: &gateway,
            owner: &owner,
            archive,
        };
        export.jobs().await?;
        export.uploads().await?;
        export.letters().await?;
        export.webhooks().await?;
        Ok(export.archive)
    }))
}

struct Export<'a> {
    gateway: &'a Gateway,
    owner: &'a str,
    archive: Archive,
}

impl Export<'_> {
    async fn jobs(&mut self) -> Result<()> {
        let jobs = &self.gateway.jobs;
        let mut after: Option<String> = None;
        loop {
            let known = &self.gateway.known;
            let page = jobs.page(self.owner, PAGE.into(), None, after.as_deref(), known);
            let (found, next) = page.await.map_err(Error::other)?;
            for job in found {
                self.job(&job.job).await?;
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn job(&mut self, id: &str) -> Result<()> {
        let (jobs, owner) = (&self.gateway.jobs, self.owner);
        let stored = jobs.load(owner, id).await.map_err(Error::other)?;
        self.json(&format!("jobs/{id}/job.json"), &stored).await?;
        let receipt = jobs.receipt(owner, id).await.map_err(Error::other)?;
        if let Some(receipt) = receipt {
            let name = format!("jobs/{id}/receipt.json");
            self.json(&name, &receipt).await?;
        }
        let mut after = None;
        while let Some(receipts) = receipts(self.gateway, owner, id, &mut after).await? {
            let done = receipts
                .iter()
                .filter(|receipt| receipt.state == TaskState::Succeeded);
            for (object, output) in done.flat_map(|receipt| names::outputs_of(id, receipt)) {
                let name = format!("jobs/{id}/{}", output.output);
                self.archive.object(&jobs.store, &object, &name).await?;
            }
        }
        Ok(())
    }

    async fn uploads(&mut self) -> Result<()> {
        let store = &self.gateway.jobs.store;
        let below = names::uploads(self.owner);
        for meta in store.list(&below).await.map_err(Error::other)? {
            let name = meta.name.strip_prefix(&below).unwrap_or(&meta.name);
            let name = format!("uploads{name}");
            self.archive.object(store, &meta.name, &name).await?;
        }
        Ok(())
    }

    async fn letters(&mut self) -> Result<()> {
        let mut letters = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let jobs = &self.gateway.jobs;
            let page = jobs.some_dead_letters(Some(self.owner), PAGE, after.as_deref());
            let (found, next) = page.await.map_err(Error::other)?;
            letters.extend(found);
            after = next;
            if after.is_none() {
                break;
            }
        }
        match letters.is_empty() {
            true => Ok(()),
            false => self.json("dead-letters.json", &letters).await,
        }
    }

    async fn webhooks(&mut self) -> Result<()> {
        let store = &self.gateway.jobs.store;
        let below = names::webhooks(self.owner);
        let mut hooks = Vec::new();
        for meta in store.list(&below).await.map_err(Error::other)? {
            let bytes = store
                .get(&meta.name, MAX_HOOK)
                .await
                .map_err(Error::other)?;
            let mut hook: Value = serde_json::from_slice(&bytes)?;
            // Whoever reads an archive need not be able to sign deliveries.
            if let Value::Object(hook) = &mut hook {
                hook.remove("secret");
            }
            hooks.push(hook);
        }
        match hooks.is_empty() {
            true => Ok(()),
            false => self.json("webhooks.json", &hooks).await,
        }
    }

    async fn json(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        self.archive.begin(name, text.len() as u64).await?;
        self.archive.bytes(text.into()).await?;
        self.archive.end().await
    }
}
