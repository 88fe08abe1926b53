//! Errors of MySQL. No message contains a password.

use crate::server::ServerError;

pub use weir_database::Reason;

/// Why a database operation failed.
pub type Error = weir_database::Error<ServerError>;

/// A row that a table refuses.
pub type Refusal = weir_database::Refusal<ServerError>;

/// Result of all fallible functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
