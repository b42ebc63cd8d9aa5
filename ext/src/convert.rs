//! Plain data over the boundary: nil, booleans, numbers, strings, arrays and symbol-keyed hashes, as `serde_json::Value` on this
//! side. Claims, the one thing on the hot path, are built directly.

use good_job_core::outcome::{Outcome, SUCCEEDED};
use good_job_core::runtime::Taken;
use magnus::prelude::*;
use magnus::value::LazyId;
use magnus::{Error, Float, Integer, IntoValue, RArray, RHash, RString, Ruby, Symbol, TryConvert, Value};
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::{Map, Number, Value as Json};

use crate::errors;

/// Deepest nesting that is read: a hash that holds itself must not end the process.
const DEPTH_MAX: usize = 16;

/// Reads a hash into a type whose fields are its keys.
///
/// # Errors
/// ArgumentError that names the key or value that does not fit.
pub(crate) fn from_ruby<T: DeserializeOwned>(ruby: &Ruby, value: Value, what: &str) -> Result<T, Error> {
    let json = json_from_ruby(ruby, value, DEPTH_MAX)?;
    serde_path_to_error::deserialize(json).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        // An unknown or missing key is named by the error itself, and has no place of its own.
        let place = if path == "." { String::new() } else { format!(" {path}:") };
        errors::invalid(ruby, format!("{what}:{place} {error}"))
    })
}

/// Gives a value to Ruby.
///
/// # Errors
/// Ruby has no memory for it.
pub(crate) fn to_ruby(ruby: &Ruby, value: &impl Serialize) -> Result<Value, Error> {
    let json = serde_json::to_value(value).map_err(|error| errors::invalid(ruby, error.to_string()))?;
    json_to_ruby(ruby, &json)
}

fn json_from_ruby(ruby: &Ruby, value: Value, depth: usize) -> Result<Json, Error> {
    if value.is_nil() {
        return Ok(Json::Null);
    }
    if let Some(string) = RString::from_value(value) {
        return text(string).map(Json::String);
    }
    if let Some(integer) = Integer::from_value(value) {
        return integer.to_i64().map(|number| Json::Number(number.into()));
    }
    if let Some(flag) = boolean(ruby, value) {
        return Ok(Json::Bool(flag));
    }
    if let Some(float) = Float::from_value(value) {
        let number = Number::from_f64(float.to_f64());
        return number.map(Json::Number).ok_or_else(|| errors::invalid(ruby, "NaN and Infinity cannot cross the boundary"));
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Err(errors::invalid(ruby, format!("a value nested deeper than {DEPTH_MAX} levels cannot cross the boundary")));
    };
    if let Some(array) = RArray::from_value(value) {
        return array.into_iter().map(|item| json_from_ruby(ruby, item, depth)).collect::<Result<_, _>>().map(Json::Array);
    }
    if let Some(hash) = RHash::from_value(value) {
        let mut map = Map::new();
        hash.foreach(|key: Value, value: Value| {
            let key = Symbol::from_value(key).ok_or_else(|| errors::invalid(ruby, format!("keys must be symbols; {key:?} is none")))?;
            map.insert(key.name()?.into_owned(), json_from_ruby(ruby, value, depth)?);
            Ok(magnus::r_hash::ForEach::Continue)
        })?;
        return Ok(Json::Object(map));
    }
    let class = value.class().to_string();
    Err(errors::invalid(
        ruby,
        format!("a {class} cannot cross the boundary: only nil, booleans, numbers, strings, arrays and symbol-keyed hashes"),
    ))
}

fn boolean(ruby: &Ruby, value: Value) -> Option<bool> {
    let is_boolean = value.is_kind_of(ruby.class_true_class()) || value.is_kind_of(ruby.class_false_class());
    is_boolean.then(|| value.to_bool())
}

/// A string's text. Whatever is not valid UTF-8 becomes the replacement character: an error message may hold anything.
fn text(string: RString) -> Result<String, Error> {
    string.to_string().or_else(|_| {
        let bytes: Vec<u8> = string.funcall("bytes", ())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    })
}

fn json_to_ruby(ruby: &Ruby, json: &Json) -> Result<Value, Error> {
    Ok(match json {
        Json::Null => ruby.qnil().as_value(),
        Json::Bool(flag) => flag.into_value_with(ruby),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => integer.into_value_with(ruby),
            None => number.as_f64().into_value_with(ruby),
        },
        Json::String(string) => ruby.str_new(string).as_value(),
        Json::Array(items) => {
            let array = ruby.ary_new_capa(items.len());
            items.iter().try_for_each(|item| array.push(json_to_ruby(ruby, item)?))?;
            array.as_value()
        }
        Json::Object(map) => {
            let hash = ruby.hash_new();
            map.iter().try_for_each(|(key, value)| hash.aset(ruby.to_symbol(key), json_to_ruby(ruby, value)?))?;
            hash.as_value()
        }
    })
}

macro_rules! keys {
    ($($constant:ident = $name:literal),* $(,)?) => { $(static $constant: LazyId = LazyId::new($name);)* };
}

keys!(
    LEASE = "lease",
    ID = "id",
    SERIALIZED_PARAMS = "serialized_params",
    CONCURRENCY_KEY = "concurrency_key",
    LABELS = "labels",
    INTERRUPTED_AT = "interrupted_at",
    STAMPED = "stamped",
    STAMP_FIRST = "stamp_first",
    STATE = "state",
    PRESERVE = "preserve",
);

/// A claim as Ruby gets it. What is not there is left out: most jobs have none of it, and a small hash is a cheap one.
///
/// # Errors
/// Ruby has no memory for it.
pub(crate) fn claim(ruby: &Ruby, taken: &Taken) -> Result<RHash, Error> {
    let hash = ruby.hash_new();
    hash.aset(*LEASE, taken.number)?;
    hash.aset(*ID, taken.job_id.hyphenated().encode_lower(&mut [0; 36]) as &str)?;
    hash.aset(*SERIALIZED_PARAMS, taken.serialized_params.as_deref())?;
    if taken.stamped {
        hash.aset(*STAMPED, true)?;
    }
    if taken.stamp_first {
        hash.aset(*STAMP_FIRST, true)?;
    }
    if let Some(at) = taken.interrupted_at {
        hash.aset(*INTERRUPTED_AT, at.0)?;
    }
    if let Some(key) = &taken.concurrency_key {
        hash.aset(*CONCURRENCY_KEY, key.as_str())?;
    }
    if let Some(labels) = &taken.labels {
        hash.aset(*LABELS, labels.clone())?;
    }
    Ok(hash)
}

/// The outcome that nearly all runs have, read without a detour; `None` for every other, and for whatever is not an outcome at all.
pub(crate) fn plain_success(ruby: &Ruby, outcome: Value) -> Option<Outcome> {
    let hash = RHash::from_value(outcome).filter(|hash| hash.len() == 2)?;
    let state = RString::from_value(hash.get(*STATE)?)?;
    let preserve = boolean(ruby, hash.get(*PRESERVE)?)?;
    (state.len() == SUCCEEDED.len() && state.to_string().ok()? == SUCCEEDED).then_some(Outcome::Finished { failure: None, preserve })
}

/// A non-negative number of µs, or nil.
///
/// # Errors
/// ArgumentError that names the argument.
pub(crate) fn optional_micros(ruby: &Ruby, value: Value, what: &str) -> Result<Option<std::time::Duration>, Error> {
    let micros: Option<i64> = TryConvert::try_convert(value)?;
    micros
        .map(|micros| match u64::try_from(micros) {
            Ok(micros) => Ok(std::time::Duration::from_micros(micros)),
            Err(_) => Err(errors::invalid(ruby, format!("{what} must be nil or a number of µs from 0 on; it is {micros}"))),
        })
        .transpose()
}
