//! The parameters of a query string. Each may occur only once, and unknown ones are refused.

use axum::{extract::FromRequestParts, http::request::Parts};
use stockroom_common::{Count, FieldError, Kind, Resource, check, page};

use crate::http::error::{Error, Result};

/// Maximum length of a file name, in bytes.
const MAX_NAME: usize = 255;

/// The parameters of a query string. Handlers take them out one by one.
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

impl Parameters {
    pub(crate) fn read(query: &str) -> Result<Self> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| Error::refused(Kind::Unreadable, "The query string cannot be read."))?;
        for (index, (name, _)) in pairs.iter().enumerate() {
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(unreadable(name, "repeated", "is given more than once"));
            }
        }
        Ok(Self(pairs))
    }

    /// The query of a page in canonical form, without its position, so that equal queries give equal text.
    pub(crate) fn canonical<E: Resource>(&self) -> String {
        let default_limit = page::DEFAULT_LIMIT.to_string();
        let is_default = |name: &str, value: &str| match name {
            // They give the position of the page, which is not part of the query.
            "cursor" | "seek" => true,
            "limit" => value == default_limit,
            "sort" => value == E::DEFAULT_SORT,
            "count" => value.is_empty() || value == Count::None.to_string(),
            "q" => value.is_empty(),
            _ => false,
        };
        let mut pairs: Vec<&(String, String)> = self.0.iter().collect();
        pairs.retain(|(name, value)| !is_default(name, value));
        pairs.sort();
        serde_urlencoded::to_string(pairs).unwrap_or_default()
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(index).1)
    }

    /// Takes a parameter that must have one of the `known` values. If it is absent, the first of them applies.
    pub(crate) fn one_of<T: Copy>(&mut self, name: &str, known: &[(&str, T)]) -> Result<T> {
        let given = self.take(name);
        let found = match given.as_deref() {
            None => known.first(),
            Some(text) => known.iter().find(|(value, _)| *value == text),
        };
        found.map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = known.iter().map(|(value, _)| *value).collect();
            let given = given.unwrap_or_default();
            let message = format!("is `{given}`; it may be {}", known.join(" or "));
            unreadable(name, "unknown_value", message)
        })
    }

    /// Takes the `name` parameter, which must be a file name without a folder.
    pub(crate) fn file_name(&mut self) -> Result<Option<String>> {
        let name = self.take("name").filter(|name| !name.is_empty());
        match &name {
            Some(name) if name.len() > MAX_NAME => {
                let message = format!("has {} bytes; at most {MAX_NAME} are allowed", name.len());
                Err(unreadable("name", "too_long", message))
            }
            Some(name) if name.contains('/') => {
                let message = "must be a file name without a folder";
                Err(unreadable("name", "invalid_text", message))
            }
            Some(name) if name.chars().any(check::is_disruptive) => {
                let message = "has an invisible character; remove it";
                Err(unreadable("name", "invalid_text", message))
            }
            _ => Ok(name),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The remaining parameters in URL encoding.
    pub(crate) fn encoded(&self) -> String {
        serde_urlencoded::to_string(&self.0).unwrap_or_default()
    }

    /// Takes the parameters whose names are in `names`, in the order of `names`.
    pub(crate) fn take_all(&mut self, names: &[&'static str]) -> Vec<(&'static str, String)> {
        let taken = names.iter().map(|name| Some((*name, self.take(name)?)));
        taken.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    /// Refuses remaining parameters that are not in `known`.
    pub(crate) fn refuse_rest(&self, known: &[&str]) -> Result<()> {
        let mut names = self.0.iter();
        match names.find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let message = match known {
                    [] => "is not a parameter of this path; leave it out".to_owned(),
                    known => format!(
                        "is not a parameter of this path; it takes {}",
                        known.join(", ")
                    ),
                };
                Err(unreadable(name, "unknown_parameter", message))
            }
        }
    }
}

/// A refusal of a query parameter: 400.
pub(crate) fn unreadable(name: &str, code: &str, message: impl Into<String>) -> Error {
    let error = FieldError::new(format!("?{name}"), code, message);
    Error::fields(Kind::Unreadable, vec![error])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use stockroom_common::Product;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_parameter_is_read_as_it_was_encoded(
            pairs in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..8),
        ) {
            let encoded = serde_urlencoded::to_string(&pairs).unwrap();
            let mut parameters = Parameters::read(&encoded).unwrap();
            let taken: BTreeMap<String, String> = pairs
                .keys()
                .map(|name| (name.clone(), parameters.take(name).unwrap()))
                .collect();
            prop_assert_eq!(&taken, &pairs);
            prop_assert!(parameters.refuse_rest(&[]).is_ok());
        }

        #[test]
        fn the_order_of_parameters_makes_no_other_query(
            pairs in proptest::collection::btree_map("[a-z&=% ]{1,9}", any::<String>(), 0..8),
        ) {
            let mut pairs: Vec<_> = pairs.into_iter().collect();
            let canonical = |pairs: &[(String, String)]| {
                let encoded = serde_urlencoded::to_string(pairs).unwrap();
                Parameters::read(&encoded).unwrap().canonical::<Product>()
            };
            let once = canonical(&pairs);
            pairs.reverse();
            prop_assert_eq!(canonical(&pairs), once.clone());
            prop_assert_eq!(Parameters::read(&once).unwrap().canonical::<Product>(), once);
        }

        #[test]
        fn no_query_is_misread_twice(query in any::<String>()) {
            if let Ok(parameters) = Parameters::read(&query) {
                let again = Parameters::read(&parameters.encoded()).unwrap();
                prop_assert_eq!(again.0, parameters.0);
            }
        }
    }
}
