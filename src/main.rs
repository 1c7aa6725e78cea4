//! The binary: everything is in the library.

use std::process::ExitCode;

/// Thousands of probes allocate on all threads at once: the system's allocator spends more on that
/// than the probes themselves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    probe::cli::main()
}
