//! The floors as a page draws them, and what is wrong with sources that should follow them.

use std::collections::{BTreeMap, BTreeSet};

use super::imports;

/// The floor of each folder, counted from the ground.
pub(crate) struct Plan(BTreeMap<String, usize>);

/// A file, by its path below the crate's root.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// What uses what within one folder, each with a file that does.
type Edges = BTreeMap<String, BTreeMap<String, String>>;

impl Plan {
    /// Reads the first block below a heading: a line per floor, the highest first. Two blanks separate its folders, and
    /// a wide gap what they are for.
    pub(crate) fn read(page: &str, heading: &str) -> Self {
        let (_, rest) = page.split_once(heading).expect("the page has the heading");
        let table = rest.split("```").nth(1).expect("the floors are a block");
        let lines: Vec<&str> = table.trim().lines().collect();
        let mut floors = BTreeMap::new();
        for (floor, line) in lines.iter().rev().enumerate() {
            let (rooms, _) = line.split_once("     ").unwrap_or((line, ""));
            let rooms = rooms.split_whitespace();
            floors.extend(rooms.map(|room| (room.to_owned(), floor)));
        }
        Self(floors)
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = &str> {
        self.0
            .keys()
            .map(String::as_str)
            .filter(|room| *room != "main")
    }

    pub(crate) fn faults(&self, sources: &[Source]) -> Vec<String> {
        let modules: BTreeSet<Vec<String>> = sources
            .iter()
            .map(|source| module_of(&source.path))
            .collect();
        let mut faults = Vec::new();
        let mut folders: BTreeMap<Vec<String>, Edges> = BTreeMap::new();
        for source in sources {
            let module = module_of(&source.path);
            // These list and wire everything.
            if source.path == "lib.rs" || source.path == "main.rs" {
                continue;
            }
            let floor = &module[0];
            if !self.0.contains_key(floor) {
                faults.push(format!(
                    "{}: `{floor}` stands on no floor of the page",
                    source.path
                ));
                continue;
            }
            let mut others = BTreeSet::new();
            for path in imports::of(&source.text, &module) {
                others.extend(path.first().filter(|other| *other != floor).cloned());
                if let Some(target) = longest_module(&path, &modules) {
                    add_edge(&mut folders, &module, &target, &source.path);
                }
            }
            faults.extend(others.iter().filter_map(|other| {
                let (above, here) = (self.0.get(other)?, self.0[floor]);
                let place = match above.cmp(&here) {
                    std::cmp::Ordering::Greater => "above",
                    std::cmp::Ordering::Equal => "beside",
                    std::cmp::Ordering::Less => return None,
                };
                let path = &source.path;
                Some(format!(
                    "{path} uses `{other}`, which stands {place} `{floor}`"
                ))
            }));
        }
        for (folder, edges) in &folders {
            // Between the floors themselves the page rules.
            if !folder.is_empty()
                && let Some(circle) = circle(edges)
            {
                faults.push(format!("a circle in {}: {circle}", folder.join("/")));
            }
        }
        faults
    }
}

/// The module of a file, as the segments of its path.
fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

/// The module that a path leads into, by the longest beginning that is one.
fn longest_module(path: &[String], modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    let beginnings = (1..=path.len()).rev().map(|len| path[..len].to_vec());
    beginnings.into_iter().find(|path| modules.contains(path))
}

/// Records the use where both modules lie in one folder, however deep below it: between its two children. A module and its
/// submodules are one.
fn add_edge(
    folders: &mut BTreeMap<Vec<String>, Edges>,
    from: &[String],
    to: &[String],
    path: &str,
) {
    let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    if let (Some(from_child), Some(to_child)) = (from.get(common), to.get(common)) {
        let edges = folders.entry(from[..common].to_vec()).or_default();
        let edges = edges.entry(from_child.clone()).or_default();
        edges.entry(to_child.clone()).or_insert(path.to_owned());
    }
}

/// A circle, if there is one: `a (a.rs) -> b (b.rs) -> a`.
fn circle(edges: &Edges) -> Option<String> {
    for start in edges.keys() {
        let mut path = vec![start.clone()];
        let mut seen = BTreeSet::new();
        if walk(edges, start, &mut path, &mut seen) {
            let steps = path.windows(2);
            let steps: Vec<String> = steps
                .map(|step| format!("{} ({})", step[0], edges[&step[0]][&step[1]]))
                .collect();
            return Some(format!("{} -> {start}", steps.join(" -> ")));
        }
    }
    None
}

/// Extends the path until it is back at its start; false where no way leads there.
fn walk(edges: &Edges, start: &str, path: &mut Vec<String>, seen: &mut BTreeSet<String>) -> bool {
    let here = path[path.len() - 1].clone();
    for next in edges.get(&here).into_iter().flat_map(BTreeMap::keys) {
        if next == start {
            path.push(next.clone());
            return true;
        }
        if seen.insert(next.clone()) {
            path.push(next.clone());
            if walk(edges, start, path, seen) {
                return true;
            }
            path.pop();
        }
    }
    false
}
