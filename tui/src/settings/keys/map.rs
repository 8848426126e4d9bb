//! The keys in force: those of the table, and those that `config.toml` puts in their place.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{BINDINGS, Binding, Key, Scope};

/// One or more ways to press what is bound, as `config.toml` writes them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Keys {
    One(String),
    Several(Vec<String>),
}

/// A binding with its keys; each way to press it is a sequence of one key or more.
#[derive(Debug)]
pub struct Bound {
    pub binding: &'static Binding,
    pub sequences: Vec<Vec<Key>>,
}

#[derive(Debug)]
pub struct Keymap(Vec<Bound>);

/// What keys that were pressed one after the other stand for.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    Binding(&'static Binding),
    /// More must follow.
    Prefix,
    Nothing,
}

impl Default for Keymap {
    fn default() -> Self {
        let bound = |binding: &'static Binding| Bound {
            binding,
            // The tests read all of them.
            sequences: binding
                .keys
                .iter()
                .filter_map(|text| parse(text).ok())
                .collect(),
        };
        Self(BINDINGS.iter().map(bound).collect())
    }
}

impl Keymap {
    /// The keys of the table, but for those that are changed.
    ///
    /// # Errors
    /// What is wrong with the changes, in a sentence.
    pub fn with(changes: &BTreeMap<String, Keys>) -> Result<Self, String> {
        let mut map = Self::default();
        for (name, keys) in changes {
            let bound = map.0.iter_mut().find(|bound| bound.binding.name == name);
            let bound = bound.ok_or_else(|| unknown(name))?;
            let written = match keys {
                Keys::One(key) => std::slice::from_ref(key),
                Keys::Several(keys) => keys.as_slice(),
            };
            let sequences = written.iter().map(|text| parse(text));
            bound.sequences = sequences
                .collect::<Result<_, String>>()
                .map_err(|error| format!("[keys] {name}: {error}"))?;
        }
        map.check()?;
        Ok(map)
    }

    /// What these keys mean in that place.
    pub fn find(&self, scope: Scope, pressed: &[Key]) -> Found {
        let mut is_prefix = false;
        for bound in self.bound(scope) {
            for sequence in &bound.sequences {
                if sequence == pressed {
                    return Found::Binding(bound.binding);
                }
                is_prefix |= sequence.starts_with(pressed);
            }
        }
        if is_prefix {
            Found::Prefix
        } else {
            Found::Nothing
        }
    }

    /// The bindings of a place, in the order of the table.
    pub fn bound(&self, scope: Scope) -> impl Iterator<Item = &Bound> {
        self.0
            .iter()
            .filter(move |bound| bound.binding.scopes.contains(&scope))
    }

    /// The keys of a binding in words, the first of them or all; empty where none is left.
    pub fn shown(&self, name: &str) -> String {
        let bound = self.0.iter().find(|bound| bound.binding.name == name);
        bound.and_then(Bound::first).unwrap_or_default()
    }

    /// No keys may mean two things in one place, and none may wait behind others for ever.
    fn check(&self) -> Result<(), String> {
        for scope in Scope::ALL {
            let mut seen: Vec<(&[Key], &str)> = Vec::new();
            for bound in self.bound(*scope) {
                let name = bound.binding.name;
                for sequence in &bound.sequences {
                    let clash = seen.iter().find(|(other, _)| {
                        other.starts_with(sequence) || sequence.starts_with(other)
                    });
                    if let Some((_, other)) = clash {
                        let keys = words(sequence);
                        return Err(format!(
                            "[keys] `{keys}` is bound to both {other} and {name}"
                        ));
                    }
                    let typed = sequence.first().is_some_and(|key| key.is_typed());
                    if typed && scope.is_typed_into() && !bound.binding.is_between_letters {
                        return Err(format!(
                            "[keys] {name}: letters are typed there; use a key with ctrl- or alt-"
                        ));
                    }
                    seen.push((sequence, name));
                }
            }
        }
        Ok(())
    }
}

impl Bound {
    /// The first way to press it.
    pub fn first(&self) -> Option<String> {
        self.sequences.first().map(|sequence| words(sequence))
    }

    /// All ways.
    pub fn all(&self) -> String {
        let all: Vec<String> = self
            .sequences
            .iter()
            .map(|sequence| words(sequence))
            .collect();
        all.join("  ")
    }
}

/// A sequence as it is shown: `y c`.
pub(crate) fn words(sequence: &[Key]) -> String {
    let keys: Vec<String> = sequence.iter().map(Key::to_string).collect();
    keys.join(" ")
}

fn parse(text: &str) -> Result<Vec<Key>, String> {
    let keys: Vec<Key> = text.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    Ok(keys)
}

fn unknown(name: &str) -> String {
    let names = BINDINGS.iter().map(|binding| binding.name);
    match nearest(name, names) {
        Some(known) => format!("[keys] there is no `{name}`; did you mean `{known}`?"),
        None => format!("[keys] there is no `{name}`; `stockroom keys` prints them all"),
    }
}

/// The name that is most like one that is not known.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|known| (strsim::jaro_winkler(name, known), known));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score > 0.7)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::keys::Command;

    fn changed(name: &str, keys: &str) -> Result<Keymap, String> {
        Keymap::with(&BTreeMap::from([(
            name.to_owned(),
            Keys::One(keys.to_owned()),
        )]))
    }

    #[test]
    fn the_table_is_sound() {
        let map = Keymap::default();
        map.check().unwrap();
        let mut names: Vec<&str> = BINDINGS.iter().map(|binding| binding.name).collect();
        for bound in &map.0 {
            let binding = bound.binding;
            assert_eq!(
                bound.sequences.len(),
                binding.keys.len(),
                "{}",
                binding.name
            );
            assert!(!binding.keys.is_empty(), "{} has no key", binding.name);
            assert!(!binding.help.is_empty(), "{} has no help", binding.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BINDINGS.len(), "a name stands twice");
    }

    #[test]
    fn every_command_is_bound() {
        use strum::IntoEnumIterator as _;

        for command in Command::iter() {
            let is_bound = BINDINGS.iter().any(|binding| {
                std::mem::discriminant(&binding.command) == std::mem::discriminant(&command)
            });
            assert!(is_bound, "{command:?} has no key");
        }
    }

    #[test]
    fn a_key_can_be_changed() {
        let map = changed("delete", "ctrl-d").unwrap();
        let press = |text: &str| map.find(Scope::List, &[text.parse().unwrap()]);
        assert!(matches!(press("d"), Found::Nothing));
        assert!(matches!(press("ctrl-d"), Found::Binding(found) if found.name == "delete"));
    }

    #[test]
    fn what_is_wrong_with_a_change_is_told() {
        let error = |name, keys| changed(name, keys).unwrap_err();
        assert_eq!(
            error("delte", "x"),
            "[keys] there is no `delte`; is `delete` meant?"
        );
        assert_eq!(
            error("delete", "e"),
            "[keys] `e` stands for both edit and delete"
        );
        assert!(error("delete", "hyper-x").starts_with("[keys] delete: `hyper-x` is no key"));
        assert!(error("form-save", "s").contains("letters are typed there"));
    }
}
