//! What the operating system is asked: files that last, memory, the allocator, signals, pauses. Points at which tests make it fail.

pub mod allocator;
pub(crate) mod backoff;
pub(crate) mod disk;
pub(crate) mod fault;
#[cfg(feature = "http")]
pub(crate) mod http;
pub(crate) mod memory;
pub(crate) mod path_text;
pub(crate) mod stop;
pub(crate) mod temporary;
pub(crate) mod threads;
mod unique;

pub(crate) use unique::unique;
