use std::collections::HashMap;

use sha2::{Digest, Sha256};
use stockroom_common::Resource;

use super::*;

fn request(seed: u32) -> NewSeedJob {
    NewSeedJob {
        seed,
        categories: 10,
        products: 200,
        customers: 500,
        orders: 3_000,
        months: 14,
        until: None,
        rate: None,
    }
}

fn generator(seed: u32) -> Generator {
    Generator::new(&request(seed), "2026-11-24T00:00:00Z".parse().unwrap())
}

fn hash(generator: &Generator) -> String {
    let mut hash = Sha256::new();
    let mut add = |row: String| hash.update(row.as_bytes());
    (0..10).for_each(|i| add(format!("{:?}", generator.category(i))));
    (0..200).for_each(|i| add(format!("{:?}", generator.product(i))));
    (0..500).for_each(|i| add(format!("{:?}", generator.customer(i))));
    (0..3_000).for_each(|i| add(format!("{:?}", generator.order(i))));
    hash.finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_rows_for_ever() {
    assert_eq!(hash(&generator(1)), "8555a51ef3787b2f");
    assert_ne!(hash(&generator(1)), hash(&generator(2)));
}

#[test]
fn every_row_keeps_the_rules_of_single_writes() {
    let generator = generator(3);
    for i in 0..10 {
        assert_eq!(Category::check(&generator.category(i).document()), []);
    }
    for i in 0..200 {
        assert_eq!(Product::check(&generator.product(i).document()), []);
    }
    for i in 0..500 {
        assert_eq!(Customer::check(&generator.customer(i).document()), []);
    }
    for i in 0..3_000 {
        assert_eq!(Order::check(&generator.order(i).document()), []);
    }
}

#[test]
fn references_point_back_in_time_and_totals_add_up() {
    let generator = generator(4);
    let customers: HashMap<_, _> = (0..500)
        .map(|i| generator.customer(i))
        .map(|customer| (customer.id, customer.created_at))
        .collect();
    let products: HashMap<_, _> = (0..200)
        .map(|i| generator.product(i))
        .map(|product| (product.id, product))
        .collect();
    for order in (0..3_000).map(|i| generator.order(i)) {
        assert_eq!(order.id.time(), Some(order.placed_at));
        assert!(order.placed_at >= generator.begins_at && order.placed_at < generator.until);
        assert!(
            customers[&order.customer_id] <= order.placed_at,
            "{order:?}"
        );
        let mut total = 0;
        for item in &order.items {
            assert!(products[&item.product_id].created_at <= order.placed_at);
            assert_eq!(
                products[&item.product_id].price_minor,
                item.unit_price_minor
            );
            total += i64::from(item.quantity) * item.unit_price_minor;
        }
        assert_eq!(order.total_minor, total);
    }
}

#[test]
fn parts_cover_every_row_once_and_keep_to_their_month() {
    let generator = generator(5);
    let mut next: HashMap<&str, i64> = HashMap::new();
    for part in generator.parts(1_000) {
        let next = next.entry(part.entity.path()).or_default();
        assert_eq!(part.rows.start, *next);
        *next = part.rows.end;
        if let Some(month) = part.month {
            for order in part.rows.map(|i| generator.order(i)) {
                assert_eq!(month_start(order.placed_at, 0), month);
            }
        }
    }
    let rows = [
        ("categories", 10),
        ("products", 200),
        ("customers", 500),
        ("orders", 3_000),
    ];
    assert_eq!(next, HashMap::from(rows));
}

#[test]
fn few_products_and_customers_make_most_of_the_orders() {
    let generator = generator(6);
    let mut by_product: HashMap<_, usize> = HashMap::new();
    let mut by_customer: HashMap<_, usize> = HashMap::new();
    for order in (0..3_000).map(|i| generator.order(i)) {
        *by_customer.entry(order.customer_id).or_default() += 1;
        for item in order.items {
            *by_product.entry(item.product_id).or_default() += 1;
        }
    }
    let top_fifth = |counts: Vec<usize>| {
        let mut counts = counts;
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let top: usize = counts.iter().take(counts.len() / 5).sum();
        top as f64 / counts.iter().sum::<usize>() as f64
    };
    assert!(top_fifth(by_product.into_values().collect()) > 0.6);
    assert!(top_fifth(by_customer.into_values().collect()) > 0.4);
}
