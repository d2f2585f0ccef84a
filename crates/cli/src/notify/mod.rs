//! `edgesync notify`: what programs say and ask, and what people answer.

mod ask;
pub(crate) mod devices;
pub(crate) mod place;
mod read;
mod send;
mod watch;
pub(crate) mod words;

use clap::{Args, Subcommand};

use crate::error::Failure;
use crate::output::Output;

/// Say something, ask something, answer
///
/// Without a running agent, the commands work on the repository of messages alone. With --nats they speak and listen on that bus meanwhile; without, what
/// they store goes to others when an agent runs.
#[derive(Args)]
pub(crate) struct Notify {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Init(place::Init),
    Send(send::Send),
    Ask(ask::Ask),
    Reply(send::Reply),
    Watch(watch::Watch),
    Threads(read::Threads),
    Log(read::Log),
    Status(read::Status),
    Trace(read::Trace),
    Pair(devices::Pair),
    Unpair(devices::Unpair),
    Devices(devices::List),
}

impl Notify {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        match self.verb {
            Verb::Init(verb) => verb.run(out),
            Verb::Send(verb) => verb.run(out),
            Verb::Ask(verb) => verb.run(out),
            Verb::Reply(verb) => verb.run(out),
            Verb::Watch(verb) => verb.run(out),
            Verb::Threads(verb) => verb.run(out),
            Verb::Log(verb) => verb.run(out),
            Verb::Status(verb) => verb.run(out),
            Verb::Trace(verb) => verb.run(out),
            Verb::Pair(verb) => verb.run(out),
            Verb::Unpair(verb) => verb.run(out),
            Verb::Devices(verb) => verb.run(out),
        }
    }
}
