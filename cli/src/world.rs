//! What a command asks of the ranks that it runs on.

use protocol::Job;
use worker::batch::Request;
use worker::here;

/// The git commit of this build.
pub fn commit() -> Option<String> {
    option_env!("SUNDOG_COMMIT").map(str::to_owned)
}

/// A request for a whole job.
pub fn request(job: Job) -> Request {
    here::request(job, commit().as_deref())
}
