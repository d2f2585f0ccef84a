//! Questions from programs to people, and the people's answers: messages that are signed, kept in a Fossil repository and spoken
//! over a message bus. `docs/notify.md` has the formats.
//!
//! The crate has no sockets, threads, clocks or randomness: times and random bytes are handed in, and what is to be done comes
//! out as effects. Whoever holds a bus and a repository does them.
//!
//! - [`limits`]: every cap, with its reason.
//! - [`name`]: ids, projects and devices that cannot hold a bad value; [`subject`]: what they make on the bus.
//! - [`message`]: a message, read and written; [`json`]: the one way in which it is written; [`sign`]: who signed it.
//! - [`keyring`]: which keys may send and answer in which project.
//! - [`question`]: what has become of a question, as everybody can tell from its thread.
//! - [`store`]: the repository, `notify.fossil`.
//! - [`moved`]: where messages go on when two meshes have met.
//! - [`desk`]: the machine that judges what arrives and decides the questions that were asked here.
//! - [`text`]: text from others, made safe to show.

pub mod desk;
pub mod json;
pub mod keyring;
pub mod limits;
pub mod message;
pub mod moved;
pub mod name;
pub mod question;
pub mod sign;
pub mod store;
pub mod subject;
pub mod text;
