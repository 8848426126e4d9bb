//! Finds PostgreSQL's binaries on this machine, or the command that installs them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::layout::{Layout, LocalError};

/// Folders in which systems install several versions side by side; `*` stands for the version.
const USUAL_PLACES: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/pgsql*/bin",
];

/// Package managers, each with its command to install PostgreSQL.
const INSTALLERS: &[(&str, &str)] = &[
    ("apt-get", "apt-get install postgresql"),
    ("dnf", "dnf install postgresql-server postgresql-contrib"),
    ("pacman", "pacman -S postgresql"),
    ("apk", "apk add postgresql postgresql-contrib"),
    ("brew", "brew install postgresql@17"),
];

/// A folder with the binaries `initdb` and `postgres` of one version.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    bin: PathBuf,
}

impl Installation {
    /// Finds the installation that fits the data: the major version that created it, or the newest for new data.
    pub(crate) fn find(data_dir: &Path) -> Result<Self, LocalError> {
        let hint = hint();
        let mut found: Vec<(u32, PathBuf)> = candidates()
            .into_iter()
            .filter(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
            .filter_map(|bin| Some((major_version(&bin)?, bin)))
            .collect();
        found.sort();
        let made_by = fs::read_to_string(Layout::new(data_dir).cluster.join("PG_VERSION"));
        let newest = match made_by {
            Err(_) => found.pop(),
            Ok(made_by) => {
                let fits = |(version, _): &&(u32, PathBuf)| version.to_string() == made_by.trim();
                let fitting = found.iter().find(fits).cloned();
                if fitting.is_none() && !found.is_empty() {
                    return Err(LocalError::OtherVersion {
                        data_dir: data_dir.display().to_string(),
                        made_by: made_by.trim().into(),
                        hint,
                    });
                }
                fitting
            }
        };
        match newest {
            Some((_, bin)) => Ok(Self { bin }),
            None => Err(LocalError::NotInstalled(hint)),
        }
    }

    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

fn candidates() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut bins: Vec<PathBuf> = env::split_paths(&path).collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        bins.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    bins.extend(USUAL_PLACES.iter().flat_map(|pattern| expand(pattern)));
    bins
}

/// The paths that match a pattern with at most one `*`.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![pattern.into()];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or((".", before));
    let parent = if parent.is_empty() { "/" } else { parent };
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.starts_with(prefix).then(|| {
                Path::new(parent)
                    .join(name)
                    .join(after.trim_start_matches('/'))
            })
        })
        .collect()
}

/// The major version: 15 for `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major_version(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_whitespace().nth(2)?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The command that installs PostgreSQL on this system.
fn hint() -> String {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_here = |tool: &str| env::split_paths(&path).any(|dir| dir.join(tool).is_file());
    let Some((tool, command)) = INSTALLERS.iter().find(|(tool, _)| is_here(tool)) else {
        return "your system's package manager (the package is called postgresql)".into();
    };
    if *tool == "brew" || rustix::process::geteuid().is_root() {
        return (*command).into();
    }
    format!("sudo {command}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_the_folders_that_are_there() {
        let bins = expand("/us*/bin");
        assert!(bins.contains(&PathBuf::from("/usr/bin")), "{bins:?}");
        assert!(expand("/no-such-place/*/bin").is_empty());
    }
}
