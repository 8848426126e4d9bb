//! Shared by the server and the client: the wire types and the rules that both check; the paths where a local client
//! finds a local server; a log that never blocks the program. No async runtime and no SQL types.

mod entities {
    pub mod category;
    pub mod customer;
    pub mod id;
    pub mod order;
    pub mod product;
    pub mod resource;
}

mod documents {
    pub mod check;
    pub mod document;
    pub mod format;
    pub mod table;
}

mod wire {
    pub mod access;
    pub mod bulk;
    pub mod change;
    pub mod page;
    pub mod partition;
    pub mod problem;
    pub mod stats;
}

mod work {
    pub mod job;
    pub mod seed;
}

mod host {
    pub mod environment;
    pub mod local_paths;
    pub mod log_sink;
    pub mod secret;
}

// Callers name a module without its folder: the folders only organise the source.
pub use self::{
    documents::{check, document, format, table},
    entities::{category, customer, id, order, product, resource},
    host::{environment, local_paths, log_sink, secret},
    wire::{access, bulk, change, page, partition, problem, stats},
    work::{job, seed},
};

pub use access::Role;
pub use category::{Category, CategoryFilter, NewCategory};
pub use customer::{Address, Customer, CustomerFilter, NewCustomer};
pub use id::Id;
pub use log_sink::LogSink;
pub use order::{NewOrder, NewOrderItem, Order, OrderFilter, OrderItem, OrderStatus};
pub use page::{Count, Page, Total};
pub use problem::{FieldError, Kind, Problem};
pub use product::{NewProduct, Product, ProductFilter};
pub use resource::Resource;
pub use secret::Secret;
