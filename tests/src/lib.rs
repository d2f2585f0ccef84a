//! Nothing here: this package exists for its tests in `it/`.
