//! The JSON Schema of config.json, for editors.

use super::keys::{KEYS, Key, Kind};
use serde_json::{Map, Value, json};

/// The JSON Schema (draft 2020-12) of config.json. It finds what an editor can find; `oauth2ctl config validate` finds more.
#[must_use]
pub fn schema() -> Value {
    let mut schema = object(&KEYS);
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".into(), "/etc/pam_oauth2_device/config.json".into());
    schema.insert("required".into(), json!(["client_id"]));
    schema.into()
}

impl Key {
    /// The key's own JSON Schema.
    fn schema(&self) -> Value {
        let mut schema = self.kind.schema();
        // Null counts as absent (the earlier modules' example has nulls), but for who may come in.
        if let Some(Value::String(one)) = schema.get("type").cloned() {
            let may_be_null = !matches!(self.kind, Kind::Guard);
            schema.insert("type".into(), if may_be_null { json!([one, "null"]) } else { one.into() });
        }
        if let (true, Some(Value::Array(words))) = (schema.contains_key("enum"), schema.get_mut("enum")) {
            words.push(Value::Null);
        }
        schema.insert("description".into(), self.about.into());
        if let Some(default) = self.fixed_default() {
            schema.insert("default".into(), default);
        }
        schema.into()
    }
}

impl Kind {
    fn schema(self) -> Map<String, Value> {
        let value = match self {
            Self::Text | Self::Secret => json!({"type": "string", "minLength": 1}),
            Self::Url => json!({"type": "string", "pattern": "^https?://"}),
            Self::Path => json!({"type": "string", "pattern": "^/"}),
            Self::Octal => json!({"type": "string", "pattern": "^[0-7]{1,4}$"}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Number(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
            Self::Words(words) => json!({"enum": words}),
            Self::List | Self::Guard => json!({"type": "array", "items": {"type": "string", "minLength": 1}}),
            Self::Pair => {
                json!({"type": "array", "items": {"type": "integer", "minimum": 1000}, "minItems": 2, "maxItems": 2})
            }
            Self::Texts => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Self::Ids => {
                json!({"type": "object", "additionalProperties": {"type": "integer", "minimum": 1000}})
            }
            Self::Tenants => json!({"anyOf": [
                {"type": "array", "items": {"type": "string"}},
                {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
            ]}),
            Self::Object(keys) => return object(keys),
        };
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

fn object(keys: &[Key]) -> Map<String, Value> {
    let properties: Map<String, Value> = keys.iter().map(|key| (key.name.to_owned(), key.schema())).collect();
    let members = [
        ("type", "object".into()),
        ("properties", properties.into()),
        ("patternProperties", json!({"^_": {"description": "A comment"}})),
        ("additionalProperties", false.into()),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
