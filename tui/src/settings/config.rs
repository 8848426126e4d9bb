//! The configuration file, `config.toml`.

use std::{collections::BTreeMap, fmt::Display, io::ErrorKind, path::PathBuf};

use serde::Deserialize;

use crate::settings::{
    keys::{Keymap, Keys},
    theme::ServerColor,
};

/// The content of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub(crate) server: Option<String>,
    pub(crate) theme: Option<String>,
    pub(crate) plain: bool,
    pub(crate) read_only: bool,
    pub(crate) mouse: Option<bool>,
    pub(crate) keys: BTreeMap<String, Keys>,
    /// The servers that `stockroom @name` opens.
    pub(crate) servers: BTreeMap<String, NamedServer>,
}

/// A server with a name of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedServer {
    pub(crate) url: String,
    /// The colour in which its name is always on the screen.
    pub(crate) colour: Option<ServerColor>,
    #[serde(default)]
    pub(crate) read_only: bool,
    pub(crate) theme: Option<String>,
}

impl Config {
    /// The path of the file; `None` if the home folder is unknown.
    pub fn path() -> Option<PathBuf> {
        let dirs = directories::ProjectDirs::from("", "", "stockroom")?;
        Some(dirs.config_dir().join("config.toml"))
    }

    /// Reads the file. A missing file gives the defaults.
    ///
    /// # Errors
    /// If the file cannot be read or parsed: a message for the user.
    pub fn read() -> Result<Self, String> {
        let path = Self::path();
        if path
            .as_ref()
            .is_some_and(|path| path.is_symlink() && !path.exists())
        {
            return Err(Self::error("is a link to a missing file"));
        }
        let text = path.map(std::fs::read_to_string);
        match text {
            Some(Ok(text)) if text.contains('\0') => {
                Err(Self::error("is UTF-16 or not text; save it as UTF-8"))
            }
            Some(Ok(text)) => toml::from_str(&text).map_err(|error| {
                let line = error
                    .span()
                    .map(|span| text[..span.start].lines().count().max(1));
                let line = line.map_or_else(String::new, |line| format!(", line {line}"));
                let path = Self::path().unwrap_or_default();
                format!("{}{line}: {}", path.display(), error.message())
            }),
            Some(Err(error)) if error.kind() != ErrorKind::NotFound => {
                // The defaults would not be safe: the file may select another server or make the client read-only.
                Err(Self::error(match error.kind() {
                    ErrorKind::InvalidData => "is not UTF-8; save it in that encoding".into(),
                    _ => format!("cannot be read: {error}"),
                }))
            }
            Some(Err(_)) | None => Ok(Self::default()),
        }
    }

    /// Looks up a server by its name.
    ///
    /// # Errors
    /// If there is none of that name: a message for the user.
    pub(crate) fn named(&self, name: &str) -> Result<&NamedServer, String> {
        self.servers.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.servers.keys().map(String::as_str).collect();
            let known = match known.as_slice() {
                [] => "it names none; add [servers.NAME] with a url".to_owned(),
                names => format!("it names {}", names.join(", ")),
            };
            Self::error(format!("names no server {name}; {known}"))
        })
    }

    /// The default key bindings with the changes from the file.
    ///
    /// # Errors
    /// If the key bindings in the file are invalid: a message for the user.
    pub fn keymap(&self) -> Result<Keymap, String> {
        Keymap::with(&self.keys).map_err(|fault| {
            let path = Self::path().unwrap_or_default();
            format!("{}: {fault}", path.display())
        })
    }

    /// Formats a message about the file that starts with its path.
    pub(crate) fn error(message: impl Display) -> String {
        let path = Self::path().unwrap_or_default();
        format!("{} {message}", path.display())
    }
}
