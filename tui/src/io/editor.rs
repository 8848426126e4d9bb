//! Edits the text of a field in the user's own editor.

use std::io::Write;

use tokio::process::Command;

/// Opens text in `$VISUAL`, `$EDITOR` or `vi`; returns the edited text.
///
/// # Errors
/// If the editor cannot be started or fails: a message for the user. The text is then unchanged.
pub(crate) async fn edit(text: &str) -> Result<String, String> {
    let named = ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok());
    let editor = named.into_iter().find(|editor| !editor.trim().is_empty());
    let editor = editor.unwrap_or_else(|| "vi".into());
    // Only the user can read the file. It is deleted when this function returns.
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
    // Run by the shell, as git does, because the variable may contain arguments, quotes and folder names with blanks.
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$@\""))
        .arg("stockroom")
        .arg(file.path())
        .status()
        .await
        .map_err(|error| format!("{editor} cannot be started: {error}."))?;
    // The exit code of a shell that does not find the program.
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
    // Read by path: some editors replace the file instead of writing to it.
    let edited = std::fs::read_to_string(file.path())
        .map_err(|error| format!("The edited text cannot be read: {error}."))?;
    Ok(edited.trim_end_matches(['\r', '\n']).to_owned())
}
