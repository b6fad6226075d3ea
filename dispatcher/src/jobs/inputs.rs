//! What a job reads: its inputs in order, as they were found.

use super::Jobs;
use crate::error::Result;
use crate::names;
use crate::records;
use protocol::message::{PlanPage, PlannedTask};

/// The object of an input that is read, where it is an upload.
pub fn object_of(owner: &str, task: &PlannedTask) -> Option<String> {
    let is_read = task.reason.is_none();
    names::uploaded(owner, &task.input).filter(|_| is_read)
}

impl Jobs {
    /// At most `limit` inputs of a job, those with numbers above `after`: of a reduction its files. None of them before
    /// they were looked for.
    pub async fn inputs(
        &self,
        owner: &str,
        id: &str,
        limit: usize,
        after: Option<u64>,
    ) -> Result<Vec<(u64, PlannedTask)>> {
        self.load(owner, id).await?;
        let Some(plan) = records::plan(&self.store, id).await? else {
            return Ok(Vec::new());
        };
        let first = after.map_or(0, |after| after.saturating_add(1));
        let all = plan.files.unwrap_or(plan.tasks);
        let mut found = Vec::new();
        let (page, _) = ::jobs::Span::place(first);
        for page in page..records::pages(all) {
            let tasks = match plan.files {
                Some(_) => {
                    let name = names::plan_files(id, page);
                    let listed: Option<PlanPage> = names::read(&self.store, &name).await?;
                    listed.map_or_else(Vec::new, |page| page.tasks)
                }
                None => records::plan_page(&self.store, id, page).await?.tasks,
            };
            let numbered = (0..).zip(tasks);
            let numbered = numbered.map(|(at, task)| (::jobs::Span::number(page, at), task));
            found.extend(numbered.filter(|(number, _)| *number >= first));
            if found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}
