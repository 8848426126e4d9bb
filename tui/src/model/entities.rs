//! The entities of the shop. Tabs, forms, history and live changes look up in this one list what they need to know
//! about an entity.

mod category;
mod customer;
mod order;
mod product;

use stockroom_common::{Category, Customer, Order, Product, change::ChangeEvent};

use crate::model::{entity::Entity, form_spec::FormSpec, tab::Tab, text};

/// Describes an entity for code that does not know the type of the entity at compile time.
#[derive(Debug)]
pub struct EntityInfo {
    pub tab: Tab,
    /// The name of the entity in the change log, such as `order`.
    pub name: &'static str,
    /// The resource name in URL paths, such as `orders`.
    pub path: &'static str,
    /// The title of its tab.
    pub title: &'static str,
    /// The field that other entities use to refer to a row of this entity.
    pub foreign_key: &'static str,
    pub create_form: fn() -> FormSpec,
}

/// All entities, in the order of the tabs.
pub static ENTITIES: [EntityInfo; 4] = [
    EntityInfo::of::<Order>("Orders", "order_id"),
    EntityInfo::of::<Customer>("Customers", "customer_id"),
    EntityInfo::of::<Product>("Products", "product_id"),
    EntityInfo::of::<Category>("Categories", "category_id"),
];

impl EntityInfo {
    const fn of<R: Entity>(title: &'static str, foreign_key: &'static str) -> Self {
        Self {
            tab: R::TAB,
            name: R::NAME,
            path: R::PATH,
            title,
            foreign_key,
            create_form: FormSpec::create::<R>,
        }
    }
}

/// The entity that a tab lists; `None` for tabs that do not list an entity.
pub fn of_tab(tab: Tab) -> Option<&'static EntityInfo> {
    ENTITIES.iter().find(|entity| entity.tab == tab)
}

/// Finds an entity by its name in the change log.
pub fn of_name(name: &str) -> Option<&'static EntityInfo> {
    ENTITIES.iter().find(|entity| entity.name == name)
}

/// Finds the entity that a field refers to, such as `customer_id`.
pub fn of_foreign_key(field: &str) -> Option<&'static EntityInfo> {
    ENTITIES.iter().find(|entity| entity.foreign_key == field)
}

impl Tab {
    pub fn title(self) -> &'static str {
        match self {
            Self::Jobs => "Jobs",
            Self::Partitions => "Partitions",
            Self::Dashboard => "Dashboard",
            rows => of_tab(rows).map_or("", |entity| entity.title),
        }
    }

    /// The name in URL paths of the resource that the tab shows.
    pub fn path(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Partitions => "partitions",
            Self::Dashboard => "stats",
            rows => of_tab(rows).map_or("", |entity| entity.path),
        }
    }

    /// Formats a number of rows, such as `1 order` or `2,000 orders`.
    pub fn count_label(self, count: usize) -> String {
        let one = of_tab(self).filter(|_| count == 1);
        let noun = one.map_or(self.path(), |entity| entity.name);
        format!("{} {noun}", text::integer(count as i64))
    }

    /// Finds a tab by an entity name in the change log, which also contains `partition`.
    pub fn of_entity(name: &str) -> Option<Self> {
        match name {
            "partition" => Some(Self::Partitions),
            name => of_name(name).map(|entity| entity.tab),
        }
    }

    /// Whether the change affects anything that the tab shows.
    pub fn shows(self, change: &ChangeEvent) -> bool {
        match Self::of_entity(&change.entity) {
            // Not a single entity, such as the end of an import: any tab may be affected.
            None => true,
            // The figures cover all entities.
            Some(_) if self == Self::Dashboard => true,
            Some(Self::Partitions) => matches!(self, Self::Partitions | Self::Orders),
            Some(tab) if tab == self => true,
            Some(_) => {
                let mut touched = change.touched.iter();
                touched.any(|row| Self::of_entity(&row.entity) == Some(self))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tab_has_a_title_and_a_path_of_its_own() {
        for texts in [Tab::ALL.map(Tab::title), Tab::ALL.map(Tab::path)] {
            for (at, text) in texts.iter().enumerate() {
                assert!(!text.is_empty(), "{:?}", Tab::ALL[at]);
                assert!(!texts[..at].contains(text), "{text}");
            }
        }
    }
}
