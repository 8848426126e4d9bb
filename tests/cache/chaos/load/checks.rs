//! What a read must satisfy, and the comparison of all servers at the end.

use super::*;

impl Shop {
    /// Compares the result of a read that started at `since` with what was known before it.
    pub(super) fn check(&self, what: &str, known: Known, since: Instant, found: i64) {
        if found < known.acknowledged {
            let violation = format!(
                "stale: {what} is {found}, acknowledged was {}",
                known.acknowledged
            );
            self.report().violations.push(violation);
            return;
        }
        let Some((deferred, at)) = known.deferred.filter(|(deferred, _)| found < *deferred) else {
            return;
        };
        let calm_since = *lock(&self.calm_since);
        let mut report = self.report();
        report.old_after_deferred += 1;
        let has_had_time = |calm: Instant| since > calm.max(at) + REPAIRED_WITHIN;
        // There was no fault in between, because a fault resets `calm_since`.
        if calm_since.is_some_and(has_had_time) {
            let violation =
                format!("stale: {what} is {found}, deferred was {deferred}, not repaired");
            report.violations.push(violation);
        }
    }

    /// At the end every cached response must equal the database.
    pub(super) async fn compare(&self) {
        let mut paths: Vec<String> = self.rows.iter().map(|row| row.path.clone()).collect();
        paths.push(format!(
            "/v1/products?category_id={}&sort=sku",
            self.category
        ));
        paths.push("/v1/orders?limit=1".into());
        for (customer, _) in &self.customers {
            paths.push(format!("/v1/orders?customer_id={customer}&limit=1"));
        }
        let deadline = Instant::now() + REPAIRED_WITHIN;
        for path in paths {
            for node in &self.nodes {
                let url = format!("http://{node}{path}");
                while let Some(violation) = self.difference(&url).await {
                    if Instant::now() > deadline {
                        self.report().violations.push(violation);
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// The difference between the cached response and the database, if they differ.
    pub(super) async fn difference(&self, url: &str) -> Option<String> {
        let cached = self.client.get(url).send().await.ok()?.text().await.ok()?;
        let fresh = self.client.get(url).header("cache-control", "no-cache");
        let fresh = fresh.send().await.ok()?.text().await.ok()?;
        (cached != fresh).then(|| format!("stale: {url} is {cached} in the end, not {fresh}"))
    }
}
