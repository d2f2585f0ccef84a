//! Questions and answers in the agent: the repository `notify.fossil`, the desk that judges, the bus, and what fronts see of it.
//!
//! - [`Office`]: desk and store together, on a repository that somebody else opened. No async, no network; [`Alone`] is it without a running agent.
//! - [`attached`]: the files that go with it.
//! - [`compose`]: from what a front wants to say to a message.
//! - [`show`]: from what is stored to what the API shows.
//! - [`post`]: the running agent's side: one office, the bus, the clock and the events; [`hearing`]: what the bus brings; [`moving`]: going on in another mesh's repository; [`presence`]: who is there; [`opening`]: how it begins.

mod alone;
mod attached;
mod compose;
mod hearing;
pub(crate) mod moving;
mod office;
mod opening;
mod place;
mod post;
mod presence;
mod show;
mod vouch;

#[cfg(test)]
mod tests;

pub use alone::Alone;
pub use edgesync_notify::{name, text};
pub(crate) use office::{Follows, Office};
pub(crate) use opening::begin;
pub(crate) use place::{ATTACHMENTS, ready};
pub use place::{FILE_NAME, create, open};
pub(crate) use post::{Post, Setting};
