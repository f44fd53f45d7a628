//! Admin command.
fn main() {}
