//! Lists of which a part of each entry is wanted: `fields=job,state`.

use crate::problem::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Bytes of a query's list of names.
const MOST: usize = 1000;

/// Names of fields, with commas between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(Vec<String>);

impl Fields {
    /// Refuses names that none of the known ones is.
    pub fn check(&self, known: &[String]) -> Result<(), Problem> {
        match self.0.iter().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => {
                let known = known.join(", ");
                let message = format!("`{name}` is no field of the entries (there are {known})");
                Err(Problem::invalid("fields", message))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        let text = String::deserialize(deserializer)?;
        let names: Vec<String> = text.split(',').map(str::to_owned).collect();
        let sound = |name: &String| {
            let mut letters = name.bytes();
            !name.is_empty() && letters.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        match text.len() <= MOST && names.iter().all(sound) {
            true => Ok(Fields(names)),
            false => Err(D::Error::custom(
                "expected names of fields with commas between, such as job,state",
            )),
        }
    }
}

impl JsonSchema for Fields {
    fn schema_name() -> Cow<'static, str> {
        "Fields".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9A-Za-z_]+(,[0-9A-Za-z_]+)*$", "maxLength": MOST})
    }
}

/// The names of a type's fields, as its description has them.
pub fn names<T: JsonSchema>() -> Vec<String> {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut generator = settings
        .with(|s| s.inline_subschemas = true)
        .into_generator();
    let schema = generator.subschema_for::<T>();
    let fields = schema.get("properties").and_then(Value::as_object);
    fields.map_or_else(Vec::new, |fields| fields.keys().cloned().collect())
}

/// An entry of a list, whole or with some of its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<T> {
    /// All of it.
    Whole(T),
    /// What was asked for.
    Some(Map<String, Value>),
}

impl<T: Serialize> Part<T> {
    /// What is wanted of an entry.
    pub fn of(entry: T, fields: Option<&Fields>) -> Result<Part<T>, Problem> {
        let Some(Fields(wanted)) = fields else {
            return Ok(Part::Whole(entry));
        };
        let value = serde_json::to_value(&entry).map_err(|error| Problem::internal(&error))?;
        let mut some = Map::new();
        if let Value::Object(all) = value {
            some.extend(all.into_iter().filter(|(name, _)| wanted.contains(name)));
        }
        Ok(Part::Some(some))
    }
}

/// What is wanted of each entry; names that its type does not have are refused.
pub fn parts<T: Serialize + JsonSchema>(
    entries: Vec<T>,
    fields: Option<&Fields>,
) -> Result<Vec<Part<T>>, Problem> {
    if let Some(fields) = fields {
        fields.check(&names::<T>())?;
    }
    let parts = entries.into_iter().map(|entry| Part::of(entry, fields));
    parts.collect()
}

impl<T: Serialize> Serialize for Part<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Part::Whole(entry) => entry.serialize(serializer),
            Part::Some(fields) => fields.serialize(serializer),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Part<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Part", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        // Whatever was not asked for is left out.
        schema.remove("required");
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Clone, Serialize, JsonSchema)]
    struct Entry {
        job: String,
        state: u8,
    }

    #[test]
    fn entries_have_the_fields_that_are_asked_for() {
        let entry = || Entry {
            job: "a".into(),
            state: 3,
        };
        let fields = |text: &str| serde_json::from_value::<Fields>(json!(text));
        let told = |text: &str| {
            let fields = fields(text).unwrap();
            let parts = parts(vec![entry()], Some(&fields));
            parts.map(|parts| serde_json::to_value(parts).unwrap())
        };
        assert_eq!(told("state").unwrap(), json!([{"state": 3}]));
        assert_eq!(
            told("state,job").unwrap(),
            json!([{"job": "a", "state": 3}])
        );
        let whole = parts(vec![entry()], None).unwrap();
        assert_eq!(
            serde_json::to_value(whole).unwrap(),
            json!([{"job": "a", "state": 3}])
        );
        assert_eq!(told("job,stat").unwrap_err().key(), Some("fields"));
        for wrong in ["", "job,", ",job", "job state", "jób"] {
            assert!(fields(wrong).is_err(), "{wrong}");
        }
        let schema = schemars::schema_for!(Part<Entry>);
        assert!(schema.get("required").is_none() && schema.get("properties").is_some());
    }
}
