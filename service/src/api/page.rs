//! The description as a page to read: plain HTML, without a script.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Its style, which a policy admits by its hash.
pub const STYLE: &str = include_str!("page.css");

/// The page of a document of [`super::document()`].
pub fn page(document: &Value) -> String {
    let title = text(&document["info"]["title"]);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    for paragraph in plain(&document["info"]["description"]).split("\n\n") {
        let _ = writeln!(html, "<p>{}</p>", inline(paragraph));
    }
    html.push_str("<p>For programs: <a href=\"openapi.json\">openapi.json</a></p>\n");
    let groups = groups(document);
    html.push_str("<nav aria-label=\"Operations\">\n");
    for (tag, operations) in &groups {
        let _ = write!(html, "<h2>{}</h2>\n<ul>\n", escape(tag));
        for (path, method, operation) in operations {
            let _ = writeln!(
                html,
                "<li><a href=\"#{}\"><code>{} {}</code></a> {}</li>",
                text(&operation["operationId"]),
                escape(&method.to_ascii_uppercase()),
                escape(path),
                text(&operation["summary"])
            );
        }
        html.push_str("</ul>\n");
    }
    html.push_str("</nav>\n");
    for (path, method, operation) in groups.values().flatten() {
        section(&mut html, path, method, operation);
    }
    html.push_str("<h2>Types</h2>\n");
    let schemas = document["components"]["schemas"].as_object();
    for (name, schema) in schemas.into_iter().flatten() {
        let name = escape(name);
        let _ = write!(html, "<section id=\"type-{name}\">\n<h3>{name}</h3>\n");
        if let Some(about) = schema["description"].as_str() {
            let _ = writeln!(html, "<p>{}</p>", inline(about));
        }
        fields(&mut html, schema);
        html.push_str("</section>\n");
    }
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

type Group<'a> = Vec<(&'a String, &'a String, &'a Value)>;

fn groups(document: &Value) -> BTreeMap<String, Group<'_>> {
    let mut groups: BTreeMap<String, Group<'_>> = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let tag = plain(&operation["tags"][0]).to_owned();
            groups
                .entry(tag)
                .or_default()
                .push((path, method, operation));
        }
    }
    groups
}

fn section(html: &mut String, path: &str, method: &str, operation: &Value) {
    let _ = write!(
        html,
        "<section id=\"{}\">\n<h3><code>{} {}</code></h3>\n<p>{}. {}</p>\n",
        text(&operation["operationId"]),
        escape(&method.to_ascii_uppercase()),
        escape(path),
        inline(plain(&operation["summary"])),
        inline(plain(&operation["description"]))
    );
    if let Some(parameters) = operation["parameters"].as_array() {
        html.push_str("<table><caption>Parameters</caption>\n");
        for parameter in parameters {
            let must = match parameter["required"].as_bool() {
                Some(true) => ", required",
                _ => "",
            };
            let _ = writeln!(
                html,
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}{must}</td><td>{}</td><td>{}</td></tr>",
                text(&parameter["name"]),
                text(&parameter["in"]),
                kind(&parameter["schema"]),
                inline(plain(&parameter["description"]))
            );
        }
        html.push_str("</table>\n");
    }
    for (media, body) in operation["requestBody"]["content"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let _ = writeln!(
            html,
            "<p>Body: <code>{}</code> {}</p>",
            escape(media),
            kind(&body["schema"])
        );
        if !body["example"].is_null() {
            let example = serde_json::to_string_pretty(&body["example"]).unwrap_or_default();
            let _ = writeln!(html, "<pre>{}</pre>", escape(&example));
        }
    }
    html.push_str("<table><caption>Answers</caption>\n");
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let content = answer["content"].as_object();
        let content = content.and_then(|content| content.iter().next());
        let shape = content.map_or_else(String::new, |(media, body)| {
            format!("<code>{}</code> {}", escape(media), kind(&body["schema"]))
        });
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{shape}</td></tr>",
            escape(status),
            inline(plain(&answer["description"]))
        );
    }
    html.push_str("</table>\n</section>\n");
}

fn fields(html: &mut String, schema: &Value) {
    let Some(fields) = schema["properties"].as_object() else {
        let _ = writeln!(html, "<p>{}</p>", kind(schema));
        return;
    };
    let none = Vec::new();
    let required = schema["required"].as_array().unwrap_or(&none);
    html.push_str("<table>\n");
    for (name, field) in fields {
        let must = match required.iter().any(|known| known == name) {
            true => ", always there",
            false => "",
        };
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\"><code>{}</code></th><td>{}{must}</td><td>{}</td></tr>",
            escape(name),
            kind(field),
            inline(plain(&field["description"]))
        );
    }
    html.push_str("</table>\n");
}

/// A schema in a few words; named types are links.
fn kind(schema: &Value) -> String {
    let Some(schema) = schema.as_object() else {
        return String::new();
    };
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let name = escape(target.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#type-{name}\">{name}</a>");
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(choices) = schema.get(choice).and_then(Value::as_array) {
            let choices: Vec<String> = choices.iter().map(kind).filter(|k| !k.is_empty()).collect();
            return choices.join(" or ");
        }
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values
            .iter()
            .map(|value| format!("<code>{}</code>", escape(&value.to_string())))
            .collect();
        return values.join(" or ");
    }
    if let Some(value) = schema.get("const") {
        return format!("<code>{}</code>", escape(&value.to_string()));
    }
    let names = match schema.get("type") {
        Some(Value::String(one)) => one.clone(),
        Some(Value::Array(many)) => {
            let many: Vec<&str> = many.iter().filter_map(Value::as_str).collect();
            many.join(" or ")
        }
        _ => String::new(),
    };
    let mut said = escape(&names);
    if let Some(items) = schema.get("items") {
        let _ = write!(said, " of {}", kind(items));
    }
    said.push_str(&bounds(schema));
    said
}

fn bounds(schema: &Map<String, Value>) -> String {
    let bound = |key: &str| schema.get(key).map(Value::to_string);
    match (bound("minimum"), bound("maximum")) {
        (Some(low), Some(high)) => format!(", {} to {}", escape(&low), escape(&high)),
        (Some(low), None) => format!(", {} or more", escape(&low)),
        (None, Some(high)) => format!(", at most {}", escape(&high)),
        (None, None) => String::new(),
    }
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn text(value: &Value) -> String {
    escape(plain(value))
}

/// Text with what stands between backticks as code.
fn inline(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(n, part)| match n % 2 {
        0 => escape(part),
        _ => format!("<code>{}</code>", escape(part)),
    });
    parts.collect()
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
