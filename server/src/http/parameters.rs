//! The parameters of a query string: each stands once, and none is passed over.

use stockroom_common::{Count, FieldError, Kind, Resource, check, page};

use crate::http::error::{Error, Result};

/// Bytes that the name of a file may have.
const MAX_NAME: usize = 255;

/// The parameters of a query string, taken out one by one.
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn read(query: &str) -> Result<Self> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| Error::refused(Kind::Unreadable, "The query string cannot be read."))?;
        for (index, (name, _)) in pairs.iter().enumerate() {
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(unreadable(name, "repeated", "stands more than once"));
            }
        }
        Ok(Self(pairs))
    }

    /// What a page is asked for with, beside its cursor, in the one way that all equal queries share.
    pub(crate) fn canonical<E: Resource>(&self) -> String {
        let default_limit = page::DEFAULT_LIMIT.to_string();
        let goes_without_saying = |name: &str, value: &str| match name {
            // They say where the page begins, which is told apart.
            "cursor" | "seek" => true,
            "limit" => value == default_limit,
            "sort" => value == E::DEFAULT_SORT,
            "count" => value.is_empty() || value == Count::None.to_string(),
            "q" => value.is_empty(),
            _ => false,
        };
        let mut pairs: Vec<&(String, String)> = self.0.iter().collect();
        pairs.retain(|(name, value)| !goes_without_saying(name, value));
        pairs.sort();
        serde_urlencoded::to_string(pairs).unwrap_or_default()
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(index).1)
    }

    /// Takes one of the values that a parameter may have, the first where it is absent.
    pub(crate) fn one_of<T: Copy>(&mut self, name: &str, known: &[(&str, T)]) -> Result<T> {
        let told = self.take(name);
        let found = match told.as_deref() {
            None => known.first(),
            Some(text) => known.iter().find(|(value, _)| *value == text),
        };
        found.map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = known.iter().map(|(value, _)| *value).collect();
            let told = told.unwrap_or_default();
            let message = format!("is `{told}`; it may be {}", known.join(" or "));
            unreadable(name, "unknown_value", message)
        })
    }

    /// Takes what the caller calls a file.
    pub(crate) fn file_name(&mut self) -> Result<Option<String>> {
        let name = self.take("name").filter(|name| !name.is_empty());
        match &name {
            Some(name) if name.len() > MAX_NAME => {
                let message = format!("has {} bytes; at most {MAX_NAME} are allowed", name.len());
                Err(unreadable("name", "too_long", message))
            }
            Some(name) if name.contains('/') => {
                let message = "is the name of a file alone, without its folder";
                Err(unreadable("name", "invalid_text", message))
            }
            Some(name) if name.chars().any(check::is_disruptive) => {
                let message = "holds a character that cannot be seen; leave it out";
                Err(unreadable("name", "invalid_text", message))
            }
            _ => Ok(name),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// What is left, as it stands in a URL.
    pub(crate) fn encoded(&self) -> String {
        serde_urlencoded::to_string(&self.0).unwrap_or_default()
    }

    /// Takes those of the names that are there, in the order of the names.
    pub(crate) fn take_all(&mut self, names: &[&'static str]) -> Vec<(&'static str, String)> {
        let taken = names.iter().map(|name| Some((*name, self.take(name)?)));
        taken.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    /// Refuses what is left and not known here.
    pub(crate) fn refuse_rest(&self, known: &[&str]) -> Result<()> {
        let mut names = self.0.iter();
        match names.find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let message = match known {
                    [] => "is not known here; leave it out".to_owned(),
                    known => format!("is not known here; known are {}", known.join(", ")),
                };
                Err(unreadable(name, "unknown_parameter", message))
            }
        }
    }
}

/// A refusal of what a query parameter says.
pub(crate) fn unreadable(name: &str, code: &str, message: impl Into<String>) -> Error {
    let error = FieldError::new(format!("?{name}"), code, message);
    Error::fields(Kind::Unreadable, vec![error])
}
