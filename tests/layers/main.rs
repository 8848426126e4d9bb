//! The floors of docs/architecture.md hold: imports go down, and no two folders import each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const FLOORS: &str = "## The server's floors";

/// Where the sources of the workspace lie.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The floor of each folder, from the ground, as the page draws them.
fn floors(page: &str) -> BTreeMap<String, usize> {
    let (_, rest) = page.split_once(FLOORS).expect("the page has the floors");
    let table = rest.split("```").nth(1).expect("the floors are a block");
    let lines: Vec<&str> = table.trim().lines().collect();
    let mut floors = BTreeMap::new();
    for (floor, line) in lines.iter().rev().enumerate() {
        // What stands there is told after a wide gap.
        let (rooms, _) = line.split_once("     ").unwrap_or((line, ""));
        let rooms = rooms.split_whitespace();
        floors.extend(rooms.map(|room| (room.to_owned(), floor)));
    }
    floors
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The folders of the crate that a source names, by `use` or in a path: the first word after each `crate::`, in groups
/// too. Its unit tests may use anything.
fn named(source: &str) -> BTreeSet<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `pub(crate)` has no path.
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => named.extend(first_word(rest)),
            Some(group) => named.extend(group_heads(group)),
        }
    }
    named
}

fn first_word(text: &str) -> Option<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word: String = text
        .trim_start()
        .chars()
        .take_while(|c| is_word(*c))
        .collect();
    (!word.is_empty()).then_some(word)
}

/// The first word of each member of a group of a `use`.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut begins) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                heads.extend(first_word(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    heads
}

/// What is wrong with these sources, each a path below the crate's folder and its text.
fn faults(floors: &BTreeMap<String, usize>, sources: &[(String, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut uses: BTreeMap<(String, String), String> = BTreeMap::new();
    for (path, text) in sources {
        let Some((room, _)) = path.split_once('/') else {
            // `lib.rs` lists all of them.
            continue;
        };
        let Some(floor) = floors.get(room) else {
            faults.push(format!("{path}: `{room}` stands on no floor of the page"));
            continue;
        };
        for other in named(text).into_iter().filter(|other| other != room) {
            match floors.get(&other) {
                None => continue,
                Some(above) if above > floor => {
                    faults.push(format!(
                        "{path} uses `{other}`, which stands above `{room}`"
                    ));
                }
                Some(_) => {}
            }
            uses.entry((room.to_owned(), other)).or_insert(path.clone());
        }
    }
    for ((room, other), path) in &uses {
        if let Some(back) = uses.get(&(other.clone(), room.clone()))
            && room < other
        {
            faults.push(format!(
                "`{room}` and `{other}` use each other: {path} and {back}"
            ));
        }
    }
    faults
}

#[test]
fn imports_of_the_server_go_down_its_floors() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let floors = floors(&page);
    let crate_root = root().join("server/src");
    let mut paths = Vec::new();
    sources(&crate_root, &mut paths);
    let sources: Vec<(String, String)> = paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&crate_root).unwrap();
            let text = fs::read_to_string(path).unwrap();
            (name.to_str().unwrap().to_owned(), text)
        })
        .collect();
    assert!(sources.len() > 80, "{} sources", sources.len());
    let faults = faults(&floors, &sources);
    assert!(faults.is_empty(), "{faults:#?}");
    for room in floors.keys() {
        assert!(crate_root.join(room).is_dir(), "the page names `{room}`");
    }
}

#[test]
fn no_folder_of_the_server_is_crowded() {
    const MAX_ENTRIES: usize = 14;
    let mut folders = vec![root().join("server/src")];
    while let Some(folder) = folders.pop() {
        let entries: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(
            entries.len() <= MAX_ENTRIES,
            "{} has {} entries",
            folder.display(),
            entries.len()
        );
        folders.extend(entries.into_iter().filter(|path| path.is_dir()));
    }
}

#[test]
fn an_import_that_goes_up_and_a_circle_are_named() {
    let floors = floors(&format!(
        "{FLOORS}\n```\napp        what wires\nrows  jobs     what entities can do\nstore      the ground\n```\n"
    ));
    assert_eq!(floors["store"], 0);
    assert_eq!(floors["jobs"], floors["rows"]);
    let source = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let planted = [
        source("app/router.rs", "use crate::{jobs, rows::{crud, list}};"),
        source(
            "store/write.rs",
            "pub(crate) fn f() { crate::rows::crud::get() }",
        ),
        source(
            "rows/crud.rs",
            "use crate::{store::Store,\n    jobs::queue};",
        ),
        source(
            "jobs/queue.rs",
            "// crate::app\nuse crate::rows::list;\n#[cfg(test)] use crate::app;",
        ),
        source("cellar/x.rs", ""),
    ];
    assert_eq!(
        faults(&floors, &planted),
        [
            "store/write.rs uses `rows`, which stands above `store`",
            "cellar/x.rs: `cellar` stands on no floor of the page",
            "`jobs` and `rows` use each other: jobs/queue.rs and rows/crud.rs",
            "`rows` and `store` use each other: rows/crud.rs and store/write.rs",
        ]
    );
}
