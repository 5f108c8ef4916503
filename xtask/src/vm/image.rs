//! What a virtual machine boots into: an initramfs of this machine's own tools, the kernel's modules, and the lab.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use super::kernels::Kernel;

/// Debian's packages whose programs the lab calls, whole.
pub(crate) const PACKAGES: [&str; 19] = [
    "dash",
    "coreutils",
    "grep",
    "sed",
    "mawk",
    "debianutils",
    "findutils",
    "procps",
    "mount",
    "util-linux",
    "kmod",
    "perl-base",
    "iproute2",
    "nftables",
    "iptables",
    "conntrack",
    "ethtool",
    "wireguard-tools",
    "netbase",
];

/// The modules that there may be a use for, as folders of the kernel's.
const MODULES: [&str; 5] = ["net", "drivers/net", "crypto", "lib", "arch/x86/crypto"];
/// Hardware that a virtual machine has not.
const NOT_MODULES: [&str; 5] =
    ["drivers/net/ethernet", "drivers/net/wireless", "drivers/net/usb", "drivers/net/phy", "net/bluetooth"];

/// Folders of packages that nothing is run from.
const NOT_FILES: [&str; 5] =
    ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/bash-completion", "usr/share/perl"];

/// The tools with their libraries, and the links that lead to them.
pub(crate) fn tools(into: &Path) -> Result<()> {
    let listed = output(Command::new("dpkg-query").arg("-L").args(PACKAGES))?;
    let mut files = BTreeSet::new();
    for line in listed.lines() {
        let path = Path::new(line);
        let hidden = |folder: &str| path.starts_with(Path::new("/").join(folder));
        if (path.is_file() || path.is_symlink()) && !path.is_dir() && !NOT_FILES.iter().any(|f| hidden(f)) {
            add(&mut files, path);
        }
    }
    // Names that a package gets only on installation: iptables-save for one of its flavours.
    for folder in ["/usr/bin", "/usr/sbin"] {
        for link in fs::read_dir(folder)?.flatten().map(|entry| entry.path()).filter(|path| path.is_symlink())
        {
            if fs::read_link(&link)?.starts_with("/etc/alternatives")
                && link.canonicalize().is_ok_and(|program| files.contains(&program))
            {
                add(&mut files, &link);
            }
        }
    }
    let programs: Vec<PathBuf> = files.iter().filter(|path| is_elf(path)).cloned().collect();
    // ldd also leads to the loader. Of a library that it can't tell anything of, there is nothing to add.
    let needed = Command::new("ldd").args(&programs).stderr(Stdio::null()).output()?;
    for word in String::from_utf8_lossy(&needed.stdout).split_whitespace().filter(|w| w.starts_with('/')) {
        add(&mut files, Path::new(word.trim_end_matches(':')));
    }
    // Where the folders of programs have moved below /usr.
    for folder in ["/bin", "/sbin", "/lib", "/lib64"] {
        if Path::new(folder).is_symlink() {
            files.insert(PathBuf::from(folder));
        }
    }
    add(&mut files, Path::new("/bin/sh"));
    pack(Path::new("/"), &with_folders(&files), into)
}

/// A file under its real name, and every link on the way to it.
fn add(files: &mut BTreeSet<PathBuf>, path: &Path) {
    let (Some(folder), Some(name)) =
        (path.parent().and_then(|dir| dir.canonicalize().ok()), path.file_name())
    else {
        return;
    };
    let path = folder.join(name);
    if let Ok(target) = fs::read_link(&path) {
        add(files, &folder.join(target));
    }
    files.insert(path);
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
    read.is_ok() && magic == *b"\x7fELF"
}

/// cpio makes no folder by itself: each comes before what is in it.
fn with_folders(files: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let folders = files.iter().flat_map(|file| file.ancestors().skip(1)).map(Path::to_owned);
    folders.chain(files.iter().cloned()).collect()
}

/// The kernel's modules, unpacked, with an index of what each needs.
pub(crate) fn modules(kernel: &Kernel, scratch: &Path, into: &Path) -> Result<()> {
    let from = kernel.modules();
    let root = scratch.join("modules");
    let to = root.join("lib/modules").join(&kernel.release);
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&to)?;
    for index in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
        fs::copy(from.join(index), to.join(index))?;
    }
    let wanted = |path: &Path| {
        let below = |folder: &str| path.starts_with(Path::new("kernel").join(folder));
        MODULES.iter().any(|f| below(f)) && !NOT_MODULES.iter().any(|f| below(f))
    };
    let listed = output(Command::new("find").args(["kernel", "-name", "*.ko*"]).current_dir(&from))?;
    let mut packed = Vec::new();
    for file in listed.lines().map(Path::new).filter(|file| wanted(file)) {
        let copy = to.join(file);
        fs::create_dir_all(copy.parent().context("a folder")?)?;
        fs::copy(from.join(file), &copy)?;
        if copy.extension().is_some_and(|extension| extension == "xz") {
            packed.push(copy);
        }
    }
    // Unpacking takes the virtual machine much longer.
    if !packed.is_empty() {
        crate::run(Command::new("xz").args(["-d", "-T0"]).args(&packed))?;
    }
    crate::run(Command::new("depmod").arg("-b").arg(&root).arg(&kernel.release))?;
    // Where /lib is a link, the folder is found at its end.
    let usr = root.join("usr");
    fs::create_dir_all(&usr)?;
    fs::rename(root.join("lib"), usr.join("lib"))?;
    pack_folder(&root, into)
}

/// The lab's own files: `(name in the machine, file here)`.
pub(crate) fn lab(files: &[(&str, &Path)], script: &str, scratch: &Path, into: &Path) -> Result<()> {
    let root = scratch.join("lab");
    let _ = fs::remove_dir_all(&root);
    for folder in ["lab", "proc", "sys", "dev", "run", "tmp", "root", "var/lib", "etc"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for (name, file) in files {
        fs::copy(file, root.join("lab").join(name))
            .with_context(|| format!("cannot copy {}", file.display()))?;
    }
    let init = root.join("init");
    fs::write(&init, script)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    pack_folder(&root, into)
}

/// One initramfs of several, as the kernel takes them.
pub(crate) fn join(parts: &[&Path], into: &Path) -> Result<()> {
    let mut whole = fs::File::create(into)?;
    for part in parts {
        std::io::copy(&mut fs::File::open(part)?, &mut whole)?;
    }
    Ok(())
}

fn pack_folder(root: &Path, into: &Path) -> Result<()> {
    let listed = output(Command::new("find").arg(".").current_dir(root))?;
    pack(root, &listed.lines().map(PathBuf::from).collect(), into)
}

/// Writes files into an archive, under their names relative to `root`.
fn pack(root: &Path, files: &BTreeSet<PathBuf>, into: &Path) -> Result<()> {
    let mut names = String::new();
    for file in files {
        let plain: PathBuf = file.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        if !plain.as_os_str().is_empty() {
            names.push_str(plain.to_str().context("a name that is no UTF-8")?);
            names.push('\n');
        }
    }
    let mut cpio = Command::new("cpio")
        .args(["-o", "-H", "newc", "--quiet"])
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(fs::File::create(into)?)
        .spawn()
        .context("cannot run cpio")?;
    cpio.stdin.take().context("piped")?.write_all(names.as_bytes())?;
    let status = cpio.wait()?;
    ensure!(status.success(), "cpio failed: {status}");
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
