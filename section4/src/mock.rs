//! The contract of covid19api, served on this machine: over a recorded file, or over a world that is made up.

mod generate;
mod server;
mod world;

pub use generate::Generate;
pub use server::Server;
pub use world::{Country, World};
