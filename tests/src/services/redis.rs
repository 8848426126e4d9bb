//! A Redis for one test, which the test can stop, kill, empty and restart.

use std::{
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use redis::{AsyncConnectionConfig, Value, aio::MultiplexedConnection};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::{PATIENCE, eventually, free_port, program, temp_dir, tied};

/// The configuration file whose presence makes the process a sentinel.
const SENTINEL: &str = "sentinel.conf";

pub struct RedisProcess {
    pub address: SocketAddr,
    dir: TempDir,
    flags: Vec<String>,
    child: Child,
}

impl RedisProcess {
    /// Starts a Redis without persistence.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a Redis with additional flags, such as `--cluster-enabled yes`.
    pub fn start_with(flags: &[&str]) -> Self {
        Self::start_in(temp_dir("redis"), flags)
    }

    /// Starts a sentinel with this configuration file, which the sentinel rewrites as it discovers servers.
    pub fn start_sentinel(config: &str) -> Self {
        let dir = temp_dir("sentinel");
        std::fs::write(dir.path().join(SENTINEL), config).unwrap();
        Self::start_in(dir, &["--sentinel"])
    }

    fn start_in(dir: TempDir, flags: &[&str]) -> Self {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let child = spawn(address, &dir, &flags);
        let redis = Self {
            address,
            dir,
            flags,
            child,
        };
        redis.wait_until_it_listens();
        redis
    }

    /// The value of a flag that the process was started with.
    pub fn flag(&self, name: &str) -> &str {
        let index = self.flags.iter().position(|flag| flag == name).unwrap();
        &self.flags[index + 1]
    }

    /// The path of the configuration file, or `None` if this is not a sentinel.
    pub fn config(&self) -> Option<PathBuf> {
        Some(self.dir.path().join(SENTINEL)).filter(|path| path.is_file())
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    fn wait_until_it_listens(&self) {
        eventually("Redis", || TcpStream::connect(self.address).ok());
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts Redis again on the same port, with any dump that is in its folder.
    pub fn restart(&mut self) {
        self.child = spawn(self.address, &self.dir, &self.flags);
        self.wait_until_it_listens();
    }

    /// The path from which Redis loads a dump at start and to which `SAVE` writes it.
    pub fn dump(&self) -> PathBuf {
        self.dir.path().join("dump.rdb")
    }

    pub async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let client = redis::Client::open(self.url())?;
        // The crate's default timeout of half a second is too short on a machine that is busy with other tests.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// Sends one command on a new connection.
    pub async fn command(&self, words: &[&str]) -> redis::RedisResult<Value> {
        let mut cmd = redis::cmd(words[0]);
        cmd.arg(&words[1..]);
        cmd.query_async(&mut self.connect().await?).await
    }

    /// How often Redis has executed the command, according to its own statistics.
    pub async fn calls(&self, command: &str) -> u64 {
        let info = self.command(&["INFO", "commandstats"]).await.unwrap();
        let info: String = redis::from_redis_value(info).unwrap();
        let prefix = format!("cmdstat_{command}:calls=");
        let line = info.lines().find_map(|line| line.strip_prefix(&prefix));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    }
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        // The process may be stopped by a signal or already dead.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(address: SocketAddr, dir: &TempDir, flags: &[String]) -> Child {
    let mut redis = tied(Command::new(program(&["redis-server", "valkey-server"])));
    let config = dir.path().join(SENTINEL);
    if config.is_file() {
        redis.arg(config);
        // A sentinel takes no flags for folders and dumps.
        return start(
            redis
                .args(["--port", &address.port().to_string()])
                .args(flags),
        );
    }
    start(
        redis
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(dir.path())
            .args(flags),
    )
}

fn start(redis: &mut Command) -> Child {
    redis
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
