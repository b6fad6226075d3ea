//! The pipeline as a job carries it: text, or a list of calls. Its meaning is not known here.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// `"equalize | gaussian(sigma=2)"` or `[{ op = "equalize" }, { op = "gaussian", sigma = 2 }]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Pipeline {
    /// The text form; empty: only convert.
    Text(String),
    /// The list form: objects with `op` and parameters.
    Calls(Vec<Map<String, Value>>),
}

impl Default for Pipeline {
    fn default() -> Pipeline {
        Pipeline::Text(String::new())
    }
}

impl Pipeline {
    /// Whether it holds no operation.
    pub fn is_empty(&self) -> bool {
        match self {
            Pipeline::Text(text) => text.trim().is_empty(),
            Pipeline::Calls(calls) => calls.is_empty(),
        }
    }

    /// The form that a pipeline parser takes: a string or an array.
    pub fn to_value(&self) -> Value {
        match self {
            Pipeline::Text(text) => Value::String(text.clone()),
            Pipeline::Calls(calls) => calls.iter().cloned().map(Value::Object).collect(),
        }
    }
}

impl From<&str> for Pipeline {
    fn from(text: &str) -> Pipeline {
        Pipeline::Text(text.to_owned())
    }
}

impl Serialize for Pipeline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Pipeline::Text(text) => serializer.serialize_str(text),
            Pipeline::Calls(calls) => calls.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Pipeline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pipeline, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Pipeline;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text such as \"equalize | gaussian(sigma=2)\" or a list of { op = \"…\", … }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Pipeline, E> {
                Ok(Pipeline::Text(text.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Pipeline, A::Error> {
                let mut calls = Vec::new();
                while let Some(call) = seq.next_element()? {
                    calls.push(call);
                }
                Ok(Pipeline::Calls(calls))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Pipeline {
    fn schema_name() -> Cow<'static, str> {
        "Pipeline".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Operations in order: \"equalize | gaussian(sigma=2)\" or a list of objects with `op` and parameters.",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": { "op": { "type": "string" } },
                        "required": ["op"],
                    },
                },
            ],
        })
    }
}
