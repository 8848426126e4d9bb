//! Colours in addition to words, and what remains without colours.

use crossterm::event::{KeyCode, MouseButton, MouseEventKind};
use ratatui::style::{Color, Modifier};
use stockroom_common::Role;
use stockroom_tui::{
    messages::event::Link,
    settings::{
        preferences::Preferences,
        theme::{ColorSupport, Scheme, ServerColor, Theme},
    },
};

use super::{Driver, SIZES, USUAL, customer, order, page, picture, with_orders};

fn dressed(preferences: Preferences, size: (u16, u16)) -> Driver {
    let mut driver = Driver::with(size, preferences);
    driver.link(Link::Up);
    let orders = (0..100).map(order).collect();
    driver.answer("/v1/orders", &page(orders, 1_234_567));
    let customers = [0, 4].map(customer).to_vec();
    driver.answer("/v1/customers?id=", &page(customers, 2));
    driver
}

#[test]
fn long_name_of_a_token_hides_neither_role_nor_server() {
    let mut driver = dressed(Preferences::default(), USUAL);
    driver.identify("the till at the front door\u{1b}[31m", Role::Viewer);
    let screen = driver.screen();
    let status = screen.lines().last().unwrap();
    assert!(
        status.contains("the till at the fro… (viewer) · local shop"),
        "{status}"
    );
}

#[test]
fn name_of_the_server_is_always_on_the_screen_and_clicks_still_hit_the_tabs() {
    for size in SIZES {
        let preferences = Preferences {
            server: Some((
                "production".into(),
                ServerColor::Red.style(ColorSupport::Sixteen),
            )),
            ..Preferences::default()
        };
        let mut driver = Driver::with(size, preferences);
        driver.link(Link::Up);
        driver.answer("/v1/orders", &page((0..3).map(order).collect(), 3));
        driver.settle();
        let badge = driver.style_of("production");
        assert_eq!(badge.fg, Some(Color::Red));
        let tabs = driver.screen().lines().next().unwrap().to_owned();
        assert!(
            tabs.ends_with(" production") && tabs.contains(" 7"),
            "{tabs}"
        );
        let customers = tabs.find('2').unwrap() as u16;
        driver.mouse(MouseEventKind::Down(MouseButton::Left), (customers, 0));
        driver.answer("/v1/customers", &page(vec![], 0));
        assert!(
            driver.screen().contains("No customers"),
            "{}",
            driver.screen()
        );
        driver.press(KeyCode::Char('n'));
        assert!(
            driver.screen().contains("production"),
            "{}",
            driver.screen()
        );
    }
}

#[test]
fn important_words_have_a_colour() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Down);
    assert_eq!(driver.style_of("delivered").fg, Some(Color::Green));
    assert_eq!(driver.style_of("pending").fg, Some(Color::Yellow));
    assert_eq!(driver.style_of("Placed").fg, Some(Color::Cyan));
    assert_eq!(driver.style_of("● connected").fg, Some(Color::Green));
    let selected = driver.style_of("› 2024");
    assert!(selected.add_modifier.contains(Modifier::REVERSED));
    assert!(
        driver
            .style_of("1 Orders")
            .add_modifier
            .contains(Modifier::REVERSED)
    );
    driver.link(Link::Down("gone".into()));
    assert_eq!(driver.style_of("○ offline").fg, Some(Color::LightRed));
}

#[test]
fn theme_uses_the_colours_that_the_terminal_supports() {
    let status = |scheme, depth| {
        let theme = Theme::new(scheme, depth);
        let preferences = Preferences {
            theme,
            ..Preferences::default()
        };
        dressed(preferences, USUAL).style_of("delivered").fg
    };
    assert_eq!(
        status(Scheme::Light, ColorSupport::True),
        Some(Color::Rgb(0, 0x5f, 0))
    );
    assert_eq!(
        status(Scheme::Dark, ColorSupport::Colors256),
        Some(Color::Indexed(114))
    );
    assert_eq!(
        status(Scheme::HighContrast, ColorSupport::Sixteen),
        Some(Color::LightGreen)
    );
}

#[test]
fn screen_without_colours_shows_the_same_words() {
    let theme = Theme::new(Scheme::Dark, ColorSupport::None);
    let preferences = Preferences {
        theme,
        ..Preferences::default()
    };
    let driver = dressed(preferences, USUAL);
    assert_eq!(
        driver.screen(),
        dressed(Preferences::default(), USUAL).screen()
    );
    for cell in &driver.buffer().content {
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{cell:?}");
    }
}

#[test]
fn plain_mode_is_ascii() {
    for size in SIZES {
        let preferences = Preferences {
            is_plain: true,
            ..Preferences::default()
        };
        let mut driver = dressed(preferences, size);
        driver.press(KeyCode::Down);
        let list = driver.screen();
        assert!(list.is_ascii(), "{list}");
        assert!(
            list.contains("> 2024") && list.contains(" connected"),
            "{list}"
        );
        for keys in ["n", "\u{1b}", "s", "\u{1b}", "?", "\u{1b}", "5", "6"] {
            match keys {
                "\u{1b}" => driver.press(KeyCode::Esc),
                letter => driver.type_text(letter),
            }
            let screen = driver.screen();
            assert!(screen.is_ascii(), "after {keys}:\n{screen}");
        }
    }
    let preferences = Preferences {
        is_plain: true,
        ..Preferences::default()
    };
    let mut driver = dressed(preferences, USUAL);
    driver.press(KeyCode::Char('i'));
    driver.type_text("x");
    driver.press(KeyCode::Enter);
    assert!(
        driver.screen().contains(" error: The file name"),
        "{}",
        driver.screen()
    );
    driver.press(KeyCode::Esc);
    driver.press(KeyCode::Enter);
    picture("plain_detail", USUAL, &driver);
}
