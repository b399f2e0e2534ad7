//! Generates the client of the transfer protocol from the node's own file, so that a test can
//! speak to a data-plane port as a stranger would, and the one call of etcd that a benchmark makes.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = "../node/data-plane/proto";
    println!("cargo:rerun-if-changed={folder}");
    let described = protox::compile(["transfer.proto"], [folder])?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(described)?;
    println!("cargo:rerun-if-changed=proto");
    tonic_prost_build::configure().compile_fds(protox::compile(["kv.proto"], ["proto"])?)?;
    Ok(())
}
