//! Structural artifacts.
