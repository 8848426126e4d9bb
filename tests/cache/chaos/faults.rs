//! The servers, the Redis that they share, and the faults.

use std::time::Duration;

use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use sqlx::PgPool;
use stockroom_tests::{
    Node, RedisProcess, StartMode, connect, fresh_database,
    proxy::{Faults, Flow, Proxy},
};

pub(super) struct Rig {
    pub(super) nodes: [Node; 2],
    /// Proxies to Redis, one per server.
    proxies: [Proxy; 2],
    /// Proxies to PostgreSQL, one per server.
    links: [Proxy; 2],
    redis: RedisProcess,
    /// The test's own connections, which bypass all faults.
    pub(super) pool: PgPool,
    /// How long the test holds row locks.
    hold: Duration,
    /// The faults to choose from.
    faults: &'static [Fault],
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    StopRedis,
    KillRedis,
    FlushRedis,
    RestoreDump,
    CutLink,
    RefuseLink,
    HoldRequests,
    HoldReplies,
    SlowLink,
    KillServer,
    SwallowLink,
    LockRows,
    WrongClock,
    FullLog,
    UnreadLog,
    ManySockets,
}

/// Limit of open sockets for a server that must run out of them.
const FEW_SOCKETS: u32 = 200;

const FAULTS: &[Fault] = &[
    Fault::StopRedis,
    Fault::KillRedis,
    Fault::FlushRedis,
    Fault::RestoreDump,
    Fault::CutLink,
    Fault::RefuseLink,
    Fault::HoldRequests,
    Fault::HoldReplies,
    Fault::SlowLink,
    Fault::KillServer,
    Fault::SwallowLink,
    Fault::LockRows,
    Fault::WrongClock,
    Fault::FullLog,
    Fault::UnreadLog,
    Fault::ManySockets,
];

impl Fault {
    /// Whether the server may refuse callers during the fault. Redis faults never excuse a refusal.
    const fn refuses(self) -> bool {
        // A server without a free socket cannot connect to its database either.
        matches!(self, Self::SwallowLink | Self::LockRows | Self::ManySockets)
    }
}

impl Rig {
    pub(super) async fn start(breach: Option<&'static str>, hold: Duration) -> Self {
        let redis = RedisProcess::start();
        let proxies = [
            Proxy::start(redis.address).await,
            Proxy::start(redis.address).await,
        ];
        let database = fresh_database().await;
        let (first, _) = Proxy::start_to_postgres(&database).await;
        let (second, _) = Proxy::start_to_postgres(&database).await;
        let links = [first, second];
        let name = database.get_database().unwrap();
        let node = |side: usize| {
            let (proxy, link): (&Proxy, &Proxy) = (&proxies[side], &links[side]);
            let port = link.address.port();
            let mut environment = vec![
                (
                    "DATABASE_URL",
                    format!("postgres://stockroom@127.0.0.1:{port}/{name}?sslmode=disable"),
                ),
                ("REDIS_URL", format!("redis://{}", proxy.address)),
            ];
            let program = match breach {
                None => "stockroom-server",
                Some(breach) => {
                    environment.push(("STOCKROOM_BREAK", breach.into()));
                    "testbed"
                }
            };
            Node::start(program, environment)
        };
        Self {
            nodes: [node(0), node(1)],
            proxies,
            links,
            pool: connect(database, 4).await.unwrap(),
            hold,
            redis,
            // The epoch protects only against this fault, which would be too rare among the others.
            faults: match breach {
                Some("no-epoch") => &[Fault::RestoreDump],
                _ => FAULTS,
            },
        }
    }

    /// Chooses the next fault; also returns whether callers may be refused during it.
    pub(super) fn choose(&self, random: &mut ChaCha8Rng) -> (Fault, bool) {
        let fault = *self.faults.choose(random).unwrap();
        (fault, fault.refuses())
    }

    /// Injects a fault for a while, repairs it, and returns its description.
    pub(super) async fn make(&mut self, fault: Fault, random: &mut ChaCha8Rng) -> &'static str {
        let side = random.random_range(0..2);
        let duration = Duration::from_millis(random.random_range(20..600));
        let coin: bool = random.random();
        match fault {
            Fault::StopRedis | Fault::KillRedis | Fault::FlushRedis | Fault::RestoreDump => {
                self.break_redis(fault, duration).await
            }
            Fault::CutLink
            | Fault::RefuseLink
            | Fault::HoldRequests
            | Fault::HoldReplies
            | Fault::SlowLink => self.break_link(fault, (side, duration, coin)).await,
            Fault::SwallowLink | Fault::LockRows => {
                self.break_database(fault, (side, duration)).await
            }
            Fault::KillServer
            | Fault::WrongClock
            | Fault::FullLog
            | Fault::UnreadLog
            | Fault::ManySockets => self.break_server(fault, (side, duration, coin)).await,
        }
    }

    /// Faults of Redis itself.
    async fn break_redis(&mut self, fault: Fault, duration: Duration) -> &'static str {
        match fault {
            Fault::StopRedis => {
                self.redis.signal(Signal::STOP);
                tokio::time::sleep(duration).await;
                self.redis.signal(Signal::CONT);
                "Redis stopped and went on"
            }
            Fault::KillRedis => {
                self.redis.kill();
                tokio::time::sleep(duration).await;
                self.redis.restart();
                "Redis killed, came back empty"
            }
            Fault::FlushRedis => {
                self.redis.command(&["FLUSHALL"]).await.unwrap();
                "Redis flushed"
            }
            Fault::RestoreDump => {
                self.redis.command(&["SAVE"]).await.unwrap();
                // Writes continue, so the dump becomes outdated. The relay marks some of these writes as relayed, so
                // it does not delete their tags again after the restore.
                tokio::time::sleep(duration * 3).await;
                self.redis.kill();
                self.redis.restart();
                std::fs::remove_file(self.redis.dump()).unwrap();
                "Redis killed, came back with an old dump"
            }
            _ => unreachable!("not one of these: {fault:?}"),
        }
    }

    /// Faults between a server and Redis.
    async fn break_link(
        &mut self,
        fault: Fault,
        (side, duration, coin): (usize, Duration, bool),
    ) -> &'static str {
        let proxy = &self.proxies[side];
        match fault {
            Fault::CutLink => {
                proxy.cut();
                "a link cut"
            }
            Fault::RefuseLink => {
                proxy.set(|faults| {
                    faults.generation += 1;
                    faults.refuses = true;
                });
                tokio::time::sleep(duration).await;
                proxy.heal();
                "a link cut and refused"
            }
            Fault::HoldRequests | Fault::HoldReplies | Fault::SlowLink => {
                let delay = Flow::Delayed(duration / 6);
                proxy.set(|faults: &mut Faults| match fault {
                    Fault::HoldRequests => faults.requests = Flow::Held,
                    Fault::HoldReplies => faults.replies = Flow::Held,
                    _ => faults.replies = delay,
                });
                tokio::time::sleep(duration).await;
                if coin {
                    // Held bytes are lost with the connection instead of delivered late.
                    proxy.cut();
                }
                proxy.heal();
                match fault {
                    Fault::HoldRequests => "requests to Redis held",
                    Fault::HoldReplies => "replies of Redis held",
                    _ => "replies of Redis slow",
                }
            }
            _ => unreachable!("not one of these: {fault:?}"),
        }
    }

    /// Faults between a server and PostgreSQL, and row locks.
    async fn break_database(
        &mut self,
        fault: Fault,
        (side, duration): (usize, Duration),
    ) -> &'static str {
        match fault {
            Fault::SwallowLink => {
                let link = &self.links[side];
                link.set(|faults| {
                    faults.requests = Flow::Swallowed;
                    faults.replies = Flow::Swallowed;
                });
                tokio::time::sleep(duration * 13).await;
                link.heal();
                "packets to PostgreSQL swallowed"
            }
            Fault::LockRows => {
                let mut holder = self.pool.begin().await.unwrap();
                sqlx::raw_sql("select from products for update; select from customers for update")
                    .execute(&mut *holder)
                    .await
                    .unwrap();
                tokio::time::sleep(self.hold).await;
                holder.rollback().await.unwrap();
                "rows locked by hand"
            }
            _ => unreachable!("not one of these: {fault:?}"),
        }
    }

    /// Faults of a server and its environment.
    async fn break_server(
        &mut self,
        fault: Fault,
        (side, duration, coin): (usize, Duration, bool),
    ) -> &'static str {
        let proxy = &self.proxies[side];
        match fault {
            Fault::KillServer => {
                // Meanwhile committed writes wait for the reply to their tag deletion.
                proxy.set(|faults| faults.requests = Flow::Held);
                tokio::time::sleep(duration / 8).await;
                self.nodes[side].kill();
                proxy.cut();
                proxy.heal();
                self.nodes[side].restart();
                "a server killed between commit and answer"
            }
            Fault::WrongClock => {
                let days = if coin { 400 } else { -400 };
                self.nodes[side].kill();
                if let Some(words) = self.nodes[side].start_with_clock_off(days) {
                    assert!(words.contains("the clock of this machine is"), "{words}");
                }
                self.nodes[side].restart();
                "a server started with its clock 400 days off, and refused"
            }
            Fault::FullLog | Fault::UnreadLog => {
                let (odd, name) = match fault {
                    Fault::FullLog => (StartMode::LogIsFull, "a log on a full disk"),
                    _ => (StartMode::LogIsUnread, "a log that nobody reads"),
                };
                self.nodes[side].kill();
                self.nodes[side].restart_as(odd);
                // Long enough for far more lines than a pipe can buffer.
                tokio::time::sleep(duration * 5).await;
                self.nodes[side].kill();
                self.nodes[side].restart();
                name
            }
            Fault::ManySockets => {
                let node = &mut self.nodes[side];
                node.kill();
                node.restart_as(StartMode::FewSockets(FEW_SOCKETS));
                let mut sockets = Vec::new();
                for _ in 0..FEW_SOCKETS * 2 {
                    let opening = tokio::net::TcpStream::connect(node.address);
                    let opened = tokio::time::timeout(duration / 8, opening).await;
                    let Ok(Ok(socket)) = opened else { break };
                    sockets.push(socket);
                }
                tokio::time::sleep(duration).await;
                drop(sockets);
                "a server without a free socket"
            }
            _ => unreachable!("not one of these: {fault:?}"),
        }
    }
}
