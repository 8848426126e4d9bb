//! Folders that nobody may have meant, and those that PostgreSQL cannot enter.

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
fn a_mistyped_folder_becomes_no_shop() {
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
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(words), "{arguments:?}: {told}");
        assert!(!typo.exists(), "{arguments:?}");
    }
    // A folder that is there may hold anything but a shop.
    let output = run(dir.path(), &["migrate"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_folder_that_postgres_cannot_enter_is_named() {
    if !rustix::process::geteuid().is_root() {
        // Only for root it is another user who has to enter.
        return;
    }
    let dir = temp_dir("closed");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let output = run(dir.path(), &[]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(told.contains("chmod o+x"), "{told}");
    assert!(!dir.path().join("postgres.new").exists());
}
