//! File names as users type them.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

/// The absolute path of a typed file name: the current folder may be a different one when the file is written.
/// Terminals type the name of a dropped file in quotes, with backslashes or as a URL.
pub fn absolute_path(file: &str) -> String {
    let file = &unquote_dropped(file.trim());
    let path = match file.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        None => PathBuf::from(file),
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    path.to_string_lossy().into_owned()
}

/// Extracts the file name from the text that a terminal types when a file is dropped on it.
fn unquote_dropped(typed: &str) -> String {
    // If a file with exactly this name exists, it is the one that the user means.
    if Path::new(typed).exists() {
        return typed.to_owned();
    }
    if let Some(url) = typed.strip_prefix("file://") {
        let path = &url[url.find('/').unwrap_or(0)..];
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
        return decoded.map_or_else(|_| typed.to_owned(), Cow::into_owned);
    }
    for quote in ['\'', '"'] {
        let quoted = typed
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(name) = quoted {
            // The shell's notation for a single quote inside single quotes.
            return name.replace("'\\''", "'");
        }
    }
    let mut name = String::new();
    let mut typed = typed.chars();
    while let Some(c) = typed.next() {
        match c {
            '\\' => name.extend(typed.next()),
            c => name.push(c),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_may_be_dropped_on_the_terminal() {
        for dropped in [
            "/tmp/no such/Ada's.csv",
            "'/tmp/no such/Ada'\\''s.csv'",
            "\"/tmp/no such/Ada's.csv\"",
            "/tmp/no\\ such/Ada\\'s.csv ",
            "file:///tmp/no%20such/Ada's.csv",
        ] {
            assert_eq!(
                absolute_path(dropped),
                "/tmp/no such/Ada's.csv",
                "{dropped}"
            );
        }
    }
}
