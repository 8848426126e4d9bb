//! Flags, environment and `config.toml` of the client; flags win over variables, variables over the
//! file.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde::Deserialize;
use stockroom_common::{place, seed::NewSeedJob};

use crate::{api::Server, local::LocalServer};

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
    #[arg(long, env = place::DATA_DIR_VARIABLE, global = true)]
    pub data_dir: Option<PathBuf>,
}

/// What the client does without its screens.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fill the shop with realistic test data; the same command goes on where it stopped.
    Seed {
        #[command(flatten)]
        sizes: NewSeedJob,
        /// Print the job as it ended, as JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    server: Option<String>,
}

impl Settings {
    /// The server to talk to, and how to start it where it is ours to start.
    ///
    /// # Errors
    /// A sentence about what is wrong with the settings.
    pub fn server(&self) -> Result<(Server, Option<LocalServer>), String> {
        let configured = match &self.server {
            Some(server) => Some(server.clone()),
            // A folder is named: it is that shop that is meant.
            None if self.data_dir.is_some() => None,
            None => read_config()?.server,
        };
        if let Some(url) = configured.filter(|url| !url.is_empty()) {
            let is_http = url.starts_with("http://") || url.starts_with("https://");
            if !is_http || reqwest::Url::parse(&url).is_err() {
                return Err(format!(
                    "`{url}` is no server; write a URL like http://127.0.0.1:7878"
                ));
            }
            return Ok((Server::Url(url), None));
        }
        let local = LocalServer::new(self.data_dir.clone())
            .ok_or("this system tells no home folder; name a server with --server")?;
        Ok((Server::Socket(local.socket().into()), Some(local)))
    }
}

fn read_config() -> Result<Config, String> {
    let Some(dirs) = directories::ProjectDirs::from("", "", "stockroom") else {
        return Ok(Config::default());
    };
    let path = dirs.config_dir().join("config.toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display())),
        Err(_) => Ok(Config::default()),
    }
}
