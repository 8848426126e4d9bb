//! Settings by environment variables, as people write them.

use clap::{ArgAction, Command};

/// The command with variables that may be empty, which is as good as unset, and switches that take `1`, `yes` and `on`
/// beside `true`.
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
        _ => Err("as a variable it is 1, yes, on or true, or one of their opposites"),
    }
}
