//! The stock that a write of many rows moves. Each product is updated once, at the end. With an update per order, ten
//! thousand orders of one product would create ten thousand versions of its row, each slower to write than the last.

use std::collections::BTreeMap;

use stockroom_common::{Id, Product};

/// What an order needs to know about a product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StockRow {
    pub(crate) price_minor: i64,
    pub(crate) stock: i64,
    pub(crate) active: bool,
}

pub(crate) type StockRows = BTreeMap<Id<Product>, StockRow>;

/// Pieces taken from the stock (returned to it if negative), by product.
pub(crate) type Pieces = BTreeMap<Id<Product>, i64>;

/// The products that a write has locked, and the stock that it has moved.
#[derive(Debug)]
pub(crate) struct StockMoves {
    /// The locked products, with the stock that is left after the moves so far.
    rows: StockRows,
    moved: Pieces,
    /// The moves of the row that is being written.
    of_row: Vec<(Id<Product>, i64)>,
}

impl StockMoves {
    pub(crate) fn new(rows: StockRows) -> Self {
        Self {
            rows,
            moved: Pieces::new(),
            of_row: Vec::new(),
        }
    }

    pub(crate) const fn rows(&self) -> &StockRows {
        &self.rows
    }

    /// Begins a row, which [`StockMoves::undo_row`] can undo alone.
    pub(crate) fn begin_row(&mut self) {
        self.of_row.clear();
    }

    /// Moves pieces of products; all of them must be among the locked ones.
    pub(crate) fn apply(&mut self, pieces: &Pieces) {
        for (&product, &quantity) in pieces {
            self.shift(product, quantity);
            self.of_row.push((product, quantity));
        }
    }

    /// Reverts the moves of the current row.
    pub(crate) fn undo_row(&mut self) {
        for (product, quantity) in std::mem::take(&mut self.of_row) {
            self.shift(product, -quantity);
        }
    }

    fn shift(&mut self, product: Id<Product>, quantity: i64) {
        if let Some(row) = self.rows.get_mut(&product) {
            row.stock -= quantity;
        }
        *self.moved.entry(product).or_default() += quantity;
    }

    /// The total moves to write, without products that end unchanged.
    pub(crate) fn into_moved(mut self) -> Pieces {
        self.moved.retain(|_, quantity| *quantity != 0);
        self.moved
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_row_that_is_undone_has_moved_nothing() {
        let [a, b] = [1, 2].map(|n| Id::<Product>::new(Uuid::from_u128(n)));
        let row = StockRow {
            price_minor: 1,
            stock: 10,
            active: true,
        };
        let mut moves = StockMoves::new(StockRows::from([(a, row), (b, row)]));
        moves.begin_row();
        moves.apply(&Pieces::from([(a, 3), (b, 4)]));
        moves.begin_row();
        moves.apply(&Pieces::from([(a, 7), (b, -4)]));
        assert_eq!((moves.rows()[&a].stock, moves.rows()[&b].stock), (0, 10));
        moves.undo_row();
        moves.undo_row();
        assert_eq!((moves.rows()[&a].stock, moves.rows()[&b].stock), (7, 6));
        assert_eq!(moves.into_moved(), Pieces::from([(a, 3), (b, 4)]));
    }
}
