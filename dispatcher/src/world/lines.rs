//! Lines to and from a world of ranks.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use worker::warm::wire::Answer;

/// A line of the world.
pub enum Heard {
    Answer(Box<Answer>),
    /// Of `mpirun`, of a library, or a log.
    Text(String),
}

/// The rank that a line of `mpirun` says ended badly.
pub fn dead_rank(line: &str) -> Option<usize> {
    let after = [
        "mpirun noticed that process rank ",
        "MPI_ABORT was invoked on rank ",
    ]
    .iter()
    .find_map(|start| Some(line.split_once(start)?.1))
    // Process name: [[12345,1],3]
    .or_else(|| {
        line.split_once("Process name: [[")?
            .1
            .split_once("],")
            .map(|p| p.1)
    })?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Hears the lines of a pipe until it ends.
pub async fn listen(pipe: impl AsyncRead + Unpin, hear: mpsc::UnboundedSender<Heard>) {
    let mut lines = BufReader::new(pipe).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let heard = match serde_json::from_slice(&line) {
            Ok(answer) => Heard::Answer(Box::new(answer)),
            Err(_) => Heard::Text(String::from_utf8_lossy(&line).into_owned()),
        };
        if hear.send(heard).is_err() {
            break;
        }
    }
}

/// Writes lines until there are no more senders; the input of the world then ends.
pub async fn feed(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        if stdin.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_dead_rank_is_read_from_what_mpirun_says() {
        let lines = [
            "mpirun noticed that process rank 1 with PID 0 on node here exited on signal 9 (Killed).",
            "  Process name: [[61423,1],1]",
            "MPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD",
            "1 total processes killed",
        ];
        let ranks = lines.map(super::dead_rank);
        assert_eq!(ranks, [Some(1), Some(1), Some(1), None]);
    }
}
