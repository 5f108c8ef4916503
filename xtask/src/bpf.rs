//! `cargo xtask build-bpf`: the bytecode from its sources, and the fingerprint that ties the two together.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

/// Where the bytecode is built from: everything in these folders, and nothing else.
const SOURCES: [&str; 2] = ["lossdrop-common", "lossdrop-ebpf"];
const TARGET: &str = "bpfel-unknown-none";
/// The bytecode and its fingerprint, as they are committed.
const OBJECT: &str = "lossdrop/bpf/lossdrop.o";
const FINGERPRINT: &str = "lossdrop/bpf/lossdrop.o.sources";

/// A compiler that can build `core` for the BPF target, and its cargo.
struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    /// A stable compiler is made to allow what `-Z build-std` needs.
    bootstrap: bool,
}

/// Builds the bytecode, strips it, and writes it with its fingerprint. With `check`, compares instead of writing.
pub(crate) fn build(check: bool) -> Result<()> {
    let root = crate::root();
    let toolchain = toolchain()?;
    let linker = find("bpf-linker").context(
        "bpf-linker is missing: LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version 0.13.0 \
         --no-default-features --features llvm-22",
    )?;
    let strip = strip_tool()?;
    let target_dir = root.join("target/bpf");
    let mut flags = vec![
        format!("-Clinker={}", linker.display()),
        // More kinds of jump than v1; every kernel that lossdrop runs on has them (Linux 4.14).
        "-Ctarget-cpu=v2".to_owned(),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("--remap-path-prefix={}=lossdrop", root.display()),
        format!("--remap-path-prefix={}=rust", sysroot(&toolchain)?.display()),
    ];
    for registry in registries()? {
        flags.push(format!("--remap-path-prefix={}=crates", registry.display()));
    }
    let mut command = Command::new(&toolchain.cargo);
    command
        .args(["build", "--release", "--locked", "--target", TARGET, "-Z", "build-std=core"])
        .current_dir(root.join("lossdrop-ebpf"))
        .env("RUSTC", &toolchain.rustc)
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env_remove("RUSTUP_TOOLCHAIN");
    if toolchain.bootstrap {
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    crate::run(&mut command)?;
    let built = target_dir.join(TARGET).join("release/lossdrop");
    let stripped = target_dir.join("lossdrop.o");
    crate::run(Command::new(strip).arg("--strip-debug").arg("-o").arg(&stripped).arg(&built))?;
    let object = fs::read(&stripped)?;
    let fingerprint = fingerprint(&root)?;
    if check {
        ensure!(
            fs::read(root.join(OBJECT))? == object,
            "the committed bytecode differs from what its sources give: run \"cargo xtask build-bpf\" and commit"
        );
        println!("{OBJECT}: {} bytes, as its sources give", object.len());
        return Ok(());
    }
    fs::write(root.join(OBJECT), &object)?;
    fs::write(root.join(FINGERPRINT), fingerprint)?;
    println!("{OBJECT}: {} bytes", object.len());
    Ok(())
}

/// Where cargo keeps the sources of dependencies.
fn registries() -> Result<Vec<PathBuf>> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let sources = home.context("neither CARGO_HOME nor HOME is set")?.join("registry/src");
    Ok(fs::read_dir(sources).into_iter().flatten().flatten().map(|entry| entry.path()).collect())
}

fn sysroot(toolchain: &Toolchain) -> Result<PathBuf> {
    let output = Command::new(&toolchain.rustc).args(["--print", "sysroot"]).output()?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()).join("lib/rustlib/src/rust"))
}

/// A toolchain with the sources of `core`: a nightly of rustup's, else Debian's `rustc-web`.
fn toolchain() -> Result<Toolchain> {
    let has_core =
        |toolchain: &Toolchain| sysroot(toolchain).is_ok_and(|root| root.join("library/core").exists());
    if let Some(nightly) = rustup_nightly()
        && has_core(&nightly)
    {
        return Ok(nightly);
    }
    let debian = Toolchain {
        cargo: PathBuf::from("/usr/bin/cargo"),
        rustc: PathBuf::from("/usr/bin/rustc"),
        bootstrap: true,
    };
    if debian.cargo.exists() && debian.rustc.exists() && has_core(&debian) {
        return Ok(debian);
    }
    bail!(
        "no Rust toolchain with the sources of core: either \"rustup toolchain install nightly --component rust-src\", \
         or on Debian 12 \"apt-get install rustc-web cargo-web rust-web-src llvm-22-dev libpolly-22-dev zlib1g-dev \
         libzstd-dev\""
    )
}

fn rustup_nightly() -> Option<Toolchain> {
    let which = |program| {
        let output =
            Command::new("rustup").args(["which", "--toolchain", "nightly", program]).output().ok()?;
        output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    };
    Some(Toolchain { cargo: which("cargo")?, rustc: which("rustc")?, bootstrap: false })
}

fn strip_tool() -> Result<PathBuf> {
    find("llvm-strip")
        .or_else(|| {
            let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib")
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path().join("bin/llvm-strip"))
                .filter(|path| path.exists())
                .collect();
            versions.sort();
            versions.pop()
        })
        .context("llvm-strip is missing: on Debian \"apt-get install llvm-22\"")
}

fn find(program: &str) -> Option<PathBuf> {
    let cargo_bin = env::home_dir().map(|home| home.join(".cargo/bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(cargo_bin).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// A hash of every source file, by path and content, in a form that a diff shows well.
pub(crate) fn fingerprint(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    for folder in SOURCES {
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut text =
        String::from("# The sources that lossdrop.o was built from (cargo xtask build-bpf), by SHA-256.\n");
    for file in files {
        let hash: String =
            Sha256::digest(fs::read(&file)?).iter().map(|byte| format!("{byte:02x}")).collect();
        text.push_str(&format!("{hash}  {}\n", file.strip_prefix(root)?.display()));
    }
    Ok(text)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == "target") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_bytecode_belongs_to_its_sources() {
        let root = crate::root();
        let committed = fs::read_to_string(root.join(FINGERPRINT)).expect("it is committed");
        assert_eq!(
            committed,
            fingerprint(&root).expect("the sources can be read"),
            "the sources of the bytecode have changed: run \"cargo xtask build-bpf\" and commit what it writes"
        );
    }
}
