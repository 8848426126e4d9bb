//! The flags of the client. A flag overrides its environment variable, which overrides `config.toml`.

use std::path::{Path, PathBuf};

use clap::Parser;
use stockroom_common::local_paths;

use crate::{
    cli::arguments::Command,
    io::{
        api::{self, Server},
        local::LocalServer,
    },
    settings::{
        config::Config,
        preferences::Preferences,
        theme::{ColorSupport, Scheme, Theme},
    },
};

/// Manage a shop from the terminal: orders, customers, products, categories.
///
/// If no server is given, the client opens a shop on this machine and starts a local server for it.
#[derive(Debug, Parser)]
#[command(name = "stockroom", version)]
pub struct Settings {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The URL of the server, such as http://127.0.0.1:7878.
    #[arg(long, env = "STOCKROOM_SERVER", global = true)]
    pub server: Option<String>,

    /// The folder of the shop on this machine.
    #[arg(long, env = local_paths::DATA_DIR_VARIABLE, global = true)]
    pub data_dir: Option<PathBuf>,

    /// Create the folder of `--data-dir`, and a shop in it, if it does not exist.
    #[arg(long, env = "STOCKROOM_CREATE")]
    pub create: bool,

    /// Colours for a `dark` or a `light` background, or `high-contrast`.
    #[arg(long, env = "STOCKROOM_THEME", value_name = "THEME")]
    pub theme: Option<Scheme>,

    /// Use only ASCII and show states as words, for screen readers.
    #[arg(long, env = "STOCKROOM_PLAIN")]
    pub plain: bool,

    /// Leave the mouse to the terminal.
    #[arg(long, env = "STOCKROOM_NO_MOUSE")]
    pub no_mouse: bool,

    /// Run read-only: refuse all changes to the shop.
    #[arg(long, env = "STOCKROOM_READ_ONLY", global = true)]
    pub read_only: bool,
}

impl Settings {
    /// The server to use, and how to start it if it is a local server.
    ///
    /// # Errors
    /// If the settings are invalid: a message for the user.
    pub fn server(&self, config: &Config) -> Result<(Server, Option<LocalServer>), String> {
        let configured = match &self.server {
            Some(server) => Some(server.clone()),
            // `--data-dir` selects the local shop, even if `config.toml` contains a server.
            None if self.data_dir.is_some() => None,
            None => config.server.clone(),
        };
        if let Some(url) = configured {
            let is_http = url.starts_with("http://") || url.starts_with("https://");
            if !is_http || reqwest::Url::parse(&url).is_err() {
                let url = api::without_userinfo(&url);
                return Err(format!(
                    "`{url}` is not a server; write a URL like http://127.0.0.1:7878, or leave it out to \
                    use the shop on this machine"
                ));
            }
            return Ok((Server::Url(url), None));
        }
        let local = LocalServer::new(self.data_dir.clone())
            .ok_or("the home folder is unknown; name a server with --server")?;
        Ok((Server::Socket(local.socket().into()), Some(local)))
    }

    /// Refuses to create a shop in a missing folder without `--create`: the name may be mistyped.
    ///
    /// # Errors
    /// If the folder is missing or is a file: a message that says what to do.
    pub fn check_folder(&self) -> Result<(), String> {
        let Some(folder) = &self.data_dir else {
            return Ok(());
        };
        let name = folder.display();
        match folder.metadata() {
            Ok(found) if !found.is_dir() => {
                Err(format!("{name} is a file; --data-dir names a folder"))
            }
            Err(_) if !self.create => Err(format!(
                "there is no folder {name}; add --create to make a shop there"
            )),
            _ => Ok(()),
        }
    }

    /// The message for a command that finds no shop in the folder: commands do not create one.
    pub fn how_to_make_shop(&self, folder: &Path) -> String {
        let folder = folder.display();
        let open = match &self.data_dir {
            None => "stockroom".to_owned(),
            Some(_) => format!("stockroom --data-dir {folder} --create"),
        };
        format!("There is no shop in {folder}; open the client to make one: {open}")
    }

    /// Whether the client refuses all changes to the shop.
    pub const fn is_read_only(&self, config: &Config) -> bool {
        self.read_only || config.read_only
    }

    /// How the client looks and behaves, from the flags and `config.toml`.
    ///
    /// # Errors
    /// If the settings are invalid: a message for the user.
    pub fn preferences(&self, config: &Config) -> Result<Preferences, String> {
        let scheme = match (self.theme, &config.theme) {
            (Some(scheme), _) => scheme,
            (None, Some(name)) => name
                .parse()
                .map_err(|fault: String| Config::error(format!("has a wrong theme: {fault}")))?,
            (None, None) => Scheme::default(),
        };
        let colors = ColorSupport::detect(|name| std::env::var(name).ok());
        Ok(Preferences {
            keys: config.keymap()?,
            theme: Theme::new(scheme, colors),
            is_plain: self.plain || config.plain,
            has_mouse: !self.no_mouse && config.mouse.unwrap_or(true),
            is_read_only: self.is_read_only(config),
        })
    }
}
