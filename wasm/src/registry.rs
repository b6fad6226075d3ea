//! Operations and formats as JSON, for programs: `sundog ops --json`, `GET /v1/ops`, and the page.

use imaging::Pipeline;
use imaging::codec::Format;
use imaging::op::{Kind, Op};
use imaging::ops::ALL;
use serde_json::{Value, json};

/// All operations.
pub fn all() -> Value {
    ALL.iter().map(|op| describe(op)).collect()
}

/// One operation with its parameters, their ranges and defaults.
pub fn describe(op: &Op) -> Value {
    let params = op.params.iter().map(|param| {
        let mut fields = match &param.kind {
            Kind::Int { min, max, default } => {
                json!({"type": "int", "min": min, "max": max, "default": default})
            }
            Kind::Float { min, max, default } => {
                json!({"type": "float", "min": min, "max": max, "default": default})
            }
            Kind::Word(words) => json!({"type": "word", "values": words, "default": words[0]}),
            Kind::Bool(default) => json!({"type": "bool", "default": default}),
            Kind::Matrix { max } => json!({"type": "matrix", "max": max}),
            Kind::Bands => json!({"type": "list"}),
            Kind::Level(default) => json!({"type": "level", "default": default}),
            Kind::Color(default) => json!({"type": "color", "default": default}),
        };
        fields["name"] = param.name.into();
        fields["about"] = param.about.into();
        fields["required"] = param.default().is_none().into();
        fields
    });
    json!({
        "name": op.name,
        "about": op.about,
        "group": op.group.title(),
        "params": params.collect::<Value>(),
        "example": op.example,
        "sample": sample(op),
    })
}

/// The arguments of the example: values with which something is to be seen.
fn sample(op: &Op) -> Value {
    let calls = Pipeline::parse(op.example).map(|pipeline| pipeline.to_json());
    let calls = calls.unwrap_or_default();
    let own = |call: &&Value| call["op"] == op.name;
    let mut call = calls.as_array().and_then(|c| c.iter().find(own).cloned());
    if let Some(Value::Object(fields)) = &mut call {
        fields.remove("op");
    }
    call.unwrap_or_else(|| json!({}))
}

/// The formats that can be written here, the most usual first.
pub fn formats() -> Value {
    let here = Format::all().filter(|format| {
        let needs = format.kind().codec().needs;
        needs.is_none_or(|version| version().is_some())
    });
    let described = |format: Format| {
        let codec = format.kind().codec();
        json!({
            "name": codec.name,
            "title": codec.title,
            "extension": format.extension(),
            "media_type": codec.media_type,
        })
    };
    here.map(described).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_a_sample_and_every_format_an_extension() {
        for op in all().as_array().unwrap() {
            for param in op["params"].as_array().unwrap() {
                let name = param["name"].as_str().unwrap();
                assert!(!op["sample"][name].is_null(), "{name} of {}", op["name"]);
            }
        }
        let formats = formats();
        let names = |f: &Value| f["name"].as_str().unwrap().to_owned();
        let names: Vec<String> = formats.as_array().unwrap().iter().map(names).collect();
        assert!(
            names.contains(&"png".into()) && !names.contains(&"heic".into()),
            "{names:?}"
        );
    }
}
