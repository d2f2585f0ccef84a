//! The listener that phones reach: open while a phone is paired or may be, at one address, and closed otherwise.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::device::{self, DoorPlace};
use super::{Phones, address, locked};
use crate::api::{Code, Error, Level, MakeOffer};
use crate::limits;
use crate::net;
use crate::pair::{DeviceName, Party};

/// The listener, and what phones open.
#[derive(Debug, Default)]
pub(super) struct Door {
    place: Option<DoorPlace>,
    open: Option<CancellationToken>,
    error: Option<String>,
    /// When opening it was tried last.
    tried: Option<Instant>,
    /// Names that people here gave to phones that they have accepted.
    pub(super) names: BTreeMap<Party, DeviceName>,
}

impl Door {
    /// Returns a closed door, at the place where it was last.
    pub(super) fn at(place: Option<DoorPlace>) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }

    /// Returns what phones open.
    pub(super) fn url(&self) -> Option<String> {
        let place = self.place.as_ref()?;
        let own = || format!("http://{}", place.listen);
        Some(place.public_url.clone().unwrap_or_else(own))
    }

    /// Returns address, what phones open, and why it is not open, for people.
    pub(super) fn shown(&self) -> Option<(SocketAddr, String, Option<String>)> {
        let place = self.place.as_ref()?;
        let shown = self.open.is_some() || self.error.is_some();
        shown.then(|| {
            (
                place.listen,
                self.url().unwrap_or_default(),
                self.error.clone(),
            )
        })
    }
}

impl Phones {
    /// Returns where a person wants phones to be let in.
    pub(super) fn wished_place(&self, wish: &MakeOffer) -> Result<DoorPlace, Error> {
        let known = locked(&self.door).place.clone();
        // An empty one says that there is none any more.
        let public_url = match wish.public_url.as_deref().map(str::trim) {
            None => None,
            Some("") => Some(None),
            Some(text) => Some(Some(address::parse_public(text)?)),
        };
        let listen = wish.listen.as_deref().map(address::parse).transpose()?;
        match (listen, known) {
            (Some(mut listen), known) => {
                // The port stays, so that paired phones find the page again.
                if let Some(known) = &known
                    && listen.port() == 0
                    && listen.ip() == known.listen.ip()
                {
                    listen.set_port(known.listen.port());
                }
                let as_before = || known.filter(|it| it.listen == listen)?.public_url;
                Ok(DoorPlace {
                    listen,
                    public_url: public_url.unwrap_or_else(as_before),
                })
            }
            (None, Some(known)) => Ok(DoorPlace {
                public_url: public_url.unwrap_or(known.public_url),
                ..known
            }),
            (None, None) => {
                let none = "no address was chosen at which phones are let in";
                Err(Error::new(Code::Conflict, none)
                    .with_hint("Choose one of this machine's addresses."))
            }
        }
    }

    /// Lets phones in at a place; when that is another than now, the old one is shut.
    pub(super) async fn open(self: &Arc<Self>, place: DoorPlace) -> Result<(), Error> {
        let _alone = self.opening.lock().await;
        {
            let door = locked(&self.door);
            if door.open.is_some() && door.place.as_ref() == Some(&place) {
                return Ok(());
            }
        }
        self.shut();
        locked(&self.door).tried = Some(Instant::now());
        let failed = |error: std::io::Error| {
            let words = format!("phones cannot be let in at {}: {error}", place.listen);
            Error::new(Code::Conflict, words)
                .with_hint("Choose another of this machine's addresses.")
        };
        let (listener, listen) = match bind(place.listen).await {
            Ok(bound) => bound,
            Err(error) => {
                let error = failed(error);
                locked(&self.door).error = Some(error.message.clone());
                return Err(error);
            }
        };
        let place = DoorPlace { listen, ..place };
        let kept = place.clone();
        self.blocking(move |state| device::set_place(state, &kept))
            .await?;
        let stop = self.parts.stopped.child_token();
        let router =
            crate::http::phone_router(Arc::clone(self), listen, place.public_url.as_deref());
        let terms = net::Door {
            name: "phones",
            lifetime: None,
        };
        self.parts
            .tasks
            .spawn(net::serve(listener, router, terms, stop.clone()));
        {
            let mut door = locked(&self.door);
            door.place = Some(place);
            door.open = Some(stop);
            door.error = None;
        }
        self.parts
            .events
            .log(Level::Info, None, format!("phones are let in at {listen}"));
        self.publish();
        Ok(())
    }

    /// Opens the door for phones that are paired, where it is not: after a start, or once the address is there again.
    pub(super) async fn reopen(self: &Arc<Self>) {
        if !self.is_in_use() {
            return;
        }
        let place = {
            let door = locked(&self.door);
            let waits = door
                .tried
                .is_some_and(|at| at.elapsed() < limits::DEVICE_DOOR_AGAIN);
            match (&door.open, &door.place) {
                (None, Some(place)) if !waits => place.clone(),
                _ => return,
            }
        };
        let news = locked(&self.door).error.is_none();
        if let Err(error) = self.open(place).await
            && news
        {
            self.parts.events.log(Level::Warn, None, error.message);
            self.publish();
        }
    }

    /// Shuts the door when no phone is paired or may be.
    pub(super) fn shut_if_idle(&self) {
        if !self.is_in_use() {
            self.shut();
        }
    }

    fn shut(&self) {
        let open = {
            let mut door = locked(&self.door);
            door.error = None;
            door.tried = None;
            door.open.take()
        };
        if let Some(open) = open {
            open.cancel();
        }
    }
}

/// Listens at an address. One that was shut a moment ago may take a moment longer.
async fn bind(at: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let deadline = Instant::now() + limits::DEVICE_DOOR_SHUTS;
    loop {
        match TcpListener::bind(at).await {
            Ok(listener) => {
                let address = listener.local_addr()?;
                return Ok((listener, address));
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error),
        }
    }
}
