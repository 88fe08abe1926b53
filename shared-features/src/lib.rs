//! Gives crates that several members share the same features, whichever member is built.
//!
//! Cargo unifies the features of the packages that one command selects. Without this crate `cargo build -p section1`
//! would compile a hundred crates again after `cargo build --workspace`, because `num-traits` has one feature less in
//! it, and everything on top of it is another build. The manifest of this crate requests the features that the
//! workspace as a whole needs, but for `weir-cluster`, which is built apart. `scripts/check_features.sh` fails when a
//! member's build differs from the workspace's.
//!
//! Sections 2 and 5 do without DataFusion: nothing may be added here that brings it in.
