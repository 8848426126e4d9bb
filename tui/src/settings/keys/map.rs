//! The key bindings in use: the defaults from the table, with the changes from `config.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{BINDINGS, Binding, Command, Key, RENAMED, Scope};
use crate::model::tab::Tab;

/// One or more key sequences for a binding, as `config.toml` contains them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Keys {
    One(String),
    Several(Vec<String>),
}

/// A binding with its key sequences, each of one or more keys.
#[derive(Debug)]
pub struct Bound {
    pub binding: &'static Binding,
    pub sequences: Vec<Vec<Key>>,
}

#[derive(Debug)]
pub struct Keymap(Vec<Bound>);

/// What a sequence of pressed keys means.
#[derive(Clone, Copy, Debug)]
pub enum KeyMatch {
    Binding(&'static Binding),
    /// The start of a longer sequence.
    Prefix,
    Nothing,
}

impl Default for Keymap {
    fn default() -> Self {
        let bound = |binding: &'static Binding| Bound {
            binding,
            // A test ensures that all default keys can be parsed.
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
    /// The default key bindings, with these changes applied. A change replaces all keys of its binding.
    ///
    /// # Errors
    /// If a change is invalid: a message for the user.
    pub fn with(changes: &BTreeMap<String, Keys>) -> Result<Self, String> {
        let mut map = Self::default();
        for (name, keys) in changes {
            let renamed = RENAMED.iter().find(|(former, _)| former == name);
            let name = renamed.map_or(name.as_str(), |(_, now)| now);
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

    /// Looks up the pressed keys in a scope.
    pub fn find(&self, scope: Scope, pressed: &[Key]) -> KeyMatch {
        let mut is_prefix = false;
        for bound in self.bound(scope) {
            for sequence in &bound.sequences {
                if sequence == pressed {
                    return KeyMatch::Binding(bound.binding);
                }
                is_prefix |= sequence.starts_with(pressed);
            }
        }
        if is_prefix {
            KeyMatch::Prefix
        } else {
            KeyMatch::Nothing
        }
    }

    /// The bindings of a scope, in the order of the table.
    pub fn bound(&self, scope: Scope) -> impl Iterator<Item = &Bound> {
        self.0
            .iter()
            .filter(move |bound| bound.binding.scopes.contains(&scope))
    }

    /// The first key sequence of a binding, as text; empty if the binding has none.
    pub fn shown(&self, name: &str) -> String {
        let bound = self.0.iter().find(|bound| bound.binding.name == name);
        bound.and_then(Bound::first).unwrap_or_default()
    }

    /// The first key sequence that shows the tab, as text; empty if none does.
    pub fn shown_of_tab(&self, tab: Tab) -> String {
        let shows = |bound: &&Bound| bound.binding.command == Command::Tab(tab);
        let bound = self.0.iter().find(shows);
        bound.and_then(Bound::first).unwrap_or_default()
    }

    /// Ensures three rules for each scope: no sequence has two meanings, none is the start of another (the longer one
    /// could never be completed), and no plain character is bound where users type text.
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
                        let keys = sequence_text(sequence);
                        return Err(format!(
                            "[keys] `{keys}` is bound to both {other} and {name}"
                        ));
                    }
                    let typed = sequence.first().is_some_and(|key| key.is_typed());
                    if typed && scope.is_typed_into() && !bound.binding.works_outside_text {
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
    /// The first key sequence, as text.
    pub fn first(&self) -> Option<String> {
        self.sequences
            .first()
            .map(|sequence| sequence_text(sequence))
    }

    /// All key sequences, as text.
    pub fn all(&self) -> String {
        let all: Vec<String> = self
            .sequences
            .iter()
            .map(|sequence| sequence_text(sequence))
            .collect();
        all.join("  ")
    }
}

/// Formats a key sequence, such as `y c`.
pub(crate) fn sequence_text(sequence: &[Key]) -> String {
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

/// Finds the known name that is most similar to `name`. `None` if the Jaro-Winkler similarity is 0.7 or less.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|known| (strsim::jaro_winkler(name, known), known));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score > 0.7)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(matches!(press("d"), KeyMatch::Nothing));
        assert!(matches!(press("ctrl-d"), KeyMatch::Binding(found) if found.name == "delete"));
    }

    #[test]
    fn a_former_name_of_a_binding_still_works() {
        for (former, now) in RENAMED {
            let map = changed(former, "f9").unwrap();
            assert_eq!(map.shown(now), "F9", "{former}");
            assert!(BINDINGS.iter().all(|binding| binding.name != *former));
        }
    }

    #[test]
    fn a_wrong_key_setting_gets_a_clear_error() {
        let error = |name, keys| changed(name, keys).unwrap_err();
        assert_eq!(
            error("delte", "x"),
            "[keys] there is no `delte`; did you mean `delete`?"
        );
        assert_eq!(
            error("delete", "e"),
            "[keys] `e` is bound to both edit and delete"
        );
        assert!(error("delete", "hyper-x").starts_with("[keys] delete: `hyper-x` is not a key"));
        assert!(error("form-save", "s").contains("letters are typed there"));
    }
}
