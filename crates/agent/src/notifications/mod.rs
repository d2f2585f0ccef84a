//! Notifications on the desktop: what is shown, when, how often, and what a press of a button means.
//!
//! - [`machine`]: the rules, without I/O: facts and a time in, effects out.
//! - [`entry`]: one notification as the machine remembers it.
//! - [`fold`]: which of a sender's words are shown one by one.
//! - [`words`]: from a message to what a notification says.
//! - [`driver`]: the machine's hands: events, the clock, the notifier, answers.

mod driver;
mod entry;
mod fold;
mod machine;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use driver::{Input, Notifications, Place};
