//! The screens, one per tab.

use stockroom_common::{Category, Customer, Order, Product};

use crate::{
    model::tab::Tab,
    screens::{
        dashboard::Dashboard,
        jobs::JobsScreen,
        list::ListScreen,
        partitions::PartitionsScreen,
        screen::{RowScreen, Screen},
    },
};

#[derive(Debug, Default)]
pub struct Screens {
    pub orders: ListScreen<Order>,
    pub customers: ListScreen<Customer>,
    pub products: ListScreen<Product>,
    pub categories: ListScreen<Category>,
    pub jobs: JobsScreen,
    pub partitions: PartitionsScreen,
    pub dashboard: Dashboard,
}

impl Screens {
    pub fn get(&self, tab: Tab) -> &dyn Screen {
        match tab {
            Tab::Orders => &self.orders,
            Tab::Customers => &self.customers,
            Tab::Products => &self.products,
            Tab::Categories => &self.categories,
            Tab::Jobs => &self.jobs,
            Tab::Partitions => &self.partitions,
            Tab::Dashboard => &self.dashboard,
        }
    }

    pub fn get_mut(&mut self, tab: Tab) -> &mut dyn Screen {
        match tab {
            Tab::Orders => &mut self.orders,
            Tab::Customers => &mut self.customers,
            Tab::Products => &mut self.products,
            Tab::Categories => &mut self.categories,
            Tab::Jobs => &mut self.jobs,
            Tab::Partitions => &mut self.partitions,
            Tab::Dashboard => &mut self.dashboard,
        }
    }

    /// The screen of a tab as a [`RowScreen`]; none if the tab does not list rows.
    pub fn rows(&self, tab: Tab) -> Option<&dyn RowScreen> {
        self.get(tab).as_rows()
    }

    pub fn rows_mut(&mut self, tab: Tab) -> Option<&mut dyn RowScreen> {
        self.get_mut(tab).as_rows_mut()
    }

    /// Marks the data of every screen as out of date, so that it is read again when the screen is next shown.
    pub fn expire(&mut self) {
        for tab in Tab::ALL {
            self.get_mut(tab).expire();
        }
    }
}
