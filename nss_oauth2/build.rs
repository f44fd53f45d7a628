//! How the module is linked.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // glibc looks for libnss_SERVICE.so.2 (nss(5)).
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libnss_oauth2.so.2");
    // Never unmapped: a host may dlclose while one of its threads is inside. All symbols are bound at load time.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete,-z,relro,-z,now");
    map_in_two_pieces()?;
    link_libgcc_statically()
}

/// The loader maps each segment by itself, which is most of what loading a module costs. GNU ld makes two: what is read
/// and run, and what is written once. lld keeps what RELRO protects in a segment of its own, and pads it.
fn map_in_two_pieces() -> io::Result<()> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?;
    let script = PathBuf::from(manifest).join("lookup.ld");
    println!("cargo::rerun-if-changed=lookup.ld");
    println!("cargo::rustc-cdylib-link-arg=-fuse-ld=bfd");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,noseparate-code");
    // Not by -Wl, which splits a path at its commas.
    println!("cargo::rustc-cdylib-link-arg=-T{}", script.display());
    Ok(())
}

/// Rust asks for `-lgcc_s`, the unwinder as a shared library, which costs every process that loads the module some
/// 0.2 ms. A linker script of that name, found first, gives it the static one, made by the same compiler
/// (`gcc -static-libgcc` would do the same, but does not look at an explicit `-lgcc_s`).
fn link_libgcc_statically() -> io::Result<()> {
    let directory = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::write(directory.join("libgcc_s.so"), "GROUP(-lgcc_eh -lgcc)\n")?;
    println!("cargo::rustc-link-search=native={}", directory.display());
    Ok(())
}
