//! The floors of docs/architecture.md hold: imports go down, and no two modules of a folder use each other.

mod imports;
mod plan;

use std::{
    fs,
    path::{Path, PathBuf},
};

use self::plan::{Plan, Source};

const SERVER: &str = "### The server";
const CLIENT: &str = "### The client";

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
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

fn check(heading: &str, crate_root: &str) {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let plan = Plan::read(&page, heading);
    let crate_root = root().join(crate_root);
    let mut paths = Vec::new();
    sources(&crate_root, &mut paths);
    let sources: Vec<Source> = paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&crate_root).unwrap();
            Source {
                path: name.to_str().unwrap().to_owned(),
                text: fs::read_to_string(path).unwrap(),
            }
        })
        .collect();
    assert!(sources.len() > 60, "{} sources", sources.len());
    let faults = plan.faults(&sources);
    assert!(faults.is_empty(), "{faults:#?}");
    for floor in plan.rooms() {
        let is_there =
            crate_root.join(floor).is_dir() || crate_root.join(format!("{floor}.rs")).is_file();
        assert!(is_there, "the page names `{floor}`");
    }
}

#[test]
fn imports_of_the_server_go_down_its_floors() {
    check(SERVER, "server/src");
}

#[test]
fn imports_of_the_client_go_down_its_floors() {
    check(CLIENT, "tui/src");
}

#[test]
fn no_folder_is_crowded() {
    const MAX_ENTRIES: usize = 14;
    let mut folders = ["server/src", "tui/src", "common/src", "tests"]
        .map(|path| root().join(path))
        .to_vec();
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
        // Snapshots are data, which nobody reads file by file.
        let is_code = |path: &PathBuf| path.is_dir() && !path.ends_with("snapshots");
        folders.extend(entries.into_iter().filter(is_code));
    }
}

#[test]
fn an_import_that_goes_up_and_a_circle_are_named() {
    let page = format!(
        "{SERVER}\n```\nmain           wires\napp            what wires\nrows  jobs     what entities can do\nstore          the ground\n```\n"
    );
    let source = |path: &str, text: &str| Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let planted = [
        source("app/router.rs", "use crate::{jobs, rows::{crud, list}};"),
        source(
            "store/write.rs",
            "pub(crate) fn f() { crate::rows::crud::get() }",
        ),
        source(
            "rows/crud.rs",
            "use crate::{store::Store,\n    jobs::queue};\nuse super::list::page;",
        ),
        source(
            "rows/list.rs",
            "use crate::rows::list::cursor;\nmod cursor;",
        ),
        source("rows/list/cursor.rs", "use super::super::table;"),
        source(
            "rows/table.rs",
            "fn f() { println!(\"{}\", crate::rows::crud::X) }",
        ),
        source(
            "jobs/queue.rs",
            "// crate::app\nuse crate::store;\n#[cfg(test)] mod tests { use crate::app; }",
        ),
        source("cellar/x.rs", ""),
    ];
    assert_eq!(
        Plan::read(&page, SERVER).faults(&planted),
        [
            "store/write.rs uses `rows`, which stands above `store`",
            "rows/crud.rs uses `jobs`, which stands beside `rows`",
            "cellar/x.rs: `cellar` stands on no floor of the page",
            "a circle in rows: crud (rows/crud.rs) -> list (rows/list/cursor.rs) -> table (rows/table.rs) -> crud",
        ]
    );
}

/// The names of the dependencies that a section of a manifest lists, as paths name the crates.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    let rest = manifest.split_once(&format!("\n[{section}]\n"));
    let rest = rest.map_or("", |(_, rest)| rest);
    let lines = rest.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter(|line| !line.starts_with('#'));
    let names = names.filter_map(|line| line.split(['.', ' ', '=']).next());
    let names = names.filter(|name| !name.is_empty());
    names.map(|name| name.replace('-', "_")).collect()
}

#[test]
fn every_dependency_is_used() {
    let manifest =
        |folder: &str| fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let mut unused = Vec::new();
    let mut of_members = Vec::new();
    for member in ["common", "server", "tui", "tests"] {
        let mut paths = Vec::new();
        sources(&root().join(member), &mut paths);
        let text: String = paths
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        let manifest = manifest(member);
        for section in ["dependencies", "dev-dependencies"] {
            for name in dependencies(&manifest, section) {
                if !text.contains(&format!("{name}::")) {
                    unused.push(format!("{member}: {name}"));
                }
                of_members.push(name);
            }
        }
    }
    for name in dependencies(&manifest(""), "workspace.dependencies") {
        if !of_members.contains(&name) {
            unused.push(format!("workspace: {name}"));
        }
    }
    assert!(of_members.len() > 60, "{of_members:?}");
    assert!(unused.is_empty(), "{unused:#?}");
}
