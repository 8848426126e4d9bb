//! Colours and weights, by what they mean. Nothing is told by colour alone: each has a word or a mark
//! beside it.

use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use stockroom_common::OrderStatus;

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    None,
    Sixteen,
    TwoHundred,
    True,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    #[default]
    Dark,
    Light,
    HighContrast,
}

/// The styles of one scheme at one depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    pub plain: Style,
    pub bold: Style,
    pub dim: Style,
    pub selected: Style,
    pub header: Style,
    pub active_tab: Style,
    pub label: Style,
    pub link: Style,
    pub good: Style,
    pub bad: Style,
    pub warn: Style,
    /// What has just changed.
    pub fresh: Style,
    pub input: Style,
}

/// A colour as the deepest terminals show it, and as one with sixteen does.
#[derive(Clone, Copy)]
struct Hue(u8, u8, u8, Color);

/// The hues of a scheme.
struct Hues {
    accent: Hue,
    link: Hue,
    good: Hue,
    bad: Hue,
    warn: Hue,
    fresh: Hue,
}

const DARK: Hues = Hues {
    accent: Hue(0x5f, 0xd7, 0xd7, Color::Cyan),
    link: Hue(0x87, 0xaf, 0xff, Color::LightBlue),
    good: Hue(0x87, 0xd7, 0x87, Color::Green),
    bad: Hue(0xff, 0x87, 0x87, Color::LightRed),
    warn: Hue(0xff, 0xd7, 0x5f, Color::Yellow),
    fresh: Hue(0xff, 0xaf, 0xff, Color::LightMagenta),
};

const LIGHT: Hues = Hues {
    accent: Hue(0x00, 0x5f, 0x87, Color::Blue),
    link: Hue(0x00, 0x5f, 0xd7, Color::Blue),
    good: Hue(0x00, 0x5f, 0x00, Color::Green),
    bad: Hue(0xaf, 0x00, 0x00, Color::Red),
    warn: Hue(0x87, 0x5f, 0x00, Color::Magenta),
    fresh: Hue(0x87, 0x00, 0x87, Color::Magenta),
};

/// Of the sixteen only the bright ones, on whatever lies behind.
const HIGH_CONTRAST: Hues = Hues {
    accent: Hue(0xff, 0xff, 0xff, Color::White),
    link: Hue(0x00, 0xff, 0xff, Color::LightCyan),
    good: Hue(0x00, 0xff, 0x00, Color::LightGreen),
    bad: Hue(0xff, 0x5f, 0x5f, Color::LightRed),
    warn: Hue(0xff, 0xff, 0x00, Color::LightYellow),
    fresh: Hue(0xff, 0x87, 0xff, Color::LightMagenta),
};

impl Theme {
    pub fn new(scheme: Scheme, depth: Depth) -> Self {
        let hues = match scheme {
            Scheme::Dark => DARK,
            Scheme::Light => LIGHT,
            Scheme::HighContrast => HIGH_CONTRAST,
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let colour = |hue: Hue| match hue.at(depth) {
            Some(colour) => Style::new().fg(colour),
            None => Style::new(),
        };
        Self {
            plain: Style::new(),
            bold,
            dim: match scheme {
                // What is dimmed is hard to read for those who need contrast.
                Scheme::HighContrast => Style::new(),
                _ => Style::new().add_modifier(Modifier::DIM),
            },
            selected: Style::new().add_modifier(Modifier::REVERSED),
            header: colour(hues.accent).add_modifier(Modifier::BOLD),
            active_tab: colour(hues.accent).add_modifier(Modifier::BOLD | Modifier::REVERSED),
            label: colour(hues.accent),
            link: colour(hues.link).add_modifier(Modifier::UNDERLINED),
            good: colour(hues.good),
            bad: colour(hues.bad),
            warn: colour(hues.warn),
            fresh: colour(hues.fresh).add_modifier(Modifier::BOLD),
            input: Style::new().add_modifier(Modifier::UNDERLINED),
        }
    }

    pub const fn status(&self, status: OrderStatus) -> Style {
        match status {
            OrderStatus::Pending => self.warn,
            OrderStatus::Paid | OrderStatus::Shipped => self.label,
            OrderStatus::Delivered => self.good,
            OrderStatus::Cancelled | OrderStatus::Returned => self.dim,
        }
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::new(Scheme::default(), Depth::Sixteen)
    }
}

impl Hue {
    fn at(self, depth: Depth) -> Option<Color> {
        let Self(red, green, blue, named) = self;
        // The cube of 6 × 6 × 6 has 0, 95, 135 … 255 on each side.
        let step = |part: u8| {
            if part < 48 {
                0
            } else {
                (part.max(55) - 35) / 40
            }
        };
        match depth {
            Depth::None => None,
            Depth::Sixteen => Some(named),
            Depth::TwoHundred => Some(Color::Indexed(
                16 + 36 * step(red) + 6 * step(green) + step(blue),
            )),
            Depth::True => Some(Color::Rgb(red, green, blue)),
        }
    }
}

impl Depth {
    /// What the terminal says of itself in these variables; who asks for none by `NO_COLOR` gets none.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| variable(name).unwrap_or_default();
        if !value("NO_COLOR").is_empty() {
            return Self::None;
        }
        let (term, colours) = (value("TERM"), value("COLORTERM"));
        match term.as_str() {
            "dumb" => Self::None,
            _ if colours == "truecolor" || colours == "24bit" => Self::True,
            term if term.contains("direct") => Self::True,
            term if term.contains("256") => Self::TwoHundred,
            _ => Self::Sixteen,
        }
    }
}

impl FromStr for Scheme {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "dark" => Ok(Self::Dark),
            "light" => Ok(Self::Light),
            "high-contrast" => Ok(Self::HighContrast),
            _ => Err(format!(
                "`{text}` is not a theme; use dark, light or high-contrast"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(set: &[(&str, &str)]) -> Depth {
        Depth::detect(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_depth_is_what_the_terminal_says() {
        assert_eq!(detected(&[("TERM", "xterm-256color")]), Depth::TwoHundred);
        assert_eq!(
            detected(&[("TERM", "xterm"), ("COLORTERM", "truecolor")]),
            Depth::True
        );
        assert_eq!(detected(&[("TERM", "xterm-direct")]), Depth::True);
        assert_eq!(detected(&[("TERM", "linux")]), Depth::Sixteen);
        assert_eq!(detected(&[("TERM", "dumb")]), Depth::None);
        let none = [("NO_COLOR", "1"), ("COLORTERM", "truecolor")];
        assert_eq!(detected(&none), Depth::None);
        assert_eq!(
            detected(&[("NO_COLOR", ""), ("TERM", "xterm")]),
            Depth::Sixteen
        );
    }

    #[test]
    fn a_shallower_terminal_gets_the_nearest_it_has() {
        assert_eq!(
            DARK.accent.at(Depth::True),
            Some(Color::Rgb(0x5f, 0xd7, 0xd7))
        );
        assert_eq!(DARK.accent.at(Depth::TwoHundred), Some(Color::Indexed(80)));
        assert_eq!(LIGHT.bad.at(Depth::TwoHundred), Some(Color::Indexed(124)));
        assert_eq!(DARK.accent.at(Depth::Sixteen), Some(Color::Cyan));
        let none = Theme::new(Scheme::Light, Depth::None);
        for style in [
            none.header,
            none.good,
            none.bad,
            none.warn,
            none.fresh,
            none.link,
        ] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }
}
