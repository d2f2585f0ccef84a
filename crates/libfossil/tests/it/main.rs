//! What `libfossil` promises about whole repositories, with the stock `fossil` program as the judge.

mod history;
mod stock;
mod store;
