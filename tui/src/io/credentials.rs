//! The token that proves to the server who the user is: from the environment, from the folder of a local shop, or as
//! it was saved by `stockroom login`.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use stockroom_common::{Secret, access::check_secret, environment, local_paths};
use tokio::sync::watch;

use crate::settings::memory::Memory;

/// The environment variable with a token, for scripts; with `_FILE` added, that of a file with one.
pub const TOKEN: &str = "STOCKROOM_TOKEN";

/// The token for one server. Clones share it.
#[derive(Clone, Debug)]
pub struct Credentials {
    source: Arc<Source>,
    current: Arc<watch::Sender<Option<Secret>>>,
}

#[derive(Debug)]
enum Source {
    /// Given by the environment, and not saved.
    Environment,
    /// The file of a local shop, which its server creates.
    Local(PathBuf),
    /// Saved for the server with this address.
    Saved {
        address: String,
        file: Option<PathBuf>,
    },
}

impl Credentials {
    /// The credentials for the shop in a folder of this machine. A token in the environment is for servers on the
    /// network and is not used.
    pub fn local(data_dir: &Path) -> Self {
        Self::new(Source::Local(local_paths::token_file(data_dir)), None)
    }

    /// The credentials for the server with this address.
    ///
    /// # Errors
    /// If the environment contains a token that cannot be one, or the saved tokens cannot be read: a message for the
    /// user.
    pub fn saved(address: &str) -> Result<Self, String> {
        if let Some(secret) = from_environment()? {
            return Ok(Self::new(Source::Environment, Some(secret)));
        }
        let file = Memory::path().and_then(|path| Some(path.parent()?.join("tokens.json")));
        let address = address.trim_end_matches('/').to_owned();
        let secret = read_saved(file.as_deref())?.remove(&address);
        Ok(Self::new(Source::Saved { address, file }, secret))
    }

    fn new(source: Source, secret: Option<Secret>) -> Self {
        Self {
            source: Arc::new(source),
            current: Arc::new(watch::Sender::new(secret)),
        }
    }

    /// The token, if there is one. That of a local shop is read when it is first needed, because the server creates it
    /// when it first starts.
    pub(crate) fn token(&self) -> Option<Secret> {
        let current = self.current.borrow().clone();
        if let (None, Source::Local(file)) = (&current, &*self.source) {
            let text = fs::read_to_string(file).ok()?;
            let secret = Some(Secret::new(text.trim()));
            // Not a change that anybody waits for.
            self.current.send_if_modified(|current| {
                current.clone_from(&secret);
                false
            });
            return secret;
        }
        current
    }

    /// Drops a token that the server has refused, if there may be another: the folder of a local shop may have been
    /// replaced.
    pub(crate) fn refused(&self) {
        if matches!(*self.source, Source::Local(_)) {
            self.current.send_replace(None);
        }
    }

    /// Resolves when the token changes from what it is now.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + use<> {
        let mut current = self.current.subscribe();
        async move {
            // The sender lives as long as the client.
            let _ = current.changed().await;
        }
    }

    /// Whether the environment gives the token, so that a login would have no effect.
    pub fn is_fixed(&self) -> bool {
        matches!(*self.source, Source::Environment)
    }

    /// Uses this token from now on, without saving it.
    pub(crate) fn try_out(&self, secret: Secret) {
        self.current.send_replace(Some(secret));
    }

    /// Uses this token from now on, and saves it for the next time.
    ///
    /// # Errors
    /// If it cannot be saved: a message for the user. The token is used all the same.
    pub fn log_in(&self, secret: Secret) -> Result<(), String> {
        let saved = match &*self.source {
            Source::Saved { address, file } => change_saved(file.as_deref(), |tokens| {
                tokens.insert(address.clone(), secret.clone());
            }),
            Source::Local(_) | Source::Environment => Ok(()),
        };
        self.current.send_replace(Some(secret));
        saved
    }

    /// Forgets the saved token; returns whether there was one.
    ///
    /// # Errors
    /// If the file cannot be changed: a message for the user.
    pub fn log_out(&self) -> Result<bool, String> {
        let mut is_known = false;
        if let Source::Saved { address, file } = &*self.source {
            change_saved(file.as_deref(), |tokens| {
                is_known = tokens.remove(address).is_some();
            })?;
            self.current.send_replace(None);
        }
        Ok(is_known)
    }
}

/// The token that the environment gives.
fn from_environment() -> Result<Option<Secret>, String> {
    let secret = environment::secret(TOKEN)?;
    if let Some(secret) = &secret {
        check_secret(secret.expose()).map_err(|fault| format!("{TOKEN}: {fault}"))?;
    }
    Ok(secret)
}

type Tokens = BTreeMap<String, Secret>;

fn read_saved(file: Option<&Path>) -> Result<Tokens, String> {
    let Some(file) = file else {
        return Ok(Tokens::default());
    };
    match fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| {
            format!(
                "{} cannot be read: {error}; delete it to log in again",
                file.display()
            )
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Tokens::default()),
        Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
    }
}

/// Changes the saved tokens. The file is replaced as a whole, and only its user can read it.
fn change_saved(file: Option<&Path>, change: impl FnOnce(&mut Tokens)) -> Result<(), String> {
    let Some(file) = file else {
        return Err("The token is not saved: the home folder is unknown.".into());
    };
    let mut tokens = read_saved(Some(file))?;
    change(&mut tokens);
    let written = || {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let part = file.with_extension(format!("{}.part", std::process::id()));
        // A part that an earlier process of this number left may have other permissions.
        let _ = fs::remove_file(&part);
        let mut out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)?;
        out.write_all(&serde_json::to_vec_pretty(&tokens).unwrap_or_default())?;
        fs::rename(part, file)
    };
    written().map_err(|error: std::io::Error| {
        format!(
            "The token is not saved: {} cannot be written: {error}.",
            file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn saved(file: &Path, address: &str) -> Credentials {
        let secret = read_saved(Some(file)).unwrap().remove(address);
        let source = Source::Saved {
            address: address.into(),
            file: Some(file.into()),
        };
        Credentials::new(source, secret)
    }

    #[test]
    fn tokens_are_saved_by_server_where_only_the_user_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/tokens.json");
        let [one, other] = ["https://one", "https://other"].map(|address| saved(&file, address));
        assert_eq!(one.token(), None);
        one.log_in(Secret::new("a")).unwrap();
        other.log_in(Secret::new("b")).unwrap();
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(saved(&file, "https://one").token(), Some(Secret::new("a")));
        assert_eq!(one.log_out(), Ok(true));
        assert_eq!(one.token(), None);
        assert_eq!(one.log_out(), Ok(false));
        assert_eq!(saved(&file, "https://one").token(), None);
        assert_eq!(
            saved(&file, "https://other").token(),
            Some(Secret::new("b"))
        );
    }

    #[test]
    fn token_of_a_local_shop_is_read_when_its_server_has_created_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = local_paths::token_file(folder.path());
        let credentials = Credentials::new(Source::Local(file.clone()), None);
        assert_eq!(credentials.token(), None);
        fs::write(&file, "a\n").unwrap();
        assert_eq!(credentials.token(), Some(Secret::new("a")));
        fs::write(&file, "b\n").unwrap();
        assert_eq!(credentials.token(), Some(Secret::new("a")));
        credentials.refused();
        assert_eq!(credentials.token(), Some(Secret::new("b")));
    }
}
