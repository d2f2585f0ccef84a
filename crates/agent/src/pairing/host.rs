//! The side that made an offer, or is knocked at: it serves the stream of who came.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::{End, Pairings, locked};
use crate::api::Level;
use crate::frames;
use crate::limits;
use crate::pair::{Message, Paired, Party, Purpose, Standing, Why};

impl Pairings {
    /// Serves a stream whose other end is certainly `party`, until the two are paired or it came to nothing.
    pub(crate) async fn host<S>(self: Arc<Self>, party: Party, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Ok(_place) = self.places.try_acquire() else {
            return;
        };
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        locked(&self.speaks).insert(party, turn);
        let (mut from, mut to) = tokio::io::split(stream);
        let ended = self.host_through(party, turn, &mut from, &mut to).await;
        let current = {
            let mut speaks = locked(&self.speaks);
            let current = speaks.get(&party) == Some(&turn);
            if current {
                speaks.remove(&party);
            }
            current
        };
        if let Err(end) = &ended {
            tracing::debug!(%party, %end, "a pairing came to nothing");
            let why = match end {
                End::Said(why) => *why,
                End::Lost(_) | End::Doubt => Why::Lost,
                End::Other(_) => Why::Cancelled,
            };
            if current && locked(&self.desk).end(&party, why) {
                self.tell(&party, end);
            }
            if !matches!(end, End::Lost(_)) {
                let _ = frames::write(&mut to, &Message::Refuse { why }).await;
                let _ = to.shutdown().await;
            }
        }
        if let Err(error) = self.settle().await {
            tracing::warn!(%error, "pairing");
        }
    }

    fn tell(&self, party: &Party, end: &End) {
        let words = self.end_words(party, end);
        let words = format!("an agent was not paired: {words} ({party})");
        self.parts.events.log(Level::Warn, None, words);
    }

    async fn host_through(
        &self,
        party: Party,
        turn: u64,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), End> {
        let Message::Claim(claim) = frames::read(from, limits::MEMBER_FRAME_BYTES).await? else {
            return Err(End::Said(Why::Nonsense));
        };
        let nonce = crate::text::random().map_err(|error| End::Other(error.to_string()))?;
        let hello = locked(&self.desk).claim(party, Purpose::Agent, &claim, nonce, self.now());
        // A wrong try counts after a restart, too.
        self.settle().await?;
        // After that, so that people here hear of one that has their offer, and of nobody else.
        if self.is_revoked(&party) {
            return Err(End::Said(Why::Revoked));
        }
        frames::write(to, &Message::Hello(hello?)).await?;
        let reveal = match frames::read(from, limits::MEMBER_FRAME_BYTES).await? {
            Message::Reveal(reveal) => reveal,
            Message::Refuse { why } => return Err(End::Said(why)),
            _ => return Err(End::Said(Why::Nonsense)),
        };
        locked(&self.desk).reveal(&party, &reveal, self.now())?;
        let words = format!("{} wants to be paired ({party})", reveal.name);
        self.parts.events.log(Level::Info, None, words);
        self.settle().await?;
        let records = match self.decided(party, turn, from, to).await? {
            Message::Done { records } => records,
            Message::Refuse { why } => return Err(End::Said(why)),
            _ => return Err(End::Said(Why::Nonsense)),
        };
        let paired = locked(&self.desk).agree(&party, self.now())?;
        self.close(paired, &records, from, to).await
    }

    /// Waits for the people on both sides, and returns what the other side says then. It is told when a person here has accepted.
    async fn decided(
        &self,
        party: Party,
        turn: u64,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Message, End> {
        let mut turns = self.turn.subscribe();
        let mut heard = pin!(frames::wait::<Message>(from, limits::MEMBER_FRAME_BYTES));
        let mut told = false;
        loop {
            turns.mark_unchanged();
            if locked(&self.speaks).get(&party) != Some(&turn) {
                return Err(End::Said(Why::Cancelled));
            }
            let standing = locked(&self.desk).standing(&party).cloned();
            match standing {
                Some(Standing::Comparing { accepted, .. }) => {
                    if accepted.is_some() && !told {
                        frames::write(to, &Message::Accept).await?;
                        told = true;
                    }
                }
                Some(Standing::Ended(why)) => return Err(End::Said(why)),
                Some(Standing::Meeting) | None => return Err(End::Said(Why::Nonsense)),
            }
            tokio::select! {
                message = &mut heard => return Ok(message?),
                _ = turns.changed() => {}
                () = self.parts.stopped.cancelled() => return Err(End::Said(Why::Cancelled)),
            }
        }
    }

    /// Both people have accepted: exchanges what they sign, and keeps it once the other side has it, too. Whether that keeps it as well shows when the two
    /// meet: see [`Members::hold`](crate::members::Members::hold).
    async fn close(
        &self,
        paired: Paired,
        records: &[String],
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), End> {
        let party = paired.party;
        let theirs = self.vouched(&party, records)?;
        let name = locked(&self.names).remove(&party).unwrap_or(paired.name);
        let ours = self.vouch(party, &name, &paired.rights)?;
        let records = ours.clone();
        frames::write(to, &Message::Paired { records }).await?;
        match frames::read(from, limits::MEMBER_FRAME_BYTES).await? {
            Message::Bye => {}
            Message::Refuse { why } => return Err(End::Said(why)),
            _ => return Err(End::Said(Why::Nonsense)),
        }
        // Whoever ended it until now is heard.
        locked(&self.desk).seal(&party, self.now())?;
        let records = [ours, theirs].concat();
        let held = self.of_members(move |members| members.hold(party, &records));
        if let Err(error) = held.await {
            locked(&self.desk).unseal(&party);
            return Err(error.into());
        }
        // Only now, so that nobody sees it gone before it is a member.
        let _ = locked(&self.desk).finish(&party, self.now());
        // The other side keeps it when it hears this orderly end.
        if let Err(error) = to.shutdown().await {
            tracing::info!(%party, %error, "the other side may not know that it is paired");
        }
        Ok(())
    }
}
