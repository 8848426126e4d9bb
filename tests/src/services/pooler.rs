//! PgBouncer in front of the PostgreSQL of the test binary.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    process::{Child, Command, Stdio},
};

use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

use crate::process::{eventually, free_port, program, temp_dir, tied};

pub struct Pooler {
    address: SocketAddr,
    child: Child,
    /// Removed together with the pooler.
    _dir: TempDir,
}

impl Pooler {
    /// Starts a pooler in front of the server of `database`, with `mode` as its `pool_mode` and at most `connections`
    /// connections per database.
    pub fn start(database: &PgConnectOptions, mode: &str, connections: u32) -> Self {
        let sockets = database.get_socket().unwrap();
        // PgBouncer refuses to run as root, and only their owner can connect to PostgreSQL's sockets.
        let owner = fs::metadata(sockets).unwrap();
        let dir = temp_dir("pooler");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let config = dir.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port=5432 user={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
            listen_port = {}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n\
            default_pool_size = {connections}\n",
            sockets.display(),
            database.get_username(),
            address.port(),
        );
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
        let child = tied(Command::new(program(&["pgbouncer"])))
            .arg("--quiet")
            .arg(&config)
            .uid(owner.uid())
            .gid(owner.gid())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("PgBouncer", || TcpStream::connect(address).ok());
        Self {
            address,
            child,
            _dir: dir,
        }
    }

    /// The URL of a database through the pooler.
    pub fn url(&self, database: &PgConnectOptions) -> String {
        let name = database.get_database().unwrap();
        format!(
            "postgres://stockroom@{}/{name}?sslmode=disable",
            self.address
        )
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // Fails if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
