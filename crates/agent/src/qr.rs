//! An address as a QR code: as a picture for the page, and in characters for a terminal. Both are dark on white with a quiet zone, whatever is
//! around them, because that is what cameras read.

use qrcode::render::{svg, unicode};
use qrcode::{EcLevel, QrCode};

/// The picture's width and height at least, in pixels of the drawing.
const SVG_PX: u32 = 240;

/// Returns the picture and the characters.
pub(crate) fn draw(text: &str) -> Option<(String, String)> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let picture = code
        .render::<svg::Color<'_>>()
        .min_dimensions(SVG_PX, SVG_PX)
        .quiet_zone(true)
        .build();
    let characters = code
        .render::<unicode::Dense1x2>()
        // Light characters on a dark terminal: the colours are turned, so that paper stays light.
        .dark_color(unicode::Dense1x2::Light)
        .light_color(unicode::Dense1x2::Dark)
        .quiet_zone(true)
        .build();
    Some((picture, characters))
}
