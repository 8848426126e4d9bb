//! What the server and the client say to each other: wire types, the rules that both check, and the
//! place where a local pair of them meets; and the log that holds neither of them up. No async runtime in
//! here; SQL types neither.

pub mod bulk;
pub mod category;
pub mod change;
pub mod check;
pub mod customer;
pub mod document;
pub mod environment;
pub mod format;
pub mod id;
pub mod job;
pub mod log_sink;
pub mod order;
pub mod page;
pub mod partition;
pub mod place;
pub mod problem;
pub mod product;
pub mod resource;
pub mod seed;
pub mod stats;
pub mod table;

pub use category::{Category, CategoryFilter, NewCategory};
pub use customer::{Address, Customer, CustomerFilter, NewCustomer};
pub use id::Id;
pub use log_sink::LogSink;
pub use order::{NewOrder, NewOrderItem, Order, OrderFilter, OrderItem, OrderStatus};
pub use page::{Count, Page, Total};
pub use problem::{FieldError, Kind, Problem};
pub use product::{NewProduct, Product, ProductFilter};
pub use resource::Resource;
