//! Bridges between a bus in memory and a stock `fossil server`.
