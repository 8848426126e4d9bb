//! What the writers do.

use super::*;

impl Shop {
    pub(super) async fn write_on(&self, mut random: ChaCha8Rng) {
        while !self.is_over.load(Relaxed) {
            // Readers need time to fill the cache; otherwise it holds nothing that could become stale.
            tokio::time::sleep(Duration::from_millis(random.random_range(10..80))).await;
            if random.random_ratio(1, 3) {
                self.order(&mut random).await;
            } else {
                self.patch(&mut random).await;
            }
        }
    }

    pub(super) async fn patch(&self, random: &mut ChaCha8Rng) {
        let row = self.rows.choose(random).unwrap();
        let name = format!("Name {}", self.names.fetch_add(1, Relaxed));
        let request = self
            .client
            .patch(self.url(random, &row.path))
            .body(json!({row.field: name}).to_string());
        if let Some((row_now, is_deferred)) = self.acknowledged(request, 200).await {
            row.versions
                .acknowledge(row_now["version"].as_i64().unwrap(), is_deferred);
        }
    }

    pub(super) async fn order(&self, random: &mut ChaCha8Rng) {
        let (customer, newest) = self.customers.choose(random).unwrap();
        let order = json!({
            "customer_id": customer, "items": [{"product_id": self.product, "quantity": 1}],
        });
        let request = self
            .client
            .post(self.url(random, "/v1/orders"))
            .body(order.to_string());
        if let Some((order, is_deferred)) = self.acknowledged(request, 201).await {
            for ledger in [newest, &self.newest] {
                ledger.acknowledge(micros(&order["placed_at"]), is_deferred);
            }
            self.ordered.count(is_deferred);
            self.report()
                .orders
                .push(text(&order["id"]).parse().unwrap());
        }
    }

    /// The row of an acknowledged write, and whether the write was deferred.
    pub(super) async fn acknowledged(
        &self,
        request: reqwest::RequestBuilder,
        status: u16,
    ) -> Option<(Value, bool)> {
        let request = request.header("content-type", "application/json");
        let was_excused = self.may_refuse();
        let answered = match request.send().await {
            Ok(response) => {
                let found = response.status().as_u16();
                let is_deferred = response.headers().contains_key("stockroom-invalidation");
                body_of(response)
                    .await
                    .map(|body| (found, is_deferred, body))
            }
            Err(_) => None,
        };
        let mut report = self.report();
        let Some((found, is_deferred, body)) = answered else {
            report.unanswered += 1;
            return None;
        };
        if self.is_excused(found, was_excused) {
            report.refused += 1;
            return None;
        }
        if found != status {
            report
                .violations
                .push(format!("a write was answered {found}: {body}"));
            return None;
        }
        report.acknowledged += 1;
        report.deferred += u64::from(is_deferred);
        Some((body, is_deferred))
    }
}
