//! An address as a QR code: as a picture for the page, and in characters for a terminal. Both have a quiet zone, because that is what cameras look
//! for. In the picture each square is a whole number of pixels: shown at its own size, all are equal. In the characters what is drawn is light, so that
//! they are right where light letters stand on dark.

use qrcode::render::{svg, unicode};
use qrcode::{EcLevel, QrCode};

/// The picture's width and height at most, in pixels; what the narrowest window has room for.
const SVG_PX: u32 = 360;

/// Returns the picture and the characters.
pub(crate) fn draw(text: &str) -> Option<(String, String)> {
    let code = smallest(text)?;
    let picture = code
        .render::<svg::Color<'_>>()
        .max_dimensions(SVG_PX, SVG_PX)
        .quiet_zone(true)
        .build();
    let characters = code
        .render::<unicode::Dense1x2>()
        // What the library draws as dark is left out, and the paper drawn.
        .dark_color(unicode::Dense1x2::Light)
        .light_color(unicode::Dense1x2::Dark)
        .quiet_zone(true)
        .build();
    Some((picture, characters))
}

/// Returns the code with the fewest, and thus largest, squares, with as much error correction as has room among them. A screen is not torn or
/// soiled; that its squares are small is what a camera fails at.
fn smallest(text: &str) -> Option<QrCode> {
    let least = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let corrected = |level| QrCode::with_version(text, least.version(), level).ok();
    let best = [EcLevel::H, EcLevel::Q, EcLevel::M]
        .into_iter()
        .find_map(corrected);
    best.or(Some(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_code_has_as_much_correction_as_fits() {
        // By the table of ISO/IEC 18004, version 1 holds 7, 11, 14 or 17 bytes, and version 4 at most 78 and 62 of them with more correction.
        for (length, width, level) in [
            (7, 21, EcLevel::H),
            (8, 21, EcLevel::Q),
            (11, 21, EcLevel::Q),
            (14, 21, EcLevel::M),
            (17, 21, EcLevel::L),
            (62, 33, EcLevel::M),
            (63, 33, EcLevel::L),
            (78, 33, EcLevel::L),
        ] {
            let code = smallest(&"e".repeat(length)).expect("a code");
            let found = (code.width(), code.error_correction_level());
            assert_eq!(found, (width, level), "{length}");
        }
    }

    #[test]
    fn a_square_is_a_whole_number_of_pixels_and_large() {
        // A phone's address, and an agent's offer with as many addresses as one has.
        for (length, least_px) in [(130, 7), (230, 5), (420, 4)] {
            let text = "e".repeat(length);
            let (svg, _) = draw(&text).expect("drawn");
            let squares = smallest(&text).expect("a code").width() + 8;
            let (_, width) = svg.split_once("width=\"").expect("a width");
            let (width, _) = width.split_once('"').expect("a width");
            let px: usize = width.parse().expect("a number");
            assert_eq!(px % squares, 0, "{length}");
            assert!(px / squares >= least_px && px <= 360, "{length}: {px}");
        }
    }
}
