//! Servers for the tests: one that answers by a script, and Tallykeeper itself.

#![allow(dead_code, reason = "each test program uses a part of this module")]

pub mod scripted;
pub mod tallykeeper_server;
