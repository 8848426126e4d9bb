//! Data folders that are probably a mistake, and folders that PostgreSQL cannot enter.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use stockroom_tests::{binary, temp_dir};

fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    Command::new(binary("stockroom-server"))
        .args(arguments)
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir)
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn mistyped_folder_does_not_become_a_shop() {
    let dir = temp_dir("folders");
    let typo = dir.path().join("typo");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for (folder, arguments, words) in [
        (&typo, &[][..], "there is no folder"),
        (&typo, &["--local"], "there is no folder"),
        (&typo, &["migrate"], "there is no shop in"),
        (&typo, &["seed", "--orders", "1"], "there is no shop in"),
        (&file, &[], "is a file"),
    ] {
        let output = run(folder, arguments);
        let reported = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {reported}");
        assert!(reported.contains(words), "{arguments:?}: {reported}");
        assert!(!typo.exists(), "{arguments:?}");
    }
    // An existing folder may not be a shop.
    let output = run(dir.path(), &["migrate"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn folder_that_postgres_cannot_enter_is_reported() {
    if !rustix::process::geteuid().is_root() {
        // Only root runs PostgreSQL as another user, and only another user may lack access.
        return;
    }
    let dir = temp_dir("closed");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let output = run(dir.path(), &[]);
    let reported = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(reported.contains("chmod o+x"), "{reported}");
    assert!(!dir.path().join("postgres.new").exists());
}
