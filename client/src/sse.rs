//! Reads server-sent events from pieces of a stream.

/// Largest event that is read.
const MAX_EVENT: usize = 4 << 20;

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its place in the stream.
    pub id: Option<String>,
    /// Its kind.
    pub event: String,
    /// What it says.
    pub data: String,
}

/// The stream is not one of events.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

/// Puts pieces together.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    message: Message,
    has_data: bool,
}

impl Parser {
    /// Takes the next piece; returns the events that it completes.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Vec<Message>, TooLong> {
        let mut complete = Vec::new();
        for &byte in piece {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => complete.extend(self.end_line()),
                byte => {
                    if self.line.len() + self.message.data.len() >= MAX_EVENT {
                        return Err(TooLong);
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(complete)
    }

    fn end_line(&mut self) -> Option<Message> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            let told = std::mem::take(&mut self.has_data) || !message.event.is_empty();
            return told.then_some(message);
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.message.id = Some(value.to_owned()),
            "event" => self.message.event = value.to_owned(),
            "data" => {
                if self.has_data {
                    self.message.data.push('\n');
                }
                self.has_data = true;
                self.message.data.push_str(value);
            }
            // Comments keep the connection alive.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, event: &str, data: &str) -> Message {
        Message {
            id: Some(id.into()),
            event: event.into(),
            data: data.into(),
        }
    }

    #[test]
    fn events_come_out_however_the_stream_is_cut() {
        let text = ": hello\n\nid: 1.af\nevent: task_finished\ndata: {\"a\":\ndata: 1}\n\n\
                    id:2\r\nevent:reset\r\ndata:\r\n\r\n: beat\n\n";
        let expected = [
            message("1.af", "task_finished", "{\"a\":\n1}"),
            message("2", "reset", ""),
        ];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let found: Vec<Message> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|piece| parser.feed(piece).unwrap())
                .collect();
            assert_eq!(found, expected, "{size}");
        }
    }

    #[test]
    fn endless_lines_end_the_stream() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1 << 20];
        assert!((0..5).any(|_| parser.feed(&piece) == Err(TooLong)));
    }
}
