//! What `libfossil` promises about whole repositories, with the stock `fossil` program as the judge.

mod artifact;
mod delta;
mod history;
mod stock;
mod store;
