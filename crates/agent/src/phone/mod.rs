//! Phones: an offer that is shown as a QR code, six digits that people compare, and then a session that reads and answers messages of the
//! projects that it was given, and nothing else.
//!
//! A phone's own browser is all that it needs. Its page is served at one address that a person chose, while a phone is paired or to be
//! paired; that listener knows nothing of the agent but [`Phones`] and its messages. [`device`] is what is kept of a phone, [`address`] where
//! it could reach this machine, [`qr`] the picture, [`door`] the listener.

mod address;
mod device;
mod door;
mod show;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{AcceptDevice, Code, Error, Level, MadeOffer, MakeOffer, PhonePairing, Time};
use crate::events::{Events, Telling};
use crate::limits;
use crate::notify::Post;
use crate::pair::{
    Claim, Desk, DeviceName, Fresh, Hello, Now, Paired, Party, Purpose, Refusal, Reveal, Rights,
    Said, Standing, Why, no_random, offers, set_offers, told,
};
use crate::state::StateDb;
use crate::text;
use device::SessionHash;
pub(crate) use device::{Device, TABLES};
use door::Door;

/// The letter of [`Rights`] that an answer needs.
const ANSWERS: char = 'i';

/// What a computer is called whose name is none.
const FALLBACK_NAME: &str = "EdgeSync";

/// What phones take from the agent.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) state: Arc<StateDb>,
    pub(crate) events: Arc<Events>,
    pub(crate) post: Arc<Post>,
    /// The agent's endpoint id.
    pub(crate) host: Party,
    /// Its name for people.
    pub(crate) name: String,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopped: CancellationToken,
}

/// The phones of this agent.
#[derive(Debug)]
pub(crate) struct Phones {
    parts: Parts,
    began: Instant,
    desk: Mutex<Desk>,
    paired: Mutex<BTreeMap<Party, Session>>,
    /// Sessions that phones were given and have not used yet: by what is kept of them.
    given: Mutex<BTreeMap<SessionHash, Paired>>,
    door: Mutex<Door>,
    /// One change of the door at a time.
    opening: tokio::sync::Mutex<()>,
    /// Moves whenever a pairing does.
    turn: watch::Sender<u64>,
    telling: Telling,
}

/// A paired phone in this run.
#[derive(Debug)]
struct Session {
    device: Device,
    /// Ends its streams.
    cut: CancellationToken,
    /// Open streams.
    streams: Arc<AtomicUsize>,
    /// When its use was written down last.
    noted: Option<Instant>,
}

/// A phone whose request is let in.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) device: Device,
    cut: CancellationToken,
    streams: Arc<AtomicUsize>,
}

/// Counts an open stream for as long as it is held.
#[derive(Debug)]
pub(crate) struct OpenStream {
    phones: Arc<Phones>,
    streams: Arc<AtomicUsize>,
    /// Becomes cancelled when the phone loses its rights.
    pub(crate) cut: CancellationToken,
}

impl OpenStream {
    /// Whether it ended because the phone is no longer paired, and not because the agent stops.
    pub(crate) fn is_revoked(&self) -> bool {
        self.cut.is_cancelled() && !self.phones.parts.stopped.is_cancelled()
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
        self.phones.publish();
    }
}

impl Admitted {
    /// Counts a stream that the phone opens.
    pub(crate) fn open_stream(&self, phones: &Arc<Phones>) -> OpenStream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        phones.publish();
        OpenStream {
            phones: Arc::clone(phones),
            streams: Arc::clone(&self.streams),
            cut: self.cut.clone(),
        }
    }
}

impl Phones {
    /// Reads which phones are paired, and lets them in. Blocks on `agent.db`.
    ///
    /// # Errors
    /// `internal` when `agent.db` cannot be read.
    pub(crate) fn start(parts: Parts) -> Result<Arc<Self>, Error> {
        let name = device_name(&parts.name)?;
        let kept = offers(&parts.state).map_err(state_error)?;
        let kept = kept.into_iter().filter(|it| it.purpose == Purpose::Device);
        let began = Instant::now();
        let desk = Desk::new(parts.host, name, kept.collect(), now(began));
        let paired = device::devices(&parts.state).map_err(state_error)?;
        let place = device::place(&parts.state).map_err(state_error)?;
        let phones = Arc::new(Self {
            began,
            desk: Mutex::new(desk),
            paired: Mutex::new(
                paired
                    .into_iter()
                    .map(|device| (device.id, Session::of(device, &parts.stopped)))
                    .collect(),
            ),
            given: Mutex::default(),
            door: Mutex::new(Door::at(place)),
            opening: tokio::sync::Mutex::default(),
            turn: watch::Sender::new(0),
            telling: Telling::default(),
            parts,
        });
        let tasks = &phones.parts.tasks;
        tasks.spawn(Arc::clone(&phones).keep());
        Ok(phones)
    }

    /// Makes an offer, and lets phones in to claim it. An earlier one no longer counts.
    ///
    /// # Errors
    /// `bad_request` for what is no address, `conflict` when it cannot be listened on or none was chosen.
    pub(crate) async fn offer(self: &Arc<Self>, wish: &MakeOffer) -> Result<MadeOffer, Error> {
        self.put(Fresh::random()?, wish, false).await
    }

    /// Makes an offer as [`offer`](Self::offer) does, which counts no longer than until `gone`.
    ///
    /// # Errors
    /// Those of [`offer`](Self::offer).
    pub(crate) async fn offer_until(
        self: &Arc<Self>,
        wish: &MakeOffer,
        gone: CancellationToken,
    ) -> Result<MadeOffer, Error> {
        let fresh = Fresh::random()?;
        let secret = fresh.verifier(Purpose::Device, &self.parts.host);
        let made = self.put(fresh, wish, true).await?;
        let (phones, stopped) = (Arc::clone(self), self.parts.stopped.clone());
        self.parts.tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => return,
                () = gone.cancelled() => {}
            }
            locked(&phones.desk).let_go(&secret);
            if let Err(error) = phones.settle().await {
                tracing::warn!(%error, "pairing a phone");
            }
        });
        Ok(made)
    }

    async fn put(
        self: &Arc<Self>,
        fresh: Fresh,
        wish: &MakeOffer,
        is_held: bool,
    ) -> Result<MadeOffer, Error> {
        let place = self.wished_place(wish)?;
        self.open(place).await?;
        let host = self.parts.host;
        let expires_at = {
            let mut desk = locked(&self.desk);
            let expires_at = fresh.put(&mut desk, Purpose::Device, &host, self.now());
            if is_held {
                desk.hold(Purpose::Device);
            }
            expires_at
        };
        self.settle().await?;
        let base = locked(&self.door).url().unwrap_or_default();
        let url = format!("{base}/#pair={host}.{}", fresh.secret());
        fresh.shown(url, expires_at)
    }

    /// Takes the offer back, and ends the pairings that came of it.
    pub(crate) async fn withdraw(&self) -> Result<(), Error> {
        locked(&self.desk).take_back(Purpose::Device);
        self.settle().await
    }

    /// Hears that a phone knows an offer's secret.
    ///
    /// # Errors
    /// `forbidden` when it does not, or the offer no longer counts.
    pub(crate) async fn claim(&self, party: Party, claim: &Claim) -> Result<Hello, Error> {
        let nonce = text::random().map_err(no_random)?;
        let hello = locked(&self.desk).claim(party, Purpose::Device, claim, nonce, self.now());
        // A wrong try counts after a restart, too.
        self.settle().await?;
        hello.map_err(refused)
    }

    /// Hears a phone's part of the digits.
    ///
    /// # Errors
    /// `forbidden` when it is not what it had bound itself to.
    pub(crate) async fn reveal(&self, party: &Party, reveal: &Reveal) -> Result<(), Error> {
        let revealed = locked(&self.desk).reveal(party, reveal, self.now());
        self.settle().await?;
        revealed.map(drop).map_err(refused)
    }

    /// Returns how far a phone's pairing is, as soon as that is something else than waiting, or after a while.
    pub(crate) async fn wait_for(&self, party: &Party, wait: Duration) -> PhonePairing {
        let deadline = tokio::time::Instant::now() + wait;
        let mut turn = self.turn.subscribe();
        loop {
            turn.mark_unchanged();
            let standing = locked(&self.desk).standing(party).cloned();
            match standing {
                None => {
                    return PhonePairing::Ended {
                        why: why_words(Why::Offer).to_owned(),
                    };
                }
                Some(Standing::Ended(why)) => {
                    return PhonePairing::Ended {
                        why: why_words(why).to_owned(),
                    };
                }
                Some(Standing::Comparing {
                    accepted: Some(_), ..
                }) => return PhonePairing::Accepted,
                Some(_) => {}
            }
            tokio::select! {
                changed = tokio::time::timeout_at(deadline, turn.changed()) => match changed {
                    Ok(Ok(())) => {}
                    _ => return PhonePairing::Waiting,
                },
                () = self.parts.stopped.cancelled() => return PhonePairing::Waiting,
            }
        }
    }

    /// A person here says that the digits are the same.
    ///
    /// # Errors
    /// `bad_request` for no digits, projects or name; `conflict` when the digits differ, or there is nothing to accept any more.
    pub(crate) async fn accept(&self, party: &Party, wish: AcceptDevice) -> Result<(), Error> {
        let Said { digits, name } = Said::read(wish.digits.as_deref(), wish.name.as_deref())?;
        if let Some(projects) = &wish.projects {
            check_projects(projects)?;
        }
        let mut rights = Rights {
            capabilities: String::from("o"),
            projects: wish.projects.unwrap_or_default(),
        };
        if wish.answers {
            rights.capabilities.push(ANSWERS);
        }
        let accepted = locked(&self.desk).accept(party, digits, rights, self.now());
        if let (Ok(()), Some(name)) = (&accepted, name) {
            locked(&self.door).names.insert(*party, name);
        }
        self.settle().await?;
        accepted.map_err(told)
    }

    /// A person, here or there, does not want the pairing, or says that the digits differ.
    ///
    /// # Errors
    /// `not_found` when there is none.
    pub(crate) async fn refuse(&self, party: &Party, why: Why) -> Result<(), Error> {
        let ended = locked(&self.desk).end(party, why);
        self.settle().await?;
        match ended {
            true => Ok(()),
            false => Err(Error::not_found("no phone of that id waits to be paired")),
        }
    }

    /// A phone has heard that it was accepted, and gets its session. It counts once the phone uses it.
    ///
    /// # Errors
    /// `forbidden` when nobody accepted it; the pairing has ended then.
    pub(crate) async fn agree(&self, party: &Party) -> Result<String, Error> {
        let token = text::to_hex(&text::random::<32>().map_err(no_random)?);
        let agreed = locked(&self.desk).agree(party, self.now());
        if let Ok(paired) = &agreed {
            locked(&self.given).insert(SessionHash::of(&token), paired.clone());
        }
        self.settle().await?;
        agreed.map(|_| token).map_err(refused)
    }

    /// Returns the phone whose session this is. The first use of a session is what ends the pairing well.
    ///
    /// # Errors
    /// `unauthorized` when it is nobody's.
    pub(crate) async fn admit(&self, token: &str) -> Result<Admitted, Error> {
        let hash = SessionHash::of(token);
        let given = locked(&self.given).remove(&hash);
        if let Some(paired) = given {
            self.pair(paired, hash.clone()).await?;
        }
        let (admitted, note) = {
            let mut sessions = locked(&self.paired);
            let session = sessions.values_mut().find(|it| it.device.session == hash);
            let session = session.ok_or_else(|| {
                Error::new(Code::Unauthorized, "this phone is not paired, or no longer")
                    .with_hint("Pair it again at the computer.")
            })?;
            session.device.used = Some(Time::now());
            let due = session
                .noted
                .is_none_or(|at| at.elapsed() >= limits::DEVICE_USE_NOTED);
            if due {
                session.noted = Some(Instant::now());
            }
            let admitted = Admitted {
                device: session.device.clone(),
                cut: session.cut.clone(),
                streams: Arc::clone(&session.streams),
            };
            (admitted, due)
        };
        if note {
            let id = admitted.device.id;
            self.blocking(move |state| device::used(state, &id, Time::now()))
                .await?;
            self.publish();
        }
        Ok(admitted)
    }

    async fn pair(&self, paired: Paired, session: SessionHash) -> Result<(), Error> {
        let party = paired.party;
        locked(&self.desk)
            .finish(&party, self.now())
            .map_err(refused)?;
        let wished = locked(&self.door)
            .names
            .remove(&party)
            .unwrap_or(paired.name);
        let device = Device {
            id: party,
            name: self.free_name(&wished, &party),
            session,
            projects: Some(paired.rights.projects).filter(|them| !them.is_empty()),
            answers: paired.rights.capabilities.contains(ANSWERS),
            paired: Time::now(),
            used: None,
        };
        let kept = device.clone();
        self.blocking(move |state| device::keep(state, &kept))
            .await?;
        let words = format!("{} is paired", device.name);
        self.parts.events.log(Level::Info, None, words);
        let session = Session::of(device, &self.parts.stopped);
        locked(&self.paired).insert(party, session);
        self.settle().await
    }

    /// Takes all rights from a phone; its open streams end at once.
    ///
    /// # Errors
    /// `not_found` when no phone of that id is paired.
    pub(crate) async fn revoke(&self, id: &Party) -> Result<(), Error> {
        let session = locked(&self.paired).remove(id);
        let session = session.ok_or_else(|| Error::not_found("no phone of that id is paired"))?;
        session.cut.cancel();
        let id = *id;
        self.blocking(move |state| device::remove(state, &id))
            .await?;
        let words = format!("{} is no longer paired", session.device.name);
        self.parts.events.log(Level::Info, None, words);
        self.settle().await
    }

    /// Who the phone talks to: the agent's endpoint id and name.
    pub(crate) fn host(&self) -> (Party, &str) {
        (self.parts.host, &self.parts.name)
    }

    /// The agent's messages.
    pub(crate) fn post(&self) -> &Arc<Post> {
        &self.parts.post
    }

    /// What happens in the agent.
    pub(crate) fn events(&self) -> &Events {
        &self.parts.events
    }

    /// Returns a name that no paired phone has.
    fn free_name(&self, wished: &DeviceName, party: &Party) -> DeviceName {
        let sessions = locked(&self.paired);
        let taken = |name: &str| {
            let others = sessions.values().filter(|it| it.device.id != *party);
            others
                .map(|it| it.device.name.as_str())
                .any(|it| it.eq_ignore_ascii_case(name))
        };
        let numbered = (2..).map(|number| format!("{wished} {number}"));
        std::iter::once(wished.to_string())
            .chain(numbered)
            .take(sessions.len().saturating_add(2))
            .find(|name| !taken(name))
            .and_then(|name| name.parse().ok())
            .unwrap_or_else(|| wished.clone())
    }

    /// Writes down the open offers, tells everyone how it stands, and shuts the door when nobody needs it.
    async fn settle(&self) -> Result<(), Error> {
        self.tick();
        self.keep_offers().await?;
        self.turn.send_modify(|turn| *turn = turn.wrapping_add(1));
        self.shut_if_idle();
        self.publish();
        Ok(())
    }

    /// Ends what has been there for too long. Returns whether anything changed.
    fn tick(&self) -> bool {
        let mut desk = locked(&self.desk);
        let before = (desk.pending(), desk.open(Purpose::Device));
        desk.tick(self.now());
        let after = (desk.pending(), desk.open(Purpose::Device));
        let alive =
            |party: &Party| !matches!(desk.standing(party), None | Some(Standing::Ended(_)));
        locked(&self.given).retain(|_, paired| alive(&paired.party));
        locked(&self.door).names.retain(|party, _| alive(party));
        before != after
    }

    async fn keep_offers(&self) -> Result<(), Error> {
        let kept = locked(&self.desk).kept();
        self.blocking(move |state| set_offers(state, Purpose::Device, &kept))
            .await
    }

    /// Whether a phone is paired, or may be.
    fn is_in_use(&self) -> bool {
        let desk = locked(&self.desk);
        let waits = desk
            .pending()
            .iter()
            .any(|it| !matches!(it.standing, Standing::Ended(_)));
        waits || desk.open(Purpose::Device).is_some() || !locked(&self.paired).is_empty()
    }

    /// Does what is due by the clock, and opens the door for phones that are paired.
    async fn keep(self: Arc<Self>) {
        loop {
            if self.tick()
                && let Err(error) = self.settle().await
            {
                tracing::warn!(%error, "phones");
            }
            self.reopen().await;
            let mut turn = self.turn.subscribe();
            tokio::select! {
                () = self.parts.stopped.cancelled() => return,
                _ = turn.changed() => {}
                () = tokio::time::sleep(limits::DEVICE_TICK) => {}
            }
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&StateDb) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let state = Arc::clone(&self.parts.state);
        match tokio::task::spawn_blocking(move || work(&state)).await {
            Ok(done) => done.map_err(state_error),
            Err(error) => Err(Error::internal(error.to_string())),
        }
    }

    fn now(&self) -> Now {
        now(self.began)
    }
}

impl Session {
    fn of(device: Device, stopped: &CancellationToken) -> Self {
        Self {
            device,
            cut: stopped.child_token(),
            streams: Arc::default(),
            noted: None,
        }
    }
}

fn now(began: Instant) -> Now {
    Now {
        wall: Time::now(),
        up: began.elapsed(),
    }
}

/// Returns a name as devices may have one.
fn device_name(name: &str) -> Result<DeviceName, Error> {
    let plain = edgesync_notify::text::shown_on_a_line(name);
    let short = edgesync_notify::text::excerpt(&plain, limits::DEVICE_NAME_BYTES);
    let name = short.parse().or_else(|_| FALLBACK_NAME.parse());
    name.map_err(|error: crate::pair::DeviceNameError| Error::internal(error.to_string()))
}

fn check_projects(projects: &[String]) -> Result<(), Error> {
    if projects.is_empty() {
        return Err(Error::bad_request(
            "name at least one project, or null for all",
        ));
    }
    let good = |name: &String| edgesync_notify::name::Project::parse(name).map(drop);
    let all = projects.iter().try_for_each(good);
    all.map_err(|error| Error::bad_request(error.to_string()))
}

/// Returns what ended a pairing, for people.
pub(super) fn why_words(why: Why) -> &'static str {
    match why {
        Why::Offer => {
            "The offer does not count, or no longer does. Make a new one at the computer."
        }
        Why::Differ => "The digits differed. The phone is not paired.",
        Why::Cancelled => "It was cancelled.",
        Why::Late => "It took too long.",
        _ => "The two did not understand each other. Load the page anew and make a new offer.",
    }
}

fn refused(refusal: Refusal) -> Error {
    Error::new(Code::Forbidden, why_words(refusal.why()))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn state_error(error: rusqlite::Error) -> Error {
    Error::internal(format!("agent.db: {error}"))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here changes by single calls that leave it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
