//! Generates the client of the transfer protocol from the node's own file, so that a test can
//! speak to a data-plane port as a stranger would.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = "../node/data-plane/proto";
    println!("cargo:rerun-if-changed={folder}");
    let described = protox::compile(["transfer.proto"], [folder])?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(described)?;
    Ok(())
}
