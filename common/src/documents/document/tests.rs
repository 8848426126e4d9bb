use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::NewOrder;

#[test]
fn merging_follows_the_examples_of_the_rfc() {
    for (mut target, patch, merged) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (
            json!({"a": "b"}),
            json!({"b": "c"}),
            json!({"a": "b", "b": "c"}),
        ),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (
            json!({"a": {"b": "c"}}),
            json!({"a": {"b": "d", "c": null}}),
            json!({"a": {"b": "d"}}),
        ),
        (
            json!({"a": [{"b": "c"}]}),
            json!({"a": [1]}),
            json!({"a": [1]}),
        ),
        (
            json!({}),
            json!({"a": {"bb": {"ccc": null}}}),
            json!({"a": {"bb": {}}}),
        ),
    ] {
        merge(&mut target, patch);
        assert_eq!(target, merged);
    }
}

#[test]
fn a_difference_merged_gives_the_new_document() {
    let old = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]});
    let new = json!({"a": 1, "b": {"c": 4}, "e": [1, 2], "f": "x"});
    let patch = difference(&old, &new);
    assert_eq!(
        patch,
        json!({"b": {"c": 4, "d": null}, "e": [1, 2], "f": "x"})
    );
    let mut merged = old;
    merge(&mut merged, patch);
    assert_eq!(merged, new);
}

#[test]
fn changes_are_told_field_by_field() {
    let before =
        json!({"version": 1, "a": {"b": 1, "c": 2}, "items": [{"n": 1}, {"n": 2}], "x": [1]});
    let after =
        json!({"version": 2, "a": {"b": 1, "d/e": 3}, "items": [{"n": 1}, {"n": 5}], "x": [1, 2]});
    let found: Vec<_> = changes(&before, &after)
        .into_iter()
        .map(|change| (change.pointer, change.before, change.after))
        .collect();
    let expected = [
        ("/a/c", json!(2), Value::Null),
        ("/a/d~1e", Value::Null, json!(3)),
        ("/items/1/n", json!(2), json!(5)),
        ("/x", json!([1]), json!([1, 2])),
    ];
    let expected = expected.map(|(pointer, before, after)| (pointer.to_owned(), before, after));
    assert_eq!(found, expected);
    assert_eq!(changes(&before, &before), []);
}

#[test]
fn what_the_server_sets_is_taken_out() {
    let mut order =
        json!({"id": 1, "total_minor": 2, "note": "x", "items": [{"line_no": 1, "quantity": 3}]});
    strip_read_only(&mut order);
    assert_eq!(order, json!({"note": "x", "items": [{"quantity": 3}]}));
}

#[test]
fn members_that_nobody_knows_are_found() {
    let read = json!({"a": 1, "b": [{"c": 2}], "d": {"e": 3}});
    let refused = |document: Value| refuse_unknown(&document, &read).unwrap_err().pointer;
    assert_eq!(refuse_unknown(&json!({"b": [{}], "a": 5}), &read), Ok(()));
    assert_eq!(refused(json!({"x": 1})), "/x");
    assert_eq!(refused(json!({"b": [{"x/y": 1}]})), "/b/0/x~1y");
    assert_eq!(refused(json!({"d": {"e": 3, "f": 4}})), "/d/f");
}

#[test]
fn a_fault_is_named_by_its_place() {
    let customer = "0192d3f0-0000-7000-8000-000000000000";
    let fault = |items: Value| {
        let error = from_value::<NewOrder>(&json!({"customer_id": customer, "items": items}));
        let error = error.unwrap_err();
        (error.pointer, error.code)
    };
    let named = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
    assert_eq!(
        fault(json!([{"product_id": customer, "quantity": "3"}])),
        named("/items/0/quantity", "wrong_type")
    );
    assert_eq!(
        fault(json!([{"product_id": customer, "quantity": 3, "colour": 1}])),
        named("/items/0/colour", "unknown_field")
    );
    assert_eq!(
        fault(json!([{"product_id": customer, "quantity": 3, "line_no": 1}])),
        named("/items/0/line_no", "read_only")
    );
    assert_eq!(
        fault(json!([{"quantity": 3}])),
        named("/items/0/product_id", "required")
    );
    assert_eq!(
        fault(json!([[customer, 1]])),
        named("/items/0", "wrong_type")
    );
}

#[test]
fn a_member_that_stands_twice_is_refused_at_any_depth() {
    for (text, at) in [
        (r#"{"a": 1, "a": 2}"#, ""),
        (r#"{"b": [{"c": {"a": 1, "a": 1}}]}"#, "/b/0/c"),
    ] {
        let fault = parse(text.as_bytes()).unwrap_err();
        assert_eq!((&*fault.pointer, &*fault.code), (at, "repeated"));
        assert_eq!(fault.message, "has `a` twice");
    }
    let text = r#"{"a":[1,-2,2.5,null,true,"x"],"b":{"a":{}}}"#;
    assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
}

#[test]
fn null_is_refused_where_it_would_set_a_default() {
    let read = json!({"stock": 0, "note": "", "address": {"city": ""}, "active": true});
    let refused = |sent: Value| refuse_null(&sent, &read).map_err(|fault| fault.pointer);
    assert_eq!(refused(json!({"stock": null})), Err("/stock".into()));
    assert_eq!(refused(json!({"active": null})), Err("/active".into()));
    let empty = json!({"note": null, "address": null, "stock": 0});
    assert_eq!(refused(empty), Ok(()));
    assert_eq!(refused(json!({"address": {"city": null}})), Ok(()));
    assert_eq!(
        refused(json!({"placed_at": null})),
        Err("/placed_at".into())
    );
    let line = json!({"items": [{"quantity": 1, "unit_price_minor": null}]});
    let read = json!({"items": [{"quantity": 1}]});
    let fault = refuse_null(&line, &read).unwrap_err();
    assert_eq!(fault.pointer, "/items/0/unit_price_minor");
}

/// Documents without null, which a merge patch cannot set.
fn objects() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map("[a-d]", value, 0..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_difference_merged_gives_the_new_document(old in objects(), new in objects()) {
        let patch = difference(&old, &new);
        let mut merged = old;
        merge(&mut merged, patch.clone());
        prop_assert_eq!(&merged, &new);
        // A patch that is applied twice changes nothing more.
        merge(&mut merged, patch);
        prop_assert_eq!(&merged, &new);
    }

    #[test]
    fn documents_are_equal_or_have_a_change(old in objects(), new in objects()) {
        prop_assert_eq!(changes(&old, &new).is_empty(), old == new);
        prop_assert_eq!(difference(&old, &old), json!({}));
    }
}
