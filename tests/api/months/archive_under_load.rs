//! Archiving and restoring while orders are written and read.

use super::archive::{archive, options, order_at, restore};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use stockroom_tests::{Deadline, Shop, path};
use tokio::task::JoinSet;

/// The load that runs while every month is archived and restored.
struct Load {
    shop: Shop,
    customer: Value,
    product: Value,
    months: Vec<String>,
    /// The path of one order per month.
    orders: Vec<String>,
    is_over: AtomicBool,
    placed: AtomicUsize,
    patched: AtomicUsize,
    /// The number of responses that report an archived order.
    gone: AtomicUsize,
}

impl Load {
    async fn start(year: i32) -> Self {
        let shop = Shop::open_with(options()).await;
        let customer = shop.customer("ada@example.org").await;
        let product = shop.product("A-1", 1_000_000).await;
        let months: Vec<String> = (1..=12).map(|month| format!("{year}-{month:02}")).collect();
        let mut orders = Vec::new();
        for month in &months {
            let at = format!("{month}-05T12:00:00Z");
            let order = order_at(&shop, &customer, &product, &at).await;
            orders.push(path("orders", &order));
        }
        Self {
            shop,
            customer,
            product,
            months,
            orders,
            is_over: AtomicBool::new(false),
            placed: AtomicUsize::new(0),
            patched: AtomicUsize::new(0),
            gone: AtomicUsize::new(0),
        }
    }

    async fn work(&self, worker: usize) {
        for round in worker.. {
            if self.is_over.load(Relaxed) {
                return;
            }
            let order = &self.orders[round % self.orders.len()];
            let note = json!({"note": format!("{worker}-{round}")});
            let answer = match worker {
                0..4 => {
                    let month = &self.months[round % self.months.len()];
                    let order = json!({
                        "customer_id": self.customer["id"],
                        "placed_at": format!("{month}-06T12:00:00Z"),
                        "items": [{"product_id": self.product["id"], "quantity": 1}],
                    });
                    self.shop.post("/v1/orders", &order).await
                }
                4..8 => self.shop.patch(order, &note).await,
                8..12 => self.shop.get(order).await,
                _ => self.shop.get("/v1/orders?limit=200").await,
            };
            let is_archived = answer.body["errors"][0]["code"] == "archived";
            match (worker, answer.status.as_u16()) {
                (0..4, 201) => self.placed.fetch_add(1, Relaxed),
                (4..8, 200) => self.patched.fetch_add(1, Relaxed),
                (8.., 200) => 0,
                (4..12, 410) => self.gone.fetch_add(1, Relaxed),
                (0..4, 409) if is_archived => 0,
                (_, status) => panic!("worker {worker}: {status} {}", answer.body),
            };
        }
    }

    fn partitions(&self) -> impl Iterator<Item = String> {
        let months = self.months.iter();
        months.map(|month| format!("orders_{}", month.replace('-', "_")))
    }
}

/// Eight writers and eight readers run meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn archiving_and_restoring_a_year_under_load_loses_nothing() {
    let load = Arc::new(Load::start(2025).await);
    let mut workers = JoinSet::new();
    for worker in 0..16 {
        let load = load.clone();
        workers.spawn(async move { load.work(worker).await });
    }
    for name in load.partitions() {
        archive(&load.shop, &name).await;
    }
    // Every month is archived, so every request for a single order gets a 410. Waits for eight more of them.
    let reported = load.gone.load(Relaxed) + 8;
    let deadline = Deadline::new("the deletions that were reported", 120);
    while load.gone.load(Relaxed) < reported {
        deadline.check();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for name in load.partitions() {
        restore(&load.shop, &name).await;
    }
    load.is_over.store(true, Relaxed);
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    let (kept, versions, lines): (i64, i64, i64) = sqlx::query_as(
        "select count(*), coalesce(sum(version - 1), 0)::bigint,
            (select count(*) from order_items) from orders",
    )
    .fetch_one(&load.shop.pool)
    .await
    .unwrap();
    let (placed, patched) = (load.placed.load(Relaxed), load.patched.load(Relaxed));
    assert!(placed > 0 && patched > 0);
    assert_eq!(kept as usize, load.orders.len() + placed);
    assert_eq!(versions as usize, patched);
    assert_eq!(lines, kept);
    assert_eq!(load.shop.stock(&load.product).await, 1_000_000 - kept);
}
