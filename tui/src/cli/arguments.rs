//! The commands of the client that run without its screens.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Subcommand};
use serde::Serialize;
use stockroom_common::{order::OrderNumber, seed::NewSeedJob};
use uuid::Uuid;

/// The commands that run without the screens. Data goes to standard output, messages to standard error. The exit code
/// is 0 on success, 1 if the command was refused, 2 for wrong usage, and 3 if the server cannot be reached or does not
/// answer.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List, change, export and import orders
    #[command(subcommand)]
    Orders(Action<OrderFilters>),
    /// List, change, export and import customers
    #[command(subcommand)]
    Customers(Action<NoFilters>),
    /// List, change, export and import products
    #[command(subcommand)]
    Products(Action<ProductFilters>),
    /// List, change, export and import categories
    #[command(subcommand)]
    Categories(Action<NoFilters>),
    /// Show the figures of the shop: orders and revenue per month
    Stats {
        /// Number of past months
        #[arg(long, default_value_t = 12)]
        months: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Follow the changes in the shop, one per line
    Changes {
        /// Only changes to these, separated by commas: order, customer, product, category
        #[arg(long)]
        entity: Option<String>,
        /// Start after the change at this position
        #[arg(long)]
        after: Option<i64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List, archive, restore and delete partitions of orders and of the change log
    #[command(subcommand)]
    Partitions(PartitionAction),
    /// Fill the shop with realistic test data; run it again to continue where it stopped
    Seed {
        #[command(flatten)]
        sizes: NewSeedJob,
        /// Print the job as JSON when it has ended
        #[arg(long)]
        json: bool,
    },
    /// Ask for a token, check it and save it for the server
    Login,
    /// Forget the saved token of the server
    Logout,
    /// Show the name, the role and the expiry of your token
    Whoami {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List, follow and cancel background jobs, apply imports and save exports
    #[command(subcommand)]
    Jobs(JobAction),
    /// Print the key bindings, with their names in `config.toml`
    Keys {
        /// Print a Markdown page
        #[arg(long)]
        markdown: bool,
    },
    /// Check paths, settings, the terminal and the server
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
}

impl Command {
    /// Whether the command changes anything in the shop.
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

/// How the command line identifies a row.
#[derive(Clone, Copy, Debug)]
pub enum RowName {
    Id(Uuid),
    /// The number of an order.
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
    /// List rows
    List {
        #[command(flatten)]
        filters: F,
        #[command(flatten)]
        list_args: ListArgs,
        /// Maximum number of rows
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Print all rows
        #[arg(long, conflicts_with = "limit")]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Show one row
    Get {
        /// The id of the row, or the number of an order
        id: RowName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Create a row
    Create {
        #[command(flatten)]
        fields: Fields,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change fields of a row
    Update {
        /// The id of the row, or the number of an order
        id: RowName,
        #[command(flatten)]
        fields: Fields,
        /// Change the row only if it is at this version
        #[arg(long)]
        if_version: Option<i64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete rows; rows that the server refuses to delete are kept
    Delete {
        #[arg(required = true)]
        ids: Vec<RowName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show who changed a row, when and how
    History {
        /// The id of the row, or the number of an order
        id: RowName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Export a whole list to a file or to standard output
    Export {
        /// A file name that ends in .csv or .ndjson; `-` for standard output
        #[arg(default_value = "-")]
        file: PathBuf,
        #[command(flatten)]
        filters: F,
        #[command(flatten)]
        list_args: ListArgs,
        /// `csv` or `ndjson`; by default taken from the file name, and `csv` for `-`
        #[arg(long)]
        format: Option<stockroom_common::format::Format>,
    },
    /// Import rows from a file: new ones are created, existing ones changed
    Import {
        /// A file name that ends in .csv or .ndjson, optionally followed by .gz; `-` for standard input
        file: PathBuf,
        /// `csv` or `ndjson`; by default taken from the file name, and `csv` for `-`
        #[arg(long)]
        format: Option<stockroom_common::format::Format>,
        /// Only show what would happen
        #[arg(long)]
        dry_run: bool,
        /// Write nothing unless every row is accepted
        #[arg(long)]
        all_or_nothing: bool,
        /// Restore into an empty shop; rows keep their ids and versions
        #[arg(long)]
        restore: bool,
        /// Print JSON
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

/// How rows are printed: as a table by default.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// Print one JSON document per line
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV with a header
    #[arg(long)]
    pub csv: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Search for these words or for an order number
    #[arg(long, short = 'q')]
    pub search: Option<String>,
    /// The sort key, such as name; a leading - reverses the order
    #[arg(long, allow_hyphen_values = true)]
    pub sort: Option<String>,
}

/// The fields of a row to write.
#[derive(Debug, Args)]
pub struct Fields {
    /// A field and its value, such as name=Tea or address.city=Cork; amounts are in minor units
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub set: Vec<String>,
    /// A file that contains a JSON document; `-` for standard input
    #[arg(long)]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Args, Serialize)]
pub struct OrderFilters {
    /// Orders of this customer (its id)
    #[arg(long)]
    pub customer_id: Option<String>,
    /// pending, paid, shipped, delivered, cancelled or returned
    #[arg(long)]
    pub status: Option<String>,
    /// Orders that contain this product (its id)
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
    /// Products in this category (its id)
    #[arg(long)]
    pub category_id: Option<String>,
    /// true for active products, false for inactive ones
    #[arg(long)]
    pub active: Option<String>,
}

#[derive(Debug, Args, Serialize)]
pub struct NoFilters {}

#[derive(Debug, Subcommand)]
pub enum PartitionAction {
    /// List all partitions
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Archive partitions; their rows cannot be read until the partitions are restored
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
    /// List waiting and running jobs and the last hundred that ended, newest first
    List {
        /// Print JSON, one job per line
        #[arg(long)]
        json: bool,
    },
    /// Show a job; the JSON of an import lists its refused rows
    Show {
        id: Uuid,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Follow a job until it ends
    Follow {
        id: Uuid,
        /// Print the job as JSON when it has ended
        #[arg(long)]
        json: bool,
    },
    /// Cancel a job
    Cancel { id: Uuid },
    /// Apply an import after its preview (dry run)
    Apply {
        id: Uuid,
        /// Print the job as JSON when it has ended
        #[arg(long)]
        json: bool,
    },
    /// Save the file of an export; the server keeps it for a day
    Save {
        id: Uuid,
        /// The file to write; `-` for standard output
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
