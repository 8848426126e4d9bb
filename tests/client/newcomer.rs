//! The first ten minutes of a new user. Every key that the test presses is read from the screen: from the tabs, the
//! hints at the bottom, the help or the messages in the middle.

use std::path::Path;

use stockroom_tests::{Terminal, temp_dir};

struct Newcomer {
    terminal: Terminal,
}

/// The input for a key name as shown on the screen.
fn pressed(key: &str) -> String {
    match key {
        "Enter" => "\r".into(),
        "Esc" => "\x1b".into(),
        "Tab" => "\t".into(),
        "Down" => "\x1b[B".into(),
        "Right" => "\x1b[C".into(),
        "PgDn" => "\x1b[6~".into(),
        "space" => " ".into(),
        key => match key.strip_prefix('^') {
            Some(letter) => char::from(letter.as_bytes()[0] & 0x1f).to_string(),
            None => key.to_owned(),
        },
    }
}

impl Newcomer {
    fn arrives(data_dir: &Path, home: &Path) -> Self {
        let arguments = ["--create", "--data-dir", data_dir.to_str().unwrap()];
        let terminal = Terminal::open(100, 30, &arguments, home);
        Self { terminal }
    }

    fn sees(&self, words: &str) -> String {
        self.terminal.sees(words)
    }

    /// Presses the key that the hints at the bottom show for a word.
    #[track_caller]
    fn does(&mut self, word: &str) {
        let key = |screen: &str| -> Option<String> {
            let hints = screen.lines().nth(28)?.to_owned();
            let before = hints.split_once(&format!(" {word} ")).or_else(|| {
                let hints = hints.trim_end();
                Some((hints.strip_suffix(&format!(" {word}"))?, ""))
            })?;
            Some(before.0.rsplit(' ').next()?.to_owned())
        };
        let screen = self
            .terminal
            .waits(&format!("a hint `{word}`"), |screen| key(screen).is_some());
        self.terminal.send(&pressed(&key(&screen).unwrap()));
    }

    /// Switches to the tab with this title by pressing the number before it.
    #[track_caller]
    fn turns_to(&mut self, title: &str) {
        let screen = self.terminal.screen();
        let tabs = screen.lines().next().unwrap();
        let (before, _) = tabs
            .split_once(&format!(" {title}"))
            .unwrap_or_else(|| panic!("no {title}: {tabs}"));
        let number = before.chars().last().unwrap().to_string();
        self.terminal.send(&number);
    }

    /// Presses the key that precedes these words.
    #[track_caller]
    fn follows(&mut self, words: &str) {
        let screen = self.sees(words);
        let (before, _) = screen.split_once(words).unwrap();
        let key = before.trim_end().rsplit([' ', '\n']).next().unwrap();
        self.terminal.send(&pressed(key));
    }

    /// Finds the key for an action in the help, closes the help and presses the key.
    #[track_caller]
    fn looks_up(&mut self, what: &str) {
        self.does("help");
        self.sees("Keys");
        let mut screen = self.terminal.screen();
        while !screen.contains(what) {
            self.terminal.send(&pressed("Down"));
            screen = self.terminal.waits("more of the help", |now| now != screen);
        }
        let line = screen.lines().find(|line| line.contains(what)).unwrap();
        let keys = line.split_once(what).unwrap().0;
        let key = keys
            .rsplit('│')
            .next()
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .to_owned();
        self.terminal.send(&pressed("Esc"));
        self.terminal.loses("┌ Keys");
        self.terminal.send(&pressed(&key));
    }

    fn types(&mut self, text: &str) {
        self.terminal.send(text);
    }
}

#[test]
fn new_user_finds_every_key_on_the_screen() {
    let home = temp_dir("first-minutes");
    let data_dir = home.path().join("shop");
    let mut newcomer = Newcomer::arrives(&data_dir, home.path());
    // An empty shop shows what to do.
    newcomer.follows("offers test data");
    fill_the_shop(&mut newcomer);
    look_around(&mut newcomer);
    take_an_order(&mut newcomer);
    newcomer.turns_to("Dashboard");
    newcomer.sees("Best sellers");
    newcomer.does("quit");
    assert!(newcomer.terminal.wait());
}

fn fill_the_shop(newcomer: &mut Newcomer) {
    newcomer.sees("Orders");
    newcomer.does("seed");
    newcomer.sees("Fill the shop");
    for size in ["", "3", "40", "60", "500", "4"] {
        if !size.is_empty() {
            // Ctrl-U clears the field, as in every text field.
            newcomer.types("\x15");
            newcomer.types(size);
        }
        newcomer.does("next");
    }
    newcomer.does("save");
    newcomer.terminal.loses("Fill the shop");
    newcomer
        .terminal
        .waits("a job that is done", |screen| screen.contains("500 of 500"));
}

fn look_around(newcomer: &mut Newcomer) {
    newcomer.turns_to("Orders");
    newcomer.sees("1 of 500");
    newcomer.does("open");
    newcomer.sees("No changes are recorded.");
    newcomer.does("follow");
    newcomer.sees("one customer");
    newcomer.looks_up("Show all rows, or go back");
    newcomer.sees("┌ order");
    newcomer.does("back");
    newcomer.terminal.loses("┌ order");
    newcomer.turns_to("Products");
    newcomer.sees("SKU");
    newcomer.looks_up("Sort by the column, or reverse");
    newcomer.sees("by sku ↑");
    newcomer.does("sort");
    newcomer.sees("price ↓");
    newcomer.does("back");
    newcomer.does("commands");
    newcomer.types("mark all");
    newcomer.sees("› mark-all");
    newcomer.does("choose");
    newcomer.sees("40 marked");
    newcomer.does("with marked");
    newcomer.sees("make inactive");
    newcomer.does("back");
    newcomer.looks_up("Show all rows, or go back");
    newcomer.terminal.loses("40 marked");
}

fn take_an_order(newcomer: &mut Newcomer) {
    newcomer.turns_to("Orders");
    newcomer.sees("Customer");
    newcomer.does("new");
    newcomer.sees("Enter to choose");
    newcomer.does("choose");
    newcomer.sees("Choose from customers");
    newcomer.types("Zoe Quist");
    newcomer.sees("Nothing matches");
    newcomer.does("new");
    newcomer.sees("New customer");
    newcomer.does("save");
    newcomer.sees("must not be empty");
    newcomer.types("zoe@example.org");
    newcomer.does("save");
    newcomer.sees("(Zoe Quist");
    for _ in 0..3 {
        newcomer.does("next");
    }
    newcomer.does("choose");
    newcomer.sees("in stock");
    newcomer.does("choose");
    newcomer.does("save");
    newcomer.sees("Created ");
    newcomer.sees("Zoe Quist");
    newcomer.follows("undoes it");
    newcomer.sees("Undo the creation of");
    newcomer.does("yes");
    newcomer.sees("is gone again");
    newcomer.does("search");
    newcomer.sees("Search by order number");
    newcomer.does("back");
    newcomer.does("filter");
    newcomer.sees("Filter orders");
    newcomer.does("back");
    newcomer.looks_up("Go to a date");
    newcomer.sees("Go to placed at");
    newcomer.types("2020-01-01");
    newcomer.does("go");
    newcomer.sees("of 500");
}
