//! The allocator of the program, as far as a memory limit concerns it.
//!
//! A limit on memory is one on what is resident, and freed memory stays resident until the allocator returns it. The library
//! forces no allocator on a program: one that uses mimalloc names it, and tells the engine with
//! [`Cli::allocator`](crate::Cli::allocator) or [`Runner::allocator`](crate::Runner::allocator):
//!
//! ```no_run
//! #[global_allocator]
//! static ALLOCATOR: weir::allocator::MiMalloc = weir::allocator::MiMalloc;
//!
//! fn main() -> std::process::ExitCode {
//!     weir::Cli::new("example").allocator(weir::allocator::MIMALLOC).main()
//! }
//! ```

use std::ffi::{c_int, c_ulong};
use std::sync::OnceLock;

#[cfg(feature = "mimalloc")]
pub use mimalloc::MiMalloc;

/// What the engine asks of an allocator when memory is short.
#[derive(Debug, Clone, Copy)]
pub struct Allocator {
    /// Returns memory to the system as soon as it is freed, and what was freed before.
    pub return_freed: fn(),
    /// Keeps freed memory for a while again, which is faster.
    pub keep_freed: fn(),
    /// Returns what is freed and still kept.
    pub collect: fn(),
}

/// mimalloc, where it is the global allocator of the program.
#[cfg(feature = "mimalloc")]
pub const MIMALLOC: Allocator =
    Allocator { return_freed: mi::return_freed, keep_freed: mi::keep_freed, collect: mi::collect };

static ALLOCATOR: OnceLock<Allocator> = OnceLock::new();

/// Sets the allocator of the program; the first one counts, as a program has one.
pub(crate) fn set(allocator: Allocator) {
    let _ = ALLOCATOR.set(allocator);
}

pub(crate) fn return_freed() {
    ALLOCATOR.get().into_iter().for_each(|allocator| (allocator.return_freed)());
}

pub(crate) fn keep_freed() {
    ALLOCATOR.get().into_iter().for_each(|allocator| (allocator.keep_freed)());
}

pub(crate) fn collect() {
    ALLOCATOR.get().into_iter().for_each(|allocator| (allocator.collect)());
}

unsafe extern "C" {
    fn prctl(option: c_int, ...) -> c_int;
}

/// Whether the system may back memory with pages of 2 MiB: faster, and resident as a whole for any byte in them.
pub(crate) fn use_huge_pages(yes: bool) {
    const PR_SET_THP_DISABLE: c_int = 41;
    const NONE: c_ulong = 0;
    // SAFETY: this option takes a number and three zeros, and touches no memory of ours. That it cannot be set, on
    // another kernel, only means more memory.
    unsafe { prctl(PR_SET_THP_DISABLE, c_ulong::from(!yes), NONE, NONE, NONE) };
}

#[cfg(feature = "mimalloc")]
mod mi {
    use std::ffi::{c_int, c_long};

    use mimalloc as _; // links the functions below

    unsafe extern "C" {
        fn mi_option_set(option: c_int, value: c_long);
        fn mi_collect(force: bool);
    }

    /// `mi_option_purge_delay`: milliseconds for which freed memory is kept.
    const PURGE_DELAY: c_int = 15;
    const DEFAULT_MILLISECONDS: c_long = 1000;

    pub(super) fn return_freed() {
        // SAFETY: options may be set at any time and from any thread.
        unsafe { mi_option_set(PURGE_DELAY, 0) };
        collect();
    }

    pub(super) fn keep_freed() {
        // SAFETY: as above.
        unsafe { mi_option_set(PURGE_DELAY, DEFAULT_MILLISECONDS) };
    }

    pub(super) fn collect() {
        // SAFETY: a collection may be requested at any time and from any thread.
        unsafe { mi_collect(true) };
    }
}
