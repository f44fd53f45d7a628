//! Link options of the PAM module.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // libpam calls dlclose at pam_end; thread-local destructors of this library may still be pending then.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,relro,-z,now");
}
