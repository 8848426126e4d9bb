//! The token of a local server: a file that only its user can read, so that the client of this user finds it.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use stockroom_common::{Secret, access::check_secret, local_paths};

use super::layout::LocalError;

/// Reads the token of the folder. Creates it from `fresh` if there is none, if the file holds something else, or if
/// others can read it.
///
/// # Errors
/// If the file can be neither read nor written.
pub fn token(data_dir: &Path, fresh: impl FnOnce() -> Secret) -> Result<Secret, LocalError> {
    let path = local_paths::token_file(data_dir);
    match fs::read_to_string(&path) {
        // Others may have read a file that was not private.
        Ok(text) if check_secret(text.trim()).is_ok() && is_private(&path) => {
            return Ok(Secret::new(text.trim()));
        }
        Ok(_) => fs::remove_file(&path).map_err(LocalError::io("cannot replace", &path))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(LocalError::io("cannot read", &path)(error)),
    }
    let secret = fresh();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{}", secret.expose()));
    written.map_err(LocalError::io("cannot write", &path))?;
    Ok(secret)
}

/// Whether only its owner can read a file.
fn is_private(path: &Path) -> bool {
    let mode = path.metadata().map(|found| found.permissions().mode());
    mode.is_ok_and(|mode| mode & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use stockroom_common::access::secret_of;

    use super::*;

    #[test]
    fn token_is_created_once_and_only_its_user_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let fresh = |letter: &str| secret_of(&letter.repeat(43));
        assert_eq!(token(folder.path(), || fresh("a")).unwrap(), fresh("a"));
        let path = local_paths::token_file(folder.path());
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(token(folder.path(), || fresh("b")).unwrap(), fresh("b"));
        assert_eq!(mode(), 0o600);
        assert_eq!(token(folder.path(), || fresh("c")).unwrap(), fresh("b"));
        fs::write(&path, "sr_half").unwrap();
        assert_eq!(token(folder.path(), || fresh("c")).unwrap(), fresh("c"));
    }
}
