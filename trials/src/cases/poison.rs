//! An image that kills its rank each time.

use super::{Case, Course};
use crate::Failure;
use crate::cluster::StoreKind;
use crate::trial::Trial;
use crate::work::{OWNER, Work};
use protocol::state::TaskState;

/// After its attempts it is failed with its reason, no other image is harmed, and a replay brings it back.
pub const POISON: Case = Case {
    name: "poison",
    store: StoreKind::Directory,
    needs_ranks: true,
    play: |trial| Box::pin(poison(trial)),
};

/// The variable that names the image to ranks that were built for tests.
const NAME: &str = "SUNDOG_TEST_ABORT_ON";
const ATTEMPTS: u32 = 2;
const RANKS: &[&str] = &["--ranks", "2"];

async fn poison(trial: &mut Trial) -> Result<Course, Failure> {
    let names: Vec<String> = trial.work.expected.keys().cloned().collect();
    let name = trial.dice.choice(names).ok_or("no images")?;
    trial.set(NAME, &name)?;
    trial.submit(ATTEMPTS).await?;
    let node = trial.dispatcher(RANKS)?;
    trial.ended().await?;
    let receipt = trial.jobs.receipt(OWNER, &trial.job).await?;
    let receipt = receipt.ok_or("the job has no receipt")?;
    for task in &receipt.tasks {
        let image = Work::name_of(&task.input);
        let fails = image == name || trial.work.damaged.contains(image);
        let failed = task.state == TaskState::Failed;
        let reason = task.reason.clone().unwrap_or_default();
        if failed != fails || (image == name && !reason.contains("rank")) {
            return Err(format!("{image} is {:?}: {reason}", task.state).into());
        }
        if image == name && task.attempt != ATTEMPTS {
            return Err(format!("{image} had {} attempts", task.attempt).into());
        }
    }
    trial.end(&node)?;
    // Ranks that bear the image, as after a mended bug.
    trial.set(NAME, "none")?;
    let mut letters = trial.jobs.dead_letters(100).await?;
    // Others of the same cluster left theirs.
    letters.retain(|letter| letter.job.as_ref() == Some(&trial.job));
    let expected = 1 + trial.work.damaged.len();
    if letters.len() != expected {
        return Err(format!("{expected} dead letters were expected: {letters:?}").into());
    }
    let taken = trial.jobs.replay(100).await?;
    trial.note(format!("{taken} dead letters were replayed"));
    trial.expect.rounds = 2;
    trial.dispatcher(RANKS)?;
    trial.ended_again().await?;
    Ok(Course::Through)
}
