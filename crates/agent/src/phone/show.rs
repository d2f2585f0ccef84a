//! Phones as people at the computer see them.

use std::sync::atomic::Ordering;

use super::{Phones, locked, why_words};
use crate::api::{Device, Devices, Event, OpenOffer, PhoneDoor, PhoneSession};
use crate::pair::Purpose;

impl Phones {
    /// Tells everyone how it stands with phones.
    pub(super) fn publish(&self) {
        self.parts.events.publish_now(&self.telling, || {
            let devices = Box::new(self.show());
            Event::Devices { devices }
        });
    }

    /// Returns how it stands with phones.
    pub(crate) fn show(&self) -> Devices {
        let (offer, pending) = {
            let desk = locked(&self.desk);
            (desk.open(Purpose::Device), desk.pending())
        };
        let door = locked(&self.door)
            .shown()
            .map(|(listen, url, error)| PhoneDoor {
                listen: listen.to_string(),
                url,
                error,
            });
        let mut devices: Vec<Device> = locked(&self.paired)
            .values()
            .map(|session| Device {
                id: session.device.id.to_string(),
                name: session.device.name.to_string(),
                projects: session.device.projects.clone(),
                answers: session.device.answers,
                paired_at: session.device.paired,
                used_at: session.device.used,
                connected: session.streams.load(Ordering::Relaxed) > 0,
            })
            .collect();
        devices.sort_by_key(|device| device.paired_at);
        Devices {
            door,
            addresses: crate::net::addresses()
                .iter()
                .map(ToString::to_string)
                .collect(),
            offer: offer.map(|(expires_at, tries)| OpenOffer { expires_at, tries }),
            pending: pending.iter().map(|it| it.shown(why_words)).collect(),
            devices,
        }
    }

    /// Returns what a phone is told of its session.
    pub(crate) fn session(&self, device: &super::Device) -> PhoneSession {
        PhoneSession {
            name: device.name.to_string(),
            host: self.parts.name.clone(),
            projects: device.projects.clone(),
            answers: device.answers,
        }
    }
}
