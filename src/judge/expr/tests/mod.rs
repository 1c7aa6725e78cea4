//! Tests of expressions: what is refused, what things come to, and what always holds.

mod compile;
