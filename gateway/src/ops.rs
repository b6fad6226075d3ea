//! The registry of operations as JSON, for programs: `sundog ops --json` and `GET /v1/ops`.

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
    })
}
