//! Which modules a source file uses: the paths of its `use` declarations and of its code.

use std::collections::BTreeSet;

use syn::{
    Attribute, Item, ItemMod, Macro, Path, UseTree,
    visit::{self, Visit},
};

/// The paths below the crate's root that a file uses, each as its segments. Its unit tests may use anything.
pub(crate) fn of(source: &str, module: &[String]) -> BTreeSet<Vec<String>> {
    let file = syn::parse_file(source).expect("the source is Rust");
    let mut imports = Imports {
        module: module.to_vec(),
        found: BTreeSet::new(),
    };
    imports.visit_file(&file);
    imports.found
}

struct Imports {
    module: Vec<String>,
    found: BTreeSet<Vec<String>>,
}

impl Imports {
    /// Records a path that begins with `crate`, `super` or `self`; others name what is in scope already.
    fn add(&mut self, segments: &[String]) {
        let mut base = match segments.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("super" | "self") => self.module.clone(),
            _ => return,
        };
        let mut rest = segments;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "super" => drop(base.pop()),
                "crate" | "self" => {}
                _ => break,
            }
            rest = others;
        }
        base.extend_from_slice(rest);
        self.found.insert(base);
    }

    fn add_tree(&mut self, tree: &UseTree, prefix: &[String]) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &with(&path.ident)),
            UseTree::Name(name) => self.add(&with(&name.ident)),
            UseTree::Rename(rename) => self.add(&with(&rename.ident)),
            UseTree::Glob(_) => self.add(prefix),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, prefix);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Use(item) => self.add_tree(&item.tree, &[]),
            Item::Mod(item) if is_test(&item.attrs) => {}
            item => visit::visit_item(self, item),
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let segments = path.segments.iter();
        let segments: Vec<String> = segments.map(|one| one.ident.to_string()).collect();
        self.add(&segments);
        visit::visit_path(self, path);
    }

    /// What a macro is called with is not parsed: its tokens are searched for paths.
    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        let tokens = call.tokens.to_string().replace(' ', "");
        for (at, _) in tokens.match_indices("crate::") {
            let path = tokens[at..].split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
            let segments = path.take(1).flat_map(|path| path.split("::"));
            self.add(&segments.map(str::to_owned).collect::<Vec<_>>());
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let mut attributes = attributes.iter();
    attributes.any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}
