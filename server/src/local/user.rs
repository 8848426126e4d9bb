//! The user that PostgreSQL and Redis run as, and the folders that this user can enter.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
};

use super::layout::{Layout, LocalError, ROLE};

/// The user that PostgreSQL and Redis run as, if it is not the current user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The user to run PostgreSQL as; `None` for the current user. PostgreSQL refuses to run as root, so root uses the
/// system user `postgres`, or else `stockroom`.
pub(crate) fn user(layout: &Layout) -> Result<Option<User>, LocalError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        let mut fields = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.first() == Some(&name) && fields.len() > 3)?
            .into_iter()
            .skip(2);
        Some(User {
            uid: fields.next()?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    };
    if let Some(user) = find("postgres").or_else(|| find(ROLE)) {
        return Ok(Some(user));
    }
    // Other services that run as `nobody` could read the shop, so it is used only for a cluster that it already owns.
    let owner = fs::metadata(&layout.cluster)
        .map(|cluster| cluster.uid())
        .ok();
    let nobody = find("nobody").filter(|nobody| Some(nobody.uid) == owner);
    nobody.map(Some).ok_or(LocalError::NoUser)
}

/// Checks that PostgreSQL's user can enter the data folder and all folders above it.
pub(crate) fn check_entry(layout: &Layout) -> Result<(), LocalError> {
    let Some(user) = user(layout)? else {
        return Ok(());
    };
    for folder in layout.data_dir.ancestors() {
        let Ok(found) = fs::metadata(folder) else {
            continue;
        };
        let may_enter = if found.uid() == user.uid {
            0o100
        } else if found.gid() == user.gid {
            0o010
        } else {
            0o001
        };
        if found.mode() & may_enter == 0 {
            return Err(LocalError::NoEntry(folder.display().to_string()));
        }
    }
    Ok(())
}

/// Creates a folder that only its user (the current user, if none is given) and root can enter.
pub(crate) fn make_private_dir(path: &Path, user: Option<User>) -> Result<(), LocalError> {
    if !path.is_dir() {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path);
        made.map_err(LocalError::io("cannot make", path))?;
    }
    let owner = fs::symlink_metadata(path).map_err(LocalError::io("cannot read", path))?;
    let own_uid = rustix::process::geteuid().as_raw();
    let wanted = user.map_or(own_uid, |user| user.uid);
    if owner.is_symlink() || (owner.uid() != wanted && owner.uid() != own_uid) {
        // In a shared temporary folder, another user may have created this path first.
        let error = std::io::Error::other("it belongs to somebody else");
        return Err(LocalError::io("cannot use", path)(error));
    }
    if let Some(User { uid, gid }) = user {
        chown(path, Some(uid), Some(gid)).map_err(LocalError::io("cannot hand over", path))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(LocalError::io("cannot close", path))
}

pub(crate) fn command(program: &Path, user: Option<User>) -> Command {
    use std::os::unix::process::CommandExt;

    let mut command = Command::new(program);
    // The user's locale and PG* variables must not apply. The current folder may be one that `user` cannot enter.
    command
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    command
}
