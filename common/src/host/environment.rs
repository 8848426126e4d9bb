//! Settings from environment variables, parsed leniently.

use clap::{ArgAction, Command};

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

fn parse_switch(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "y" | "yes" | "t" | "true" | "on" => Ok(true),
        "0" | "n" | "no" | "f" | "false" | "off" => Ok(false),
        _ => Err("set the variable to 1, yes, on or true, or to 0, no, off or false"),
    }
}
