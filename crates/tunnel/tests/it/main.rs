//! Endpoints on the loopback interface, and a relay in this process: who reaches whom, and what happens when somebody goes.

mod lab;
mod reach;
mod refusals;
mod trouble;
