//! Text styles, named by their meaning. Colour is never the only signal: a word or a mark always says the same.

use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use stockroom_common::OrderStatus;

/// How many colours the terminal supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorSupport {
    None,
    Sixteen,
    Colors256,
    True,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    #[default]
    Dark,
    Light,
    HighContrast,
}

/// The colour of a named server. Each is one of the 16 that every terminal with colours has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerColor {
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
}

impl ServerColor {
    /// The style of the server's name.
    pub fn style(self, colors: ColorSupport) -> Style {
        let reversed = Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD);
        if colors == ColorSupport::None {
            return reversed;
        }
        reversed.fg(match self {
            Self::Red => Color::Red,
            Self::Green => Color::Green,
            Self::Yellow => Color::Yellow,
            Self::Blue => Color::Blue,
            Self::Magenta => Color::Magenta,
            Self::Cyan => Color::Cyan,
        })
    }
}

/// The styles of one scheme, for one level of colour support.
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
    /// Rows and values that have just changed.
    pub fresh: Style,
    pub input: Style,
}

/// A colour as RGB, and its substitute on terminals with 16 colours.
#[derive(Clone, Copy)]
struct PaletteColor(u8, u8, u8, Color);

/// The colours of a scheme.
struct SchemeColors {
    accent: PaletteColor,
    link: PaletteColor,
    good: PaletteColor,
    bad: PaletteColor,
    warn: PaletteColor,
    fresh: PaletteColor,
}

const DARK: SchemeColors = SchemeColors {
    accent: PaletteColor(0x5f, 0xd7, 0xd7, Color::Cyan),
    link: PaletteColor(0x87, 0xaf, 0xff, Color::LightBlue),
    good: PaletteColor(0x87, 0xd7, 0x87, Color::Green),
    bad: PaletteColor(0xff, 0x87, 0x87, Color::LightRed),
    warn: PaletteColor(0xff, 0xd7, 0x5f, Color::Yellow),
    fresh: PaletteColor(0xff, 0xaf, 0xff, Color::LightMagenta),
};

const LIGHT: SchemeColors = SchemeColors {
    accent: PaletteColor(0x00, 0x5f, 0x87, Color::Blue),
    link: PaletteColor(0x00, 0x5f, 0xd7, Color::Blue),
    good: PaletteColor(0x00, 0x5f, 0x00, Color::Green),
    bad: PaletteColor(0xaf, 0x00, 0x00, Color::Red),
    warn: PaletteColor(0x87, 0x5f, 0x00, Color::Magenta),
    fresh: PaletteColor(0x87, 0x00, 0x87, Color::Magenta),
};

/// On terminals with 16 colours this uses only the bright ones, because the background can be of any colour.
const HIGH_CONTRAST: SchemeColors = SchemeColors {
    accent: PaletteColor(0xff, 0xff, 0xff, Color::White),
    link: PaletteColor(0x00, 0xff, 0xff, Color::LightCyan),
    good: PaletteColor(0x00, 0xff, 0x00, Color::LightGreen),
    bad: PaletteColor(0xff, 0x5f, 0x5f, Color::LightRed),
    warn: PaletteColor(0xff, 0xff, 0x00, Color::LightYellow),
    fresh: PaletteColor(0xff, 0x87, 0xff, Color::LightMagenta),
};

impl Theme {
    pub fn new(scheme: Scheme, colors: ColorSupport) -> Self {
        let hues = match scheme {
            Scheme::Dark => DARK,
            Scheme::Light => LIGHT,
            Scheme::HighContrast => HIGH_CONTRAST,
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let colour = |hue: PaletteColor| match hue.at(colors) {
            Some(colour) => Style::new().fg(colour),
            None => Style::new(),
        };
        Self {
            plain: Style::new(),
            bold,
            dim: match scheme {
                // Dimmed text is hard to read for users who need contrast.
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
        Self::new(Scheme::default(), ColorSupport::Sixteen)
    }
}

impl PaletteColor {
    fn at(self, colors: ColorSupport) -> Option<Color> {
        let Self(red, green, blue, named) = self;
        // The 6 × 6 × 6 colour cube has the levels 0, 95, 135, … 255 on each axis.
        let step = |part: u8| {
            if part < 48 {
                0
            } else {
                (part.max(55) - 35) / 40
            }
        };
        match colors {
            ColorSupport::None => None,
            ColorSupport::Sixteen => Some(named),
            ColorSupport::Colors256 => Some(Color::Indexed(
                16 + 36 * step(red) + 6 * step(green) + step(blue),
            )),
            ColorSupport::True => Some(Color::Rgb(red, green, blue)),
        }
    }
}

impl ColorSupport {
    /// Detects the colour support from `TERM` and `COLORTERM`. A non-empty `NO_COLOR` turns colours off.
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
            term if term.contains("256") => Self::Colors256,
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

    fn detected(set: &[(&str, &str)]) -> ColorSupport {
        ColorSupport::detect(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_depth_is_what_the_terminal_says() {
        assert_eq!(
            detected(&[("TERM", "xterm-256color")]),
            ColorSupport::Colors256
        );
        assert_eq!(
            detected(&[("TERM", "xterm"), ("COLORTERM", "truecolor")]),
            ColorSupport::True
        );
        assert_eq!(detected(&[("TERM", "xterm-direct")]), ColorSupport::True);
        assert_eq!(detected(&[("TERM", "linux")]), ColorSupport::Sixteen);
        assert_eq!(detected(&[("TERM", "dumb")]), ColorSupport::None);
        let none = [("NO_COLOR", "1"), ("COLORTERM", "truecolor")];
        assert_eq!(detected(&none), ColorSupport::None);
        assert_eq!(
            detected(&[("NO_COLOR", ""), ("TERM", "xterm")]),
            ColorSupport::Sixteen
        );
    }

    #[test]
    fn a_shallower_terminal_gets_the_nearest_it_has() {
        assert_eq!(
            DARK.accent.at(ColorSupport::True),
            Some(Color::Rgb(0x5f, 0xd7, 0xd7))
        );
        assert_eq!(
            DARK.accent.at(ColorSupport::Colors256),
            Some(Color::Indexed(80))
        );
        assert_eq!(
            LIGHT.bad.at(ColorSupport::Colors256),
            Some(Color::Indexed(124))
        );
        assert_eq!(DARK.accent.at(ColorSupport::Sixteen), Some(Color::Cyan));
        let none = Theme::new(Scheme::Light, ColorSupport::None);
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
