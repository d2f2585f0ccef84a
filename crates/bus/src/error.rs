//! What can go wrong on a bus.

/// A message or subscription was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no connection to the server now.
    #[error("not connected to the message bus")]
    Closed,
    /// The server would refuse the message.
    #[error("a message of {size} bytes is over the bus's limit of {max}")]
    TooLarge {
        /// Bytes of headers and payload.
        size: usize,
        /// The most that the server takes.
        max: usize,
    },
    /// The subject or queue is not one that NATS knows: empty, with white space, or with an empty token.
    #[error("{0:?} is no subject")]
    Subject(String),
    /// A header's name or value holds what would end it early.
    #[error("the header {0:?} cannot be sent")]
    Header(String),
}

/// A request brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Nobody listens on the subject; told at once.
    #[error("nobody listens on the bus")]
    NoResponders,
    /// Somebody listens, and did not answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The request was not sent, or the connection ended before the answer came.
    #[error(transparent)]
    Send(#[from] SendError),
}
