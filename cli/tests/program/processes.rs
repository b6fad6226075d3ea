//! Processes that a test left behind.

/// Command lines of the living processes that have a text in their command line or environment: the test's own
/// directory, which everything that it starts is told.
pub fn with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // One that ends in this moment has none.
        let read = |file: &str| {
            let bytes = std::fs::read(entry.path().join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let command = read("cmdline");
        if !command.is_empty() && (command.contains(text) || read("environ").contains(text)) {
            found.push(command);
        }
    }
    found
}
