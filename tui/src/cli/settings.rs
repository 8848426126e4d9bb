//! The flags of the client. A flag wins over its environment variable, and a variable over `config.toml`.

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
        theme::{Depth, Scheme, Theme},
    },
};

/// The back office of a shop in the terminal: orders, customers, products, categories.
///
/// Without a server it opens a shop on this machine, starting a server of its own.
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

    /// Create a shop in that folder if there is none.
    #[arg(long, env = "STOCKROOM_CREATE")]
    pub create: bool,

    /// Colours for a `dark` or a `light` background, or `high-contrast`.
    #[arg(long, env = "STOCKROOM_THEME", value_name = "THEME")]
    pub theme: Option<Scheme>,

    /// ASCII only, states in words: for screen readers.
    #[arg(long, env = "STOCKROOM_PLAIN")]
    pub plain: bool,

    /// Leave the mouse to the terminal.
    #[arg(long, env = "STOCKROOM_NO_MOUSE")]
    pub no_mouse: bool,

    /// Read-only: nothing in the shop can be changed.
    #[arg(long, env = "STOCKROOM_READ_ONLY", global = true)]
    pub read_only: bool,
}

impl Settings {
    /// The server to talk to, and how to start it where it is ours to start.
    ///
    /// # Errors
    /// A sentence about what is wrong with the settings.
    pub fn server(&self, config: &Config) -> Result<(Server, Option<LocalServer>), String> {
        let configured = match &self.server {
            Some(server) => Some(server.clone()),
            // A folder is named: it is that shop that is meant.
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

    /// Refuses to make a shop in a folder that is not there: its name may be mistyped.
    ///
    /// # Errors
    /// A sentence that says what to do.
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

    /// What to do where a command finds no shop in that folder: commands make none.
    pub fn how_to_make_shop(&self, folder: &Path) -> String {
        let folder = folder.display();
        let open = match &self.data_dir {
            None => "stockroom".to_owned(),
            Some(_) => format!("stockroom --data-dir {folder} --create"),
        };
        format!("There is no shop in {folder}; open the client to make one: {open}")
    }

    /// Whether nothing may be changed.
    pub const fn is_read_only(&self, config: &Config) -> bool {
        self.read_only || config.read_only
    }

    /// How the client looks and behaves.
    ///
    /// # Errors
    /// A sentence about what is wrong with the settings.
    pub fn preferences(&self, config: &Config) -> Result<Preferences, String> {
        let scheme = match (self.theme, &config.theme) {
            (Some(scheme), _) => scheme,
            (None, Some(name)) => name
                .parse()
                .map_err(|fault: String| Config::error(format!("has a wrong theme: {fault}")))?,
            (None, None) => Scheme::default(),
        };
        let depth = Depth::detect(|name| std::env::var(name).ok());
        Ok(Preferences {
            keys: config.keymap()?,
            theme: Theme::new(scheme, depth),
            is_plain: self.plain || config.plain,
            has_mouse: !self.no_mouse && config.mouse.unwrap_or(true),
            is_read_only: self.is_read_only(config),
        })
    }
}
