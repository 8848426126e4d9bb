//! The paths where a local client finds the local server of the same user.

use std::path::{Path, PathBuf};

/// The environment variable that overrides [`data_dir`].
pub const DATA_DIR_VARIABLE: &str = "STOCKROOM_DATA_DIR";

/// The longest path in bytes that a Unix socket can be bound to on every supported system.
const MAX_SOCKET_PATH: usize = 100;

/// The folder of the local shop: `/var/lib/stockroom` for root, otherwise the user's data folder. None if the home
/// folder is unknown.
pub fn data_dir() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some("/var/lib/stockroom".into());
    }
    let dirs = directories::ProjectDirs::from("", "", "stockroom")?;
    Some(dirs.data_local_dir().to_path_buf())
}

/// A folder for sockets under `data_dir`. If that path is too long for a socket, a folder of the same user in `/tmp`.
pub fn socket_dir(data_dir: &Path, name: &str) -> PathBuf {
    let inside = data_dir.join(name);
    if inside.as_os_str().len() + "/.s.PGSQL.5432.lock".len() <= MAX_SOCKET_PATH {
        return inside;
    }
    // FNV-1a, so that every build gives the same path the same short name.
    let hash = data_dir
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
    let uid = rustix::process::geteuid().as_raw();
    Path::new("/tmp").join(format!("stockroom-{uid}-{hash:016x}-{name}"))
}

/// The socket on which a local server answers the API.
pub fn api_socket(data_dir: &Path) -> PathBuf {
    socket_dir(data_dir, "api").join("api.sock")
}

/// The file with the token of a local server, which only its user can read.
pub fn token_file(data_dir: &Path) -> PathBuf {
    data_dir.join("token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_path_always_fits() {
        let short = Path::new("/home/ada/.local/share/stockroom");
        assert_eq!(api_socket(short), short.join("api/api.sock"));
        let long = Path::new("/home").join("x".repeat(200));
        assert!(api_socket(&long).as_os_str().len() <= MAX_SOCKET_PATH);
        assert_ne!(api_socket(&long), api_socket(&long.join("other")));
    }
}
