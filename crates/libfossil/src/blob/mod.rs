//! Content as it is stored and sent: [`codec`] packs it, [`delta`] expresses it by its differences from other content.

pub mod codec;
pub mod delta;
