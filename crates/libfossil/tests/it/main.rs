//! What `libfossil` promises about whole repositories, with the stock `fossil` program as the judge.

mod artifact;
mod checkin;
mod collision;
mod crosslink;
mod delta;
mod dump;
mod faults;
mod fingerprint;
mod history;
mod stock;
mod store;
mod xfer;
