//! Settings from environment variables, parsed leniently, and secrets, which are read from nowhere else.

use std::path::Path;

use clap::{ArgAction, Command};

use super::secret::Secret;

/// Makes a command lenient: an empty environment variable counts as unset, and switches accept `1`, `yes` and `on`
/// besides `true`.
pub fn forgiving(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        let arg = if value.is_some_and(|value| value.is_empty()) {
            arg.env(None)
        } else {
            arg
        };
        match arg.get_action() {
            ArgAction::SetTrue => arg.value_parser(parse_switch),
            _ => arg,
        }
    });
    command.mut_subcommands(forgiving)
}

/// Reads a secret from an environment variable, or from the file that the variable with `_FILE` added names. `None` if
/// neither is set.
///
/// # Errors
/// If the file is empty or cannot be read: a message with the name of the variable.
pub fn secret(variable: &str) -> Result<Option<Secret>, String> {
    let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(value) = read(variable) {
        return Ok(Some(Secret::new(value.trim())));
    }
    let of_file = format!("{variable}_FILE");
    match read(&of_file) {
        Some(path) => secret_of_file(Path::new(&path))
            .map(Some)
            .map_err(|error| format!("{of_file}: {error}")),
        None => Ok(None),
    }
}

/// Reads a secret from a file; white space at its ends does not count.
fn secret_of_file(path: &Path) -> Result<Secret, String> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(Secret::new(text.trim())),
        Ok(_) => Err(format!("{} is empty", path.display())),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

fn parse_switch(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "y" | "yes" | "t" | "true" | "on" => Ok(true),
        "0" | "n" | "no" | "f" | "false" | "off" => Ok(false),
        _ => Err("set the variable to 1, yes, on or true, or to 0, no, off or false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_a_file() {
        let path = std::env::temp_dir().join(format!("stockroom-secret-{}", std::process::id()));
        std::fs::write(&path, "postgres://ada:x@db/shop\n").unwrap();
        let read = secret_of_file(&path);
        std::fs::write(&path, " \n").unwrap();
        let empty = secret_of_file(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read.unwrap().expose(), "postgres://ada:x@db/shop");
        assert!(empty.unwrap_err().ends_with("is empty"));
        let missing = secret_of_file(Path::new("/nowhere/token")).unwrap_err();
        assert!(
            missing.starts_with("/nowhere/token cannot be read: "),
            "{missing}"
        );
    }
}
