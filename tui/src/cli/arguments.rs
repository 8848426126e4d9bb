//! The command line of the client without its screens.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Subcommand};
use serde::Serialize;
use stockroom_common::{order::OrderNumber, seed::NewSeedJob};
use uuid::Uuid;

/// What the client does without its screens. Data goes to standard output, talk to standard error; the exit
/// code is 0 where it was done, 1 where it was refused, 2 for wrong usage, 3 where the server cannot be
/// reached.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Orders
    #[command(subcommand)]
    Orders(Action<OrderFilters>),
    /// Customers
    #[command(subcommand)]
    Customers(Action<NoFilters>),
    /// Products
    #[command(subcommand)]
    Products(Action<ProductFilters>),
    /// Categories
    #[command(subcommand)]
    Categories(Action<NoFilters>),
    /// The shop in figures
    Stats {
        /// How many months back
        #[arg(long, default_value_t = 12)]
        months: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Follow the changes in the shop, one line each
    Changes {
        /// Only these: order, customer, product, category, with commas between
        #[arg(long)]
        entity: Option<String>,
        /// Start after the change at this position
        #[arg(long)]
        after: Option<i64>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Partitions of orders and of the change log
    #[command(subcommand)]
    Partitions(PartitionAction),
    /// Fill the shop with realistic test data; run it again to continue where it stopped
    Seed {
        #[command(flatten)]
        sizes: NewSeedJob,
        /// Print the ended job as JSON
        #[arg(long)]
        json: bool,
    },
    /// Background jobs: waiting, running and ended
    #[command(subcommand)]
    Jobs(JobAction),
    /// Print the key bindings, with their names in `config.toml`
    Keys {
        /// As a page of Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// Check paths, settings, the terminal and the server
    Doctor {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
}

impl Command {
    /// Whether it changes something in the shop.
    pub const fn changes_something(&self) -> bool {
        match self {
            Self::Orders(action) => action.changes_something(),
            Self::Customers(action) | Self::Categories(action) => action.changes_something(),
            Self::Products(action) => action.changes_something(),
            Self::Partitions(action) => !matches!(action, PartitionAction::List { .. }),
            Self::Jobs(action) => {
                matches!(action, JobAction::Cancel { .. } | JobAction::Apply { .. })
            }
            Self::Seed { .. } => true,
            _ => false,
        }
    }
}

/// What a row is called on the command line.
#[derive(Clone, Copy, Debug)]
pub enum RowName {
    Id(Uuid),
    /// Of an order.
    Number(OrderNumber),
}

impl FromStr for RowName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.parse().map(Self::Id);
        let number = |_| text.parse().map(Self::Number);
        id.or_else(number).map_err(|_: String| {
            format!("`{text}` is not an id; ids are UUIDs, and orders have numbers")
        })
    }
}

#[derive(Debug, Subcommand)]
pub enum Action<F: Args> {
    /// The rows of a list
    List {
        #[command(flatten)]
        filters: F,
        #[command(flatten)]
        narrowing: Narrowing,
        /// Maximum number of rows
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// All rows
        #[arg(long, conflicts_with = "limit")]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// One row
    Get {
        /// Its id, or the number of an order
        id: RowName,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// A new row
    Create {
        #[command(flatten)]
        fields: Fields,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Change fields of a row
    Update {
        /// Its id, or the number of an order
        id: RowName,
        #[command(flatten)]
        fields: Fields,
        /// Only if the row is at this version
        #[arg(long)]
        if_version: Option<i64>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete rows; those that the server refuses stay
    Delete {
        #[arg(required = true)]
        ids: Vec<RowName>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show who changed a row, when and how
    History {
        /// Its id, or the number of an order
        id: RowName,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a whole list to a file, or to standard output
    Export {
        /// A name that ends in .csv or .ndjson; `-` for standard output
        #[arg(default_value = "-")]
        file: PathBuf,
        #[command(flatten)]
        filters: F,
        #[command(flatten)]
        narrowing: Narrowing,
        /// `csv` or `ndjson`; else as the name of the file says
        #[arg(long)]
        format: Option<stockroom_common::format::Format>,
    },
    /// Import the rows of a file into the shop: new ones are created, others changed
    Import {
        /// A name that ends in .csv or .ndjson, with .gz or without; `-` for standard input
        file: PathBuf,
        /// `csv` or `ndjson`; else as the name of the file says
        #[arg(long)]
        format: Option<stockroom_common::format::Format>,
        /// Only show what would happen
        #[arg(long)]
        dry_run: bool,
        /// Write nothing unless every row is accepted
        #[arg(long)]
        all_or_nothing: bool,
        /// Restore into an empty shop: rows keep their ids and versions
        #[arg(long)]
        restore: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

impl<F: Args> Action<F> {
    const fn changes_something(&self) -> bool {
        match self {
            Self::Create { .. } | Self::Update { .. } | Self::Delete { .. } => true,
            Self::Import { dry_run, .. } => !*dry_run,
            _ => false,
        }
    }
}

/// How rows are printed: as a table, unless something else is asked for.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// A JSON document in each line
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// CSV with a header
    #[arg(long)]
    pub csv: bool,
}

#[derive(Debug, Args)]
pub struct Narrowing {
    /// Search for these words, or an order number
    #[arg(long, short = 'q')]
    pub search: Option<String>,
    /// The sort key, such as name; a leading - reverses the order
    #[arg(long, allow_hyphen_values = true)]
    pub sort: Option<String>,
}

/// What a row is to say.
#[derive(Debug, Args)]
pub struct Fields {
    /// A field and its value, such as name=Tea or address.city=Cork; amounts in minor units
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub set: Vec<String>,
    /// A file with a JSON document; `-` for standard input
    #[arg(long)]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Args, Serialize)]
pub struct OrderFilters {
    #[arg(long)]
    pub customer_id: Option<String>,
    /// pending, paid, shipped, delivered, cancelled or returned
    #[arg(long)]
    pub status: Option<String>,
    /// Orders with this product
    #[arg(long)]
    pub product_id: Option<String>,
    /// Placed on this day or later, such as 2026-11-24
    #[arg(long)]
    pub placed_from: Option<String>,
    /// Placed before this day
    #[arg(long)]
    pub placed_before: Option<String>,
}

#[derive(Debug, Args, Serialize)]
pub struct ProductFilters {
    #[arg(long)]
    pub category_id: Option<String>,
    /// true or false
    #[arg(long)]
    pub active: Option<String>,
}

#[derive(Debug, Args, Serialize)]
pub struct NoFilters {}

#[derive(Debug, Subcommand)]
pub enum PartitionAction {
    /// All of them
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Archive partitions: their rows cannot be read until they are restored
    Archive {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Restore archived partitions
    Restore {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Delete archived partitions permanently
    Delete {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum JobAction {
    /// Waiting and running jobs and the last hundred that ended, newest first
    List {
        /// As JSON, a job in each line
        #[arg(long)]
        json: bool,
    },
    /// Show a job; its JSON lists the refused rows of its file
    Show {
        id: Uuid,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Follow a job to its end
    Follow {
        id: Uuid,
        /// Print it as JSON in the end
        #[arg(long)]
        json: bool,
    },
    /// Cancel a job
    Cancel { id: Uuid },
    /// Apply an import that was previewed
    Apply {
        id: Uuid,
        /// Print it as JSON in the end
        #[arg(long)]
        json: bool,
    },
    /// Save the file of an export; it is kept for a day
    Save {
        id: Uuid,
        /// Where to; `-` for standard output
        #[arg(default_value = "-")]
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use stockroom_common::{Category, Customer, Order, Product, Resource, document};

    use super::*;

    fn flags<R: Resource>(filters: &impl Serialize) {
        let flags = document::to_value(filters);
        let mut names: Vec<&str> = flags
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut known = R::FILTERS.to_vec();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known, "{}", R::PATH);
    }

    #[test]
    fn there_is_a_flag_for_each_filter() {
        flags::<Order>(&OrderFilters {
            customer_id: None,
            status: None,
            product_id: None,
            placed_from: None,
            placed_before: None,
        });
        flags::<Product>(&ProductFilters {
            category_id: None,
            active: None,
        });
        flags::<Customer>(&NoFilters {});
        flags::<Category>(&NoFilters {});
    }
}
