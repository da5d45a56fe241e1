//! Writes the descriptors of the protos, and the table of the unary calls: no protoc is needed.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../protos");
    println!("cargo:rerun-if-changed={}", protos.display());
    let mut files: Vec<PathBuf> = fs::read_dir(protos.join("tallykeeper/v1"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "proto"));
    files.sort();
    let descriptors = protox::compile(&files, [&protos])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.binpb"), descriptors.encode_to_vec())?;
    fs::write(out.join("methods.rs"), methods(&descriptors))?;
    Ok(())
}

/// Returns a `match` of the method's name, with an arm for each unary call.
fn methods(descriptors: &prost_types::FileDescriptorSet) -> String {
    let mut code = "match method {\n".to_owned();
    for service in descriptors.file.iter().flat_map(|file| &file.service) {
        for method in service.method.iter().filter(|method| !method.server_streaming()) {
            let request = method.input_type().rsplit('.').next().unwrap_or_default();
            let _ = writeln!(
                code,
                "\"{}.{}\" => unary::<v1::{request}>(client, request, timeout, {:?}, {:?}).await,",
                service.name(),
                method.name(),
                method.input_type().trim_start_matches('.'),
                method.output_type().trim_start_matches('.'),
            );
        }
    }
    code + "_ => Err(invalid(format!(\"{method} is no unary method\"))),\n}"
}
