//! The flags of the client. A flag overrides its environment variable, which overrides `config.toml`.

use std::path::{Path, PathBuf};

use clap::Parser;
use stockroom_common::local_paths;

use crate::{
    cli::arguments::Command,
    io::{
        credentials::Credentials,
        local::LocalServer,
        server::{Server, is_loopback, without_userinfo},
    },
    settings::{
        config::{Config, NamedServer},
        preferences::Preferences,
        theme::{ColorSupport, Scheme, ServerColor, Theme},
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

    /// The URL of the server, such as http://127.0.0.1:7878, or @NAME for one that config.toml names. As the first
    /// argument, @NAME alone says the same.
    #[arg(long, env = "STOCKROOM_SERVER", global = true)]
    pub server: Option<String>,

    /// Allow http:// to other machines: the token and the data cross the network unencrypted.
    #[arg(long, env = "STOCKROOM_INSECURE_REMOTE", global = true)]
    pub insecure_remote: bool,

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
        if let Some(mut url) = configured {
            if let Some(name) = url.strip_prefix('@') {
                url.clone_from(&config.named(name)?.url);
            }
            let is_http = url.starts_with("http://") || url.starts_with("https://");
            if !is_http || reqwest::Url::parse(&url).is_err() {
                let url = without_userinfo(&url);
                return Err(format!(
                    "`{url}` is not a server; write a URL like http://127.0.0.1:7878, or leave it out to \
                    use the shop on this machine"
                ));
            }
            if url.starts_with("http://") && !is_loopback(&url) && !self.insecure_remote {
                let url = without_userinfo(&url);
                return Err(format!(
                    "`{url}` would send your token unencrypted over the network; use https://, or add \
                    --insecure-remote if the network is safe"
                ));
            }
            return Ok((Server::Url(url), None));
        }
        let local = LocalServer::new(self.data_dir.clone())
            .ok_or("the home folder is unknown; name a server with --server")?;
        Ok((Server::Socket(local.socket().into()), Some(local)))
    }

    /// The token for the server.
    ///
    /// # Errors
    /// If the environment has one that cannot be a token, or the saved ones cannot be read: a message for the user.
    pub fn credentials(
        &self,
        server: &Server,
        local: Option<&LocalServer>,
    ) -> Result<Credentials, String> {
        match local {
            Some(local) => Ok(Credentials::local(local.data_dir())),
            None => Credentials::saved(&server.to_string()),
        }
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

    /// The named server of `config.toml` that is to be opened, if it is one, with its name.
    fn named<'a>(&'a self, config: &'a Config) -> Option<(&'a str, &'a NamedServer)> {
        let configured = config.server.as_deref().filter(|_| self.data_dir.is_none());
        let name = self.server.as_deref().or(configured)?.strip_prefix('@')?;
        Some((name, config.named(name).ok()?))
    }

    /// Whether the client refuses all changes to the shop.
    pub fn is_read_only(&self, config: &Config) -> bool {
        let named = self.named(config);
        self.read_only || config.read_only || named.is_some_and(|(_, server)| server.read_only)
    }

    /// How the client looks and behaves, from the flags and `config.toml`.
    ///
    /// # Errors
    /// If the settings are invalid: a message for the user.
    pub fn preferences(&self, config: &Config) -> Result<Preferences, String> {
        let named = self.named(config);
        let of_server = named.and_then(|(_, server)| server.theme.as_ref());
        let scheme = match (self.theme, of_server.or(config.theme.as_ref())) {
            (Some(scheme), _) => scheme,
            (None, Some(name)) => name
                .parse()
                .map_err(|fault: String| Config::error(format!("has a wrong theme: {fault}")))?,
            (None, None) => Scheme::default(),
        };
        let colors = ColorSupport::detect(|name| std::env::var(name).ok());
        let server = named.map(|(name, server)| {
            let color = server.colour.unwrap_or(ServerColor::Cyan);
            (name.to_owned(), color.style(colors))
        });
        Ok(Preferences {
            server,
            keys: config.keymap()?,
            theme: Theme::new(scheme, colors),
            is_plain: self.plain || config.plain,
            has_mouse: !self.no_mouse && config.mouse.unwrap_or(true),
            is_read_only: self.is_read_only(config),
        })
    }
}
