//! The same promises by servers that others wrote: scripts/store-test starts them and says where they are.

use crate::promises::conforms;
use cloud::config::{Config, Location};

/// Where such a store is; what else it needs has its usual names.
const WHERE: &str = "SUNDOG_TEST_STORE";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_server_conforms() {
    let Ok(location) = std::env::var(WHERE) else {
        // Only a script knows of one.
        return;
    };
    let location = Location::parse(&location).unwrap();
    let store = Config::from_env().unwrap().open(&location).unwrap();
    conforms(&store).await;
}
