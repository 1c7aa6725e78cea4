//! The `tcp` kind.
