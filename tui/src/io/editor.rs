//! The user's own editor, on one field.

use std::io::Write;

use tokio::process::Command;

/// Opens text in `$VISUAL` or `$EDITOR`, and gives what it was made into.
///
/// # Errors
/// A sentence, where the editor could not be started or did not end well: the text is as it was then.
pub(crate) async fn edit(text: &str) -> Result<String, String> {
    let named = ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok());
    let editor = named.into_iter().find(|editor| !editor.trim().is_empty());
    let editor = editor.unwrap_or_else(|| "vi".into());
    // Readable for the user alone, and gone with us.
    let mut file = tempfile::Builder::new()
        .prefix("stockroom-")
        .suffix(".txt")
        .tempfile()
        .map_err(|error| {
            format!("The temporary file for the editor cannot be created: {error}.")
        })?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.flush())
        .map_err(|error| {
            format!("The temporary file for the editor cannot be written: {error}.")
        })?;
    // As git runs it: by the shell, so that it may have arguments, quotes and a folder with blanks in its name.
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$@\""))
        .arg("stockroom")
        .arg(file.path())
        .status()
        .await
        .map_err(|error| format!("{editor} cannot be started: {error}."))?;
    // What a shell says of a program that it does not find.
    if status.code() == Some(127) {
        return Err(format!(
            "The editor `{editor}` was not found; set EDITOR to the one that you use."
        ));
    }
    if !status.success() {
        return Err(format!(
            "{editor} exited with {status}; the text is unchanged."
        ));
    }
    // Some editors write another file in the place of the first.
    let edited = std::fs::read_to_string(file.path())
        .map_err(|error| format!("The edited text cannot be read: {error}."))?;
    Ok(edited.trim_end_matches(['\r', '\n']).to_owned())
}
