//! OpenAPI 3.1 of operations.

use super::operation::{Answer, Content, Make, Operation, Scope};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where schemas lie in the document.
const SCHEMAS: &str = "/components/schemas";

/// What the document says of the whole.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// Its name.
    pub title: &'static str,
    /// What it is, as CommonMark.
    pub about: &'static str,
    /// The program's version.
    pub version: &'static str,
}

/// Schemas of what comes in and of what goes out: the same type may have to hold more on its way out.
struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    fn new() -> Schemas {
        let settings =
            || SchemaSettings::draft2020_12().with(|s| s.definitions_path = SCHEMAS.into());
        Schemas {
            requests: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
        }
    }

    fn request(&mut self, make: Make) -> Value {
        make(&mut self.requests).to_value()
    }

    fn answer(&mut self, make: Make) -> Value {
        make(&mut self.answers).to_value()
    }
}

/// The document that describes operations.
pub fn document(info: Info, operations: &[Operation]) -> Value {
    let mut schemas = Schemas::new();
    let mut described: Vec<(&Operation, Value)> = Vec::new();
    for operation in operations {
        let mut value = describe(operation, &mut schemas);
        if operation.scope == Scope::Open || operation.scope == Scope::Link {
            value["security"] = json!([]);
        }
        described.push((operation, value));
    }
    let mut definitions = schemas.answers.take_definitions(true);
    // Types that look otherwise on their way in get names of their own.
    let mut renamed = BTreeMap::new();
    let requests = schemas.requests.take_definitions(true);
    for (name, schema) in &requests {
        if definitions.get(name).is_some_and(|known| known != schema) {
            renamed.insert(name.clone(), format!("{name}Request"));
        }
    }
    for (name, mut schema) in requests {
        rename(&mut schema, &renamed);
        let name = renamed.get(&name).cloned().unwrap_or(name);
        definitions.entry(name).or_insert(schema);
    }
    definitions.insert("Problem".into(), problem_schema());
    let mut paths: Map<String, Value> = Map::new();
    for (operation, mut value) in described {
        for place in ["requestBody", "parameters"] {
            if let Some(part) = value.get_mut(place) {
                rename(part, &renamed);
            }
        }
        let path = operation.path.replace("{*", "{");
        let path = paths.entry(path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_ascii_lowercase()] = value;
    }
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {"title": info.title, "description": info.about, "version": info.version},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {"token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of `sundog token add`, or the one in the link that `sundog serve` prints.",
            }},
        },
    })
}

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut value = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": responses(operation, schemas),
    });
    let scope = match operation.scope {
        Scope::Open => "Needs no token.",
        Scope::Link => "Needs no token: the signature in the query is the permission.",
        Scope::Read => "",
        Scope::Submit => "Needs a token that may submit.",
        Scope::Admin => "Needs a token of an administrator.",
    };
    let about = [operation.about, scope];
    let about: Vec<&str> = about.into_iter().filter(|text| !text.is_empty()).collect();
    if !about.is_empty() {
        value["description"] = about.join(" ").into();
    }
    let parameters = parameters(operation, schemas);
    if !parameters.is_empty() {
        value["parameters"] = parameters.into();
    }
    if let Some((media, content, example)) = &operation.body {
        let mut described = media_type(content, |make| schemas.request(make));
        if let Some(example) = example {
            described["example"] = example.clone();
        }
        value["requestBody"] = json!({"required": true, "content": {*media: described}});
    }
    value
}

fn parameters(operation: &Operation, schemas: &mut Schemas) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for parameter in &operation.parameters {
        found.push(json!({
            "name": parameter.name,
            "in": parameter.place,
            "required": parameter.place == "path",
            "description": parameter.about,
            "schema": parameter.schema,
        }));
    }
    let Some(make) = operation.query else {
        return found;
    };
    // Inline, since a query is no thing of its own.
    let settings = schemas.requests.settings().clone();
    let mut generator = settings
        .with(|s| s.inline_subschemas = true)
        .into_generator();
    let schema = make(&mut generator).to_value();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let mut field = without_null(field.clone());
        let about = field.as_object_mut().and_then(|f| f.remove("description"));
        found.push(json!({
            "name": name,
            "in": "query",
            "required": required.iter().any(|known| known == name),
            "description": about,
            "schema": field,
        }));
    }
    found
}

/// A key of a query is there or not; it is never null.
fn without_null(mut schema: Value) -> Value {
    if let Some(kinds) = schema["type"].as_array() {
        let kinds: Vec<&Value> = kinds.iter().filter(|kind| *kind != "null").collect();
        if let [kind] = kinds[..] {
            schema["type"] = kind.clone();
        }
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let some: Vec<&Value> = choices.iter().filter(|c| c["type"] != "null").collect();
        if let [Value::Object(one)] = some[..] {
            let one = one.clone();
            if let Some(schema) = schema.as_object_mut() {
                schema.remove("anyOf");
                for (key, value) in one {
                    schema.entry(key).or_insert(value);
                }
            }
        }
    }
    if let Some(kinds) = schema["enum"].as_array() {
        schema["enum"] = kinds.iter().filter(|k| !k.is_null()).cloned().collect();
    }
    if let Some(schema) = schema.as_object_mut() {
        // Looking at a key of an object by its index makes it.
        schema.retain(|_, value| !value.is_null());
    }
    schema
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut found = Map::new();
    for answer in &operation.answers {
        found.insert(answer.status.as_str().to_owned(), one(answer, schemas));
    }
    let mut problems = operation.problems.clone();
    let mut also = |status: http::StatusCode, about: &'static str| {
        if !problems.iter().any(|(known, _)| *known == status) {
            problems.push((status, about));
        }
    };
    also(
        http::StatusCode::BAD_REQUEST,
        "the request cannot work as it is; `key` names what is at fault",
    );
    if operation.needs_token() {
        also(
            http::StatusCode::UNAUTHORIZED,
            "no token, or none that is known",
        );
        also(http::StatusCode::FORBIDDEN, "not with this token");
        also(
            http::StatusCode::TOO_MANY_REQUESTS,
            "too much at once; Retry-After says when it may go",
        );
        also(
            http::StatusCode::SERVICE_UNAVAILABLE,
            "a service behind this one does not answer; later it may go",
        );
    }
    for (status, about) in problems {
        let status = status.as_str().to_owned();
        let content = json!({"application/problem+json": {"schema": {"$ref": format!("#{SCHEMAS}/Problem")}}});
        let described = json!({"description": about, "content": content});
        found.entry(status).or_insert(described);
    }
    found.into()
}

fn one(answer: &Answer, schemas: &mut Schemas) -> Value {
    let mut value = json!({"description": answer.about});
    if let Some((media, content)) = &answer.body {
        let described = media_type(content, |make| schemas.answer(make));
        value["content"] = json!({*media: described});
    }
    if !answer.headers.is_empty() {
        let headers = answer.headers.iter().map(|(name, about)| {
            let header = json!({"description": about, "schema": {"type": "string"}});
            ((*name).to_owned(), header)
        });
        value["headers"] = Value::Object(headers.collect());
    }
    value
}

fn media_type(content: &Content, schema: impl FnOnce(Make) -> Value) -> Value {
    match content {
        Content::Json(make) => json!({"schema": schema(*make)}),
        Content::Text => json!({"schema": {"type": "string"}}),
        // OpenAPI 3.1 knows plain bytes by the media type alone.
        Content::Bytes => json!({}),
    }
}

/// References to schemas under their new names.
fn rename(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                match (key.as_str(), field.as_str()) {
                    ("$ref", Some(target)) => {
                        let name = target.rsplit('/').next().unwrap_or_default();
                        if let Some(new) = names.get(name) {
                            *field = format!("#{SCHEMAS}/{new}").into();
                        }
                    }
                    _ => rename(field, names),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, names)),
        _ => {}
    }
}

/// As [`crate::Problem`] is told.
fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "An error in the form of RFC 9457.",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string", "description": "about:blank: `status` and `code` say what kind it is."},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What is wrong, for people, with the way out."},
            "code": {
                "type": "string",
                "description": "What a program decides on.",
                "enum": crate::Code::ALL.map(crate::Code::name),
            },
            "key": {"type": "string", "description": "The key, parameter or header at fault."},
        },
    })
}
