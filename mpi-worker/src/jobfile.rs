//! Reads job and configuration files (TOML, YAML, JSON); errors name the key, the line and the nearest valid name.

use imaging::op::nearest;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

/// A file that was checked against its type.
pub struct File<T> {
    /// Its contents, defaults filled in.
    pub typed: T,
    /// What it says itself, without defaults.
    pub given: Value,
    /// Its text, for [`line_of`].
    pub text: String,
}

enum Format {
    Toml,
    Yaml,
    Json,
}

/// Reads a file; its format follows from the extension, without one from what it looks like.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<File<T>, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {name}: {}", io_cause(&error)))?;
    parse(&name, text)
}

/// The cause without the operating system's number.
pub fn io_cause(error: &std::io::Error) -> String {
    use std::io::ErrorKind as K;
    match error.kind() {
        K::NotFound => "there is no such file".into(),
        K::PermissionDenied => "permission denied".into(),
        K::InvalidData => "it is not UTF-8 text".into(),
        _ => error.to_string(),
    }
}

/// Parses the text of the file `name`.
pub fn parse<T: DeserializeOwned>(name: &str, text: String) -> Result<File<T>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
    let result = match format(name, &text) {
        Format::Toml => toml_file(&text),
        Format::Yaml => yaml_file(&text),
        Format::Json => json_file(&text),
    };
    match result {
        Ok((typed, given)) => Ok(File { typed, given, text }),
        Err(wrong) => Err(wrong.explain(name, &text)),
    }
}

fn format(name: &str, text: &str) -> Format {
    let extension = name.rsplit_once('.').map_or("", |(_, e)| e);
    match extension.to_ascii_lowercase().as_str() {
        "toml" => Format::Toml,
        "yaml" | "yml" => Format::Yaml,
        "json" => Format::Json,
        _ if text.trim_start().starts_with('{') => Format::Json,
        _ if text.lines().any(|l| l.contains('=')) => Format::Toml,
        _ => Format::Yaml,
    }
}

/// What is wrong, and where.
struct Wrong {
    key: String,
    message: String,
    line: Option<usize>,
}

fn toml_file<T: DeserializeOwned>(text: &str) -> Result<(T, Value), Wrong> {
    let line = |error: &toml::de::Error| {
        let at = error.span()?.start.min(text.len());
        Some(
            text.as_bytes()[..at]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1,
        )
    };
    let syntax = |error: toml::de::Error| Wrong {
        key: String::new(),
        message: error.message().to_owned(),
        line: line(&error),
    };
    let typed = serde_path_to_error::deserialize(toml::Deserializer::parse(text).map_err(syntax)?);
    let typed = typed.map_err(|error| Wrong {
        key: error.path().to_string(),
        message: error.inner().message().to_owned(),
        line: line(error.inner()),
    })?;
    Ok((typed, toml::from_str(text).map_err(syntax)?))
}

fn yaml_file<T: DeserializeOwned>(text: &str) -> Result<(T, Value), Wrong> {
    let wrong = |key: String, error: &serde_yaml_ng::Error| Wrong {
        key,
        message: error.to_string(),
        line: error.location().map(|l| l.line()),
    };
    let given: Option<Value> =
        serde_yaml_ng::from_str(text).map_err(|e| wrong(String::new(), &e))?;
    let given = given.unwrap_or_else(|| Value::Object(Default::default()));
    if given.as_object().is_some_and(|o| o.is_empty()) {
        // An empty file is an empty mapping.
        return json_file("{}");
    }
    let typed = serde_path_to_error::deserialize(serde_yaml_ng::Deserializer::from_str(text));
    let typed = typed.map_err(|e| wrong(e.path().to_string(), e.inner()))?;
    Ok((typed, given))
}

fn json_file<T: DeserializeOwned>(text: &str) -> Result<(T, Value), Wrong> {
    let wrong = |key: String, error: &serde_json::Error| Wrong {
        key,
        message: error.to_string(),
        line: Some(error.line()),
    };
    let given = serde_json::from_str(text).map_err(|e| wrong(String::new(), &e))?;
    let typed = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text));
    Ok((
        typed.map_err(|e| wrong(e.path().to_string(), e.inner()))?,
        given,
    ))
}

impl Wrong {
    fn explain(mut self, name: &str, text: &str) -> String {
        if let Some(at) = self.message.rfind(" at line ") {
            self.message.truncate(at);
        }
        if self.key == "." {
            self.key.clear();
        }
        let prefixed = format!("{}: ", self.key);
        if let Some(rest) = self.message.strip_prefix(&prefixed) {
            self.message = rest.to_owned();
        }
        // YAML names the enclosing section itself.
        if let Some((section, rest)) = self.message.split_once(": ")
            && !section.is_empty()
            && self.key.starts_with(section)
        {
            self.message = rest.to_owned();
        }
        let last = self.key.rsplit('.').next().unwrap_or("");
        let line = line_of(text, last)
            .filter(|_| !last.is_empty())
            .or(self.line);
        let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
        match self.key.as_str() {
            "" => format!("{place}: {}", plain(&self.message)),
            key if self.message.starts_with("unknown field") => {
                format!("{place}: unknown key `{key}`{}", choices(&self.message))
            }
            key => format!("{place}: `{key}`: {}", plain(&self.message)),
        }
    }
}

/// The line on which `key` is set, counted from 1.
pub fn line_of(text: &str, key: &str) -> Option<usize> {
    let begins = |line: &str| {
        let line = line.trim_start_matches([' ', '\t', '{', '-', ',']);
        let line = line.trim_start_matches(['"', '\'']);
        line.strip_prefix(key).is_some_and(|rest| {
            let rest = rest.trim_start_matches(['"', '\'']).trim_start();
            rest.starts_with(['=', ':'])
        })
    };
    text.lines().position(begins).map(|at| at + 1)
}

/// Names in backticks, in order.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// The nearest valid name, or all of them.
fn choices(message: &str) -> String {
    let names = quoted(message);
    match names.split_first() {
        Some((wrong, valid)) if !valid.is_empty() => match nearest(wrong, valid.iter().copied()) {
            Some(near) => format!(" (did you mean `{near}`?)"),
            None => format!(" (known: {})", valid.join(", ")),
        },
        _ => String::new(),
    }
}

/// serde's words in a user's.
pub fn plain(message: &str) -> String {
    if message.starts_with("unknown variant") {
        let names = quoted(message);
        if let Some((wrong, valid)) = names.split_first() {
            let near = nearest(wrong, valid.iter().copied());
            let hint = near.map_or(String::new(), |n| format!(" (did you mean `{n}`?)"));
            return format!("`{wrong}` is none of {}{hint}", valid.join(", "));
        }
    }
    let mut text = message.trim_end().replace('\n', " ");
    if text.starts_with("unknown field") {
        text = format!(
            "unknown key `{}`{}",
            quoted(&text).first().unwrap_or(&""),
            choices(&text)
        );
    }
    for (from, to) in [
        ("invalid type: ", "wrong value: "),
        ("invalid value: ", "wrong value: "),
        ("expected usize", "expected a whole number"),
        ("expected u64", "expected a whole number"),
        ("expected u32", "expected a whole number"),
        ("expected f64", "expected a number"),
        ("expected a sequence", "expected a list"),
        ("expected a boolean", "expected true or false"),
        ("expected a string", "expected a text"),
        ("missing field", "missing key"),
    ] {
        text = text.replace(from, to);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Job;

    fn message(name: &str, text: &str) -> String {
        match parse::<Job>(name, text.to_owned()) {
            Ok(_) => panic!("{text} was accepted"),
            Err(message) => message,
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest() {
        let toml = "version = 1\noutput = \"o\"\npipline = \"invert\"\n";
        let yaml = "version: 1\noutput: o\npipline: invert\n";
        let json = "{\n\"output\": \"o\",\n\"pipline\": \"invert\"\n}";
        let wanted = "unknown key `pipline` (did you mean `pipeline`?)";
        assert_eq!(message("a.toml", toml), format!("a.toml:3: {wanted}"));
        assert_eq!(message("a.yaml", yaml), format!("a.yaml:3: {wanted}"));
        assert_eq!(message("a.json", json), format!("a.json:3: {wanted}"));
    }

    #[test]
    fn a_key_of_a_section_is_named_with_it() {
        let wanted = "unknown key `limits.memry` (did you mean `memory`?)";
        let toml = "[limits]\nmemry = \"1GiB\"\n";
        assert_eq!(message("a.toml", toml), format!("a.toml:2: {wanted}"));
        let yaml = "limits:\n  memry: 1GiB\n";
        assert_eq!(message("a.yaml", yaml), format!("a.yaml:2: {wanted}"));
    }

    #[test]
    fn a_wrong_value_is_named_with_what_was_expected() {
        assert_eq!(
            message("a.toml", "ranks = \"two\"\n"),
            "a.toml:1: `ranks`: wrong value: string \"two\", expected a whole number"
        );
        assert_eq!(
            message("a.yaml", "mode: row\n"),
            "a.yaml:1: `mode`: `row` is none of auto, images, rows (did you mean `rows`?)"
        );
        let lots = message("a.json", "{\"limits\": {\"memory\": \"lots\"}}");
        assert!(
            lots.starts_with("a.json:1: `limits.memory`: `lots` is no size"),
            "{lots}"
        );
    }

    #[test]
    fn broken_syntax_names_the_line() {
        assert!(message("a.toml", "version = 1\nname = \"x\n").starts_with("a.toml:2: "));
        assert!(message("a.json", "{\n\"name\": }").starts_with("a.json:2: "));
    }

    #[test]
    fn only_what_a_file_says_itself_is_given() {
        let file = parse::<Job>("a.yml", "output: o\n".into())
            .ok()
            .map(|f| f.given);
        assert_eq!(file, Some(serde_json::json!({"output": "o"})));
        assert!(parse::<Job>("a.yml", "".into()).is_ok());
    }
}
