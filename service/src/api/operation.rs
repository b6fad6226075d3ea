//! What one operation of an API takes and answers, in the words and types of which its description is made.

use http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// Makes a schema where it is asked for, so that types which several operations use are described once.
pub(super) type Make = fn(&mut SchemaGenerator) -> Schema;

fn make<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What whoever calls an operation must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing.
    Open,
    /// A link that was signed for this.
    Link,
    /// A token that may read.
    Read,
    /// A token that may change something.
    Submit,
    /// A token of an administrator.
    Admin,
}

/// One answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) about: &'static str,
    /// Media type and schema; None: there is no body.
    pub(super) body: Option<(&'static str, Content)>,
    pub(super) headers: Vec<(&'static str, &'static str)>,
}

/// What a body holds.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Json(Make),
    Bytes,
    Text,
}

/// A parameter of the path or a header.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) schema: Value,
}

/// An operation: a method at an address.
#[derive(Clone, Debug)]
pub struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    pub(super) tag: &'static str,
    pub(super) scope: Scope,
    pub(super) query: Option<Make>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<(&'static str, Content, Option<Value>)>,
    pub(super) answers: Vec<Answer>,
    pub(super) problems: Vec<(StatusCode, &'static str)>,
    pub(super) endless: bool,
    pub(super) any_query: bool,
}

impl Operation {
    /// A method at an address, its name for programs, and what it does in one line.
    pub fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Operation {
        Operation {
            method,
            path,
            id,
            summary,
            about: "",
            tag: "service",
            scope: Scope::Read,
            query: None,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
            endless: false,
            any_query: false,
        }
    }

    /// Whoever has a token may read this.
    pub fn get(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::GET, path, id, summary)
    }

    /// Makes or changes something.
    pub fn post(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::POST, path, id, summary).scope(Scope::Submit)
    }

    /// Sets something.
    pub fn put(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::PUT, path, id, summary).scope(Scope::Submit)
    }

    /// Ends or removes something.
    pub fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::DELETE, path, id, summary).scope(Scope::Submit)
    }

    /// What whoever calls it must have.
    pub fn scope(mut self, scope: Scope) -> Operation {
        self.scope = scope;
        self
    }

    /// More of what it does.
    pub fn about(mut self, text: &'static str) -> Operation {
        self.about = text;
        self
    }

    /// What it is about, by which operations are grouped.
    pub fn tag(mut self, tag: &'static str) -> Operation {
        self.tag = tag;
        self
    }

    /// The keys of its query: the fields of a type. Others are refused.
    pub fn query<T: JsonSchema>(mut self) -> Operation {
        self.query = Some(make::<T>);
        self
    }

    /// A part of its path.
    pub fn path(mut self, name: &'static str, about: &'static str, schema: Value) -> Operation {
        self.parameters.push(Parameter {
            place: "path",
            name,
            about,
            schema,
        });
        self
    }

    /// The id of a job, upload or webhook in its path.
    pub fn id(self, about: &'static str) -> Operation {
        let schema = json!({"type": "string", "pattern": "^[0-9A-Za-z]{1,64}$"});
        self.path("id", about, schema)
            .problem(404, "there is none, or it is somebody else's")
    }

    /// A header that it heeds.
    pub fn header(mut self, name: &'static str, about: &'static str, schema: Value) -> Operation {
        self.parameters.push(Parameter {
            place: "header",
            name,
            about,
            schema,
        });
        self
    }

    /// The key by which the same request again is known.
    pub fn idempotent(self) -> Operation {
        let schema = json!({"type": "string", "pattern": "^[!-~]{1,255}$"});
        self.header(
            "Idempotency-Key",
            "A key of yours, such as a UUID: the same request with it again, as after a lost answer, makes nothing new.",
            schema,
        )
        .problem(409, "there was another request with this Idempotency-Key")
    }

    /// A body of JSON, and an example of it.
    pub fn body<T: JsonSchema>(mut self, example: Value) -> Operation {
        let json = Content::Json(make::<T>);
        self.body = Some(("application/json", json, Some(example)));
        self.problem(413, "the body is larger than is admitted")
            .problem(415, "the body is no JSON by its Content-Type")
    }

    /// A body of any bytes.
    pub fn bytes(mut self) -> Operation {
        self.body = Some(("application/octet-stream", Content::Bytes, None));
        self
    }

    /// An answer in JSON.
    pub fn answer<T: JsonSchema>(self, status: u16, about: &'static str) -> Operation {
        let json = ("application/json", Content::Json(make::<T>));
        self.answered(status, about, Some(json))
    }

    /// An answer of text or other bytes.
    pub fn answer_as(self, status: u16, about: &'static str, media: &'static str) -> Operation {
        let content = match media.starts_with("text/") {
            true => Content::Text,
            false => Content::Bytes,
        };
        self.answered(status, about, Some((media, content)))
    }

    /// An answer without a body.
    pub fn answer_empty(self, status: u16, about: &'static str) -> Operation {
        self.answered(status, about, None)
    }

    /// A header of the answer named last.
    pub fn with(mut self, name: &'static str, about: &'static str) -> Operation {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.push((name, about));
        }
        self
    }

    /// An error that it may end with, beside those that all have.
    pub fn problem(mut self, status: u16, about: &'static str) -> Operation {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        if !self.problems.iter().any(|(known, _)| *known == status) {
            self.problems.push((status, about));
        }
        self
    }

    /// Its answer goes on until somebody ends it: it takes a seat of its own instead of a place among requests.
    pub fn endless(mut self) -> Operation {
        self.endless = true;
        self
    }

    /// Its query is none of its business, as that of a page that people link to.
    pub fn any_query(mut self) -> Operation {
        self.any_query = true;
        self
    }

    fn answered(
        mut self,
        status: u16,
        about: &'static str,
        body: Option<(&'static str, Content)>,
    ) -> Operation {
        self.answers.push(Answer {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            about,
            body,
            headers: Vec::new(),
        });
        self
    }

    /// Whether a token is needed.
    pub(super) fn needs_token(&self) -> bool {
        matches!(self.scope, Scope::Read | Scope::Submit | Scope::Admin)
    }

    /// The names of the keys of its query.
    pub(super) fn query_names(&self) -> Vec<String> {
        let Some(make) = self.query else {
            return Vec::new();
        };
        let settings = schemars::generate::SchemaSettings::draft2020_12();
        let mut generator = settings
            .with(|s| s.inline_subschemas = true)
            .into_generator();
        let schema = make(&mut generator);
        let fields = schema.get("properties").and_then(Value::as_object);
        fields.map_or_else(Vec::new, |fields| fields.keys().cloned().collect())
    }
}
