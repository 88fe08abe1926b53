//! A mock of covid19api: it serves a recorded file or generated data.

mod generate;
mod server;
mod world;

pub use generate::Generate;
pub use server::Server;
pub use world::{Country, World};
