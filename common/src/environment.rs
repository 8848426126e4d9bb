//! Settings by environment variables, as people write them.

use clap::{ArgAction, Command, builder::BoolishValueParser};

/// The command with variables that may be empty, which is as good as unset, and switches that take `1`, `yes` and `on`
/// beside `true`.
pub fn forgiving(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        let arg = match value.is_some_and(|value| value.is_empty()) {
            true => arg.env(None),
            false => arg,
        };
        match arg.get_action() {
            ArgAction::SetTrue => arg.value_parser(BoolishValueParser::new()),
            _ => arg,
        }
    });
    command.mut_subcommands(forgiving)
}
