//! Operations and formats as JSON, for programs: `sundog ops --json`, `GET /v1/ops`, and the page.

use imaging::Pipeline;
use imaging::codec::{Choice, Codec, FormatKind, Output, Values};
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

/// The formats that are read here, the most usual first, and what can be chosen of those that are written.
pub fn formats() -> Value {
    let here = FormatKind::ALL.iter().map(|kind| kind.codec());
    let here = here.filter(|codec| codec.needs.is_none_or(|version| version().is_some()));
    let described = |codec: &Codec| {
        json!({
            "name": codec.name,
            "title": codec.title,
            "extensions": codec.extensions,
            "media_type": codec.media_type,
            "written": matches!(codec.output, Output::Own(_)),
            "options": options(codec),
        })
    };
    here.map(described).collect()
}

/// What can be chosen of a format, in the form of operations' parameters. A flag leaves no meaning to the others.
fn options(codec: &Codec) -> Value {
    let Output::Own(writer) = &codec.output else {
        return json!([]);
    };
    let option = |choice: &Choice| {
        let mut fields = match choice.values {
            Values::Number { min, max, default } => {
                json!({"type": "int", "min": min, "max": max, "default": default})
            }
            Values::Words { words, default } => {
                json!({"type": "word", "values": words, "default": words[usize::from(default)]})
            }
            Values::Flag => json!({"type": "bool", "default": false}),
        };
        fields["name"] = choice.name.into();
        fields["about"] = meaning(choice.name).into();
        fields
    };
    writer.options.iter().map(option).collect()
}

/// What an option of that name does; those of a name do the same in all formats.
fn meaning(option: &str) -> &'static str {
    match option {
        "quality" => "more keeps more, in larger files",
        "lossless" => "keeps every bit",
        "subsampling" => "444 keeps all of the colours, 420 a quarter",
        "compression" => "what saves more takes longer; no pixel changes",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::codec::Format;

    #[test]
    fn every_parameter_has_a_sample_and_every_format_an_extension() {
        for op in all().as_array().unwrap() {
            for param in op["params"].as_array().unwrap() {
                let name = param["name"].as_str().unwrap();
                assert!(!op["sample"][name].is_null(), "{name} of {}", op["name"]);
            }
        }
        let formats = formats();
        let written = |name: &str| {
            let mut all = formats.as_array().unwrap().iter();
            let found = all.find(|format| format["name"] == name);
            found.map(|format| format["written"] == true)
        };
        assert_eq!((written("png"), written("dds")), (Some(true), Some(false)));
        // Defaults are what the format itself takes where nothing is said.
        let all = formats.as_array().unwrap().iter();
        for format in all.filter(|format| format["written"] == true) {
            let options = format["options"].as_array().unwrap().iter();
            let said = options
                .inspect(|option| assert_ne!(option["about"], "", "{option}"))
                .filter(|option| option["type"] != "bool");
            let said = said.map(|option| {
                let default = option["default"].to_string();
                format!(
                    "{}={}",
                    option["name"].as_str().unwrap(),
                    default.trim_matches('"')
                )
            });
            let name = format["name"].as_str().unwrap();
            let text = format!("{name}({})", said.collect::<Vec<_>>().join(","));
            let whole = Format::parse(&text).unwrap();
            assert_eq!(whole, Format::parse(name).unwrap(), "{text}");
        }
    }
}
