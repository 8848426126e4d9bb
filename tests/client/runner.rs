//! Runs the client as a command.

use serde_json::Value;
use std::{
    io::Write,
    process::{Command, Stdio},
};
use stockroom_tests::{Shop, admin_token, binary, temp_dir};

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.done()).unwrap()
    }

    /// The JSON documents, one per line.
    #[track_caller]
    pub(crate) fn lines(self) -> Vec<Value> {
        let out = self.done();
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

pub(crate) struct Client {
    pub(crate) base: String,
    pub(crate) home: tempfile::TempDir,
}

impl Client {
    pub(crate) fn of(shop: &Shop) -> Self {
        Self {
            base: shop.base.clone(),
            home: temp_dir("commands"),
        }
    }

    /// Runs the client with additional environment variables, which may replace the defaults.
    pub(crate) async fn run_as(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs the client with this text on its standard input.
    pub(crate) async fn run_on(&self, input: &str, arguments: &[&str]) -> Ran {
        self.run_with(arguments, input).await
    }

    /// Runs the client with additional environment variables and this text on its standard input.
    pub(crate) async fn run_on_as(
        &self,
        environment: &[(&str, &str)],
        input: &str,
        arguments: &[&str],
    ) -> Ran {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        Self::finish(command, input).await
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("stockroom"));
        command
            .args(arguments)
            .env("STOCKROOM_SERVER", &self.base)
            .env("STOCKROOM_TOKEN", admin_token().expose())
            .env("HOME", self.home.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .env("TZ", "UTC")
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "").await
    }

    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        Self::finish(self.command(arguments), input).await
    }

    async fn finish(mut command: Command, input: &str) -> Ran {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = input.to_owned();
        // The test server runs on this thread as well, so the wait must not block it.
        let output = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            // Fails if the client reads no input and has already ended.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let output = output.await.unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
