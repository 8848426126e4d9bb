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
    /// Follow what happens in the shop, a line for each change, until you end it
    Changes {
        /// Only these: order, customer, product, category, with commas between
        #[arg(long)]
        entity: Option<String>,
        /// Go on after the change at this position
        #[arg(long)]
        after: Option<i64>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Partitions of orders and of the change log
    #[command(subcommand)]
    Partitions(PartitionAction),
    /// Fill the shop with realistic test data; the same command goes on where it stopped
    Seed {
        #[command(flatten)]
        sizes: NewSeedJob,
        /// Print the job as it ended, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Jobs: those that ran, run and wait, whoever asked for them
    #[command(subcommand)]
    Jobs(JobAction),
    /// Print the keys in force, with the names by which `config.toml` can change them
    Keys {
        /// As a page of Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// Look whether all is well: paths, settings, the terminal, the server
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
            format!("`{text}` is no id; ids are UUIDs, and orders have numbers")
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
        /// Rows at the most
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// All rows, however many
        #[arg(long, conflicts_with = "limit")]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// One row
    Get {
        /// Its id; of an order its number will do
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
    /// Give fields of a row other values
    Update {
        /// Its id; of an order its number will do
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
    /// Delete rows, all that can be
    Delete {
        #[arg(required = true)]
        ids: Vec<RowName>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Who changed a row, when, and what of it
    History {
        /// Its id; of an order its number will do
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
    /// Write the rows of a file into the shop: new ones are created, others changed
    Import {
        /// A name that ends in .csv or .ndjson, with .gz or without; `-` for standard input
        file: PathBuf,
        /// `csv` or `ndjson`; else as the name of the file says
        #[arg(long)]
        format: Option<stockroom_common::format::Format>,
        /// Only say what would happen
        #[arg(long)]
        dry_run: bool,
        /// Nothing is written unless every row can be
        #[arg(long)]
        all_or_nothing: bool,
        /// Into an empty shop: rows with their ids and versions, as they were
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
    /// Words that must be found; of an order its number
    #[arg(long, short = 'q')]
    pub search: Option<String>,
    /// The order, such as name; a - before it reverses it
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
    /// Take partitions off their tables; their rows cannot be read until they are restored
    Archive {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Put archived partitions back
    Restore {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Delete archived partitions for good
    Delete {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum JobAction {
    /// Those under way and the last hundred that have ended, the newest first
    List {
        /// As JSON, a job in each line
        #[arg(long)]
        json: bool,
    },
    /// One job, with the rows of its file that were refused in its JSON
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
    /// Stop a job after what it has begun, or take it out of the queue
    Cancel { id: Uuid },
    /// Do for good what an import has only tried
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
