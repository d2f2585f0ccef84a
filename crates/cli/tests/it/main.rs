//! The `edgesync` command as people and scripts meet it: run as a program, each test with a home and a folder of its own,
//! and stock `fossil` beside it as the judge.

mod again;
mod agent;
mod attached;
mod check_in;
mod errors;
mod help;
mod https;
mod hub;
mod lab;
mod large;
mod logs;
mod look;
mod manage;
mod mcp;
mod metrics;
mod notify;
mod service;
mod transfer;
mod uv;
