//! Generates the stubs from the descriptors that the suite has made from the protos, so that no protoc is needed.

use prost::Message;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=tallykeeper.binpb");
    let descriptors = FileDescriptorSet::decode(&*std::fs::read("tallykeeper.binpb")?)?;
    tonic_prost_build::configure().build_server(false).compile_fds(descriptors)?;
    Ok(())
}
