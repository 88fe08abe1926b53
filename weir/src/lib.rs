//! weir
pub mod error;
pub mod task;
mod source;
pub use error::{Error, Result};
