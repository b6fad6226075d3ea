//! Lines to and from a world of ranks.

use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use worker::warm;
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

/// Which way lines go to the world.
pub enum Way {
    /// Straight to rank 0, which is on this machine.
    Line(OwnedWriteHalf),
    /// Through `mpirun`.
    Input,
}

/// Writes lines the first way that is told, until there are no more senders; the input of the world then ends.
pub async fn feed(
    mut stdin: ChildStdin,
    mut ways: mpsc::UnboundedReceiver<Way>,
    mut lines: mpsc::UnboundedReceiver<String>,
) {
    let mut way = tokio::select! {
        way = ways.recv() => way,
        // It ends before it has come up.
        () = lines_end(&lines) => None,
    };
    let to: &mut (dyn AsyncWrite + Send + Unpin) = match way {
        Some(Way::Line(ref mut half)) => half,
        _ => &mut stdin,
    };
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        if to.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
}

async fn lines_end(lines: &mpsc::UnboundedReceiver<String>) {
    while !lines.is_closed() {
        tokio::time::sleep(LOOK).await;
    }
}

/// How often it is looked whether a world is still wanted that has not come up.
const LOOK: Duration = Duration::from_millis(50);

/// A socket where rank 0 is expected if it runs on this machine; what it says is heard, and the way to it told.
/// Returns its name, and what ends the waiting when it is dropped.
pub fn offer(
    ways: mpsc::UnboundedSender<Way>,
    hear: mpsc::UnboundedSender<Heard>,
) -> std::io::Result<(String, AbortOnDropHandle<()>)> {
    let (name, listener) = warm::bind()?;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let expect = async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The name is no secret on this machine.
            let Some(stream) = stream.into_std().ok().filter(warm::is_own) else {
                continue;
            };
            if let Ok(stream) = tokio::net::UnixStream::from_std(stream) {
                let (read, write) = stream.into_split();
                let _ = ways.send(Way::Line(write));
                tokio::spawn(listen(read, hear));
                return;
            }
        }
    };
    Ok((name, AbortOnDropHandle::new(tokio::spawn(expect))))
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
