//! The tabs of the client.

use serde::{Deserialize, Serialize};

/// The tabs, in the order of their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tab {
    #[default]
    Orders,
    Customers,
    Products,
    Categories,
    Jobs,
    Partitions,
    Dashboard,
}

impl Tab {
    pub const ALL: [Self; 7] = [
        Self::Orders,
        Self::Customers,
        Self::Products,
        Self::Categories,
        Self::Jobs,
        Self::Partitions,
        Self::Dashboard,
    ];
}
