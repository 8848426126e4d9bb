//! The servers, the Redis between them and what can go wrong.

use std::time::Duration;

use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use stockroom_tests::{
    Node, RedisProcess, database_url, fresh_database,
    proxy::{Faults, Flow, Proxy},
};

pub(super) struct Rig {
    pub(super) nodes: [Node; 2],
    proxies: [Proxy; 2],
    redis: RedisProcess,
    /// What may go wrong.
    faults: &'static [Fault],
}

#[derive(Clone, Copy, Debug)]
enum Fault {
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
}

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
];

impl Rig {
    pub(super) async fn start(breach: Option<&'static str>) -> Self {
        let redis = RedisProcess::start();
        let proxies = [
            Proxy::start(redis.address).await,
            Proxy::start(redis.address).await,
        ];
        let database = database_url(&fresh_database().await);
        let node = |proxy: &Proxy| {
            let mut environment = vec![
                ("DATABASE_URL", database.clone()),
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
            nodes: [node(&proxies[0]), node(&proxies[1])],
            proxies,
            redis,
            // The epoch guards against nothing but this; among the others it would be rare.
            faults: match breach {
                Some("no-epoch") => &[Fault::RestoreDump],
                _ => FAULTS,
            },
        }
    }

    /// Makes one thing go wrong for a while, and mends it; tells what it was.
    pub(super) async fn make_fault(&mut self, random: &mut ChaCha8Rng) -> &'static str {
        let fault = *self.faults.choose(random).unwrap();
        let side = random.random_range(0..2);
        let proxy = &self.proxies[side];
        let while_ = Duration::from_millis(random.random_range(20..600));
        match fault {
            Fault::StopRedis => {
                self.redis.signal(Signal::STOP);
                tokio::time::sleep(while_).await;
                self.redis.signal(Signal::CONT);
                "Redis stopped and went on"
            }
            Fault::KillRedis => {
                self.redis.kill();
                tokio::time::sleep(while_).await;
                self.redis.restart();
                "Redis killed, came back empty"
            }
            Fault::FlushRedis => {
                self.redis.command(&["FLUSHALL"]).await.unwrap();
                "Redis flushed"
            }
            Fault::RestoreDump => {
                self.redis.command(&["SAVE"]).await.unwrap();
                // Writes go on, so that what the dump says becomes old; and the relay marks some of
                // them as told, so that it does not delete their tags again afterwards.
                tokio::time::sleep(while_ * 3).await;
                self.redis.kill();
                self.redis.restart();
                std::fs::remove_file(self.redis.dump()).unwrap();
                "Redis killed, came back with an old dump"
            }
            Fault::CutLink => {
                proxy.cut();
                "a link cut"
            }
            Fault::RefuseLink => {
                proxy.set(|faults| {
                    faults.generation += 1;
                    faults.refuses = true;
                });
                tokio::time::sleep(while_).await;
                proxy.heal();
                "a link cut and refused"
            }
            Fault::HoldRequests | Fault::HoldReplies | Fault::SlowLink => {
                let delay = Flow::Delayed(while_ / 6);
                proxy.set(|faults: &mut Faults| match fault {
                    Fault::HoldRequests => faults.requests = Flow::Held,
                    Fault::HoldReplies => faults.replies = Flow::Held,
                    _ => faults.replies = delay,
                });
                tokio::time::sleep(while_).await;
                if random.random() {
                    // What was held is lost with the connection, not delivered late.
                    proxy.cut();
                }
                proxy.heal();
                match fault {
                    Fault::HoldRequests => "requests to Redis held",
                    Fault::HoldReplies => "replies of Redis held",
                    _ => "replies of Redis slow",
                }
            }
            Fault::KillServer => {
                // Writes that have committed wait for the answer to their delete meanwhile.
                proxy.set(|faults| faults.requests = Flow::Held);
                tokio::time::sleep(while_ / 8).await;
                self.nodes[side].kill();
                proxy.cut();
                proxy.heal();
                self.nodes[side].restart();
                "a server killed between commit and answer"
            }
        }
    }
}
