//! The shape of the sources: which folder may use which, and that documents name files that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each part of `lossdrop/src` with what it may use, the lowest first: an arrow only ever points up in this table.
const MAY_USE: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("kernel", &["text"]),
    ("error", &["kernel"]),
    ("knowledge", &[]),
    ("identity", &["text", "kernel", "error"]),
    ("machine", &["text", "kernel", "identity"]),
    ("rules", &["text", "knowledge"]),
    ("capture", &["kernel", "error"]),
    ("drops", &["text", "kernel", "knowledge", "identity", "rules", "capture"]),
    ("filter", &["text", "kernel", "error", "knowledge", "identity", "drops"]),
    ("diagnose", &["text", "kernel", "knowledge", "identity", "machine", "rules", "capture", "drops"]),
    ("live", &["kernel", "knowledge", "identity", "drops", "diagnose"]),
    ("output", &["text", "error", "knowledge", "identity", "capture", "drops", "diagnose"]),
    (
        "top",
        &["text", "kernel", "error", "knowledge", "capture", "drops", "filter", "diagnose", "live", "output"],
    ),
    (
        "commands",
        &[
            "text",
            "kernel",
            "error",
            "knowledge",
            "identity",
            "capture",
            "drops",
            "filter",
            "diagnose",
            "live",
            "output",
            "top",
        ],
    ),
    ("cli", &["commands"]),
];

/// The same of the kernel program, file by file.
const KERNEL_MAY_USE: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("memory", &["config"]),
    ("count", &["config"]),
    ("filter", &["config"]),
    ("device", &["config", "memory"]),
    ("packet", &["config", "memory"]),
    ("netfilter", &["config", "memory"]),
    ("detail", &["packet"]),
    ("facts", &["config", "memory", "device", "netfilter", "detail"]),
    ("emit", &["config", "memory", "device", "detail", "facts"]),
    ("drop", &["config", "memory", "count", "filter", "device", "packet", "detail", "emit"]),
    ("probes", &["config", "memory", "netfilter", "drop"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every file below a folder, as a path from there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let name = PathBuf::from(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            found.extend(files(&entry.path()).iter().map(|below| name.join(below)));
        } else {
            found.push(name);
        }
    }
    found
}

/// The source without comments and without its unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn word(text: &str) -> &str {
    text.split(|char: char| !char.is_alphanumeric() && char != '_').next().unwrap_or_default()
}

/// The first names of all paths that begin with `crate::`.
fn used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(tree) = rest.strip_prefix('{') else {
            used.insert(word(rest).to_owned());
            continue;
        };
        let (mut depth, mut is_first) = (0, true);
        for (at, char) in tree.char_indices() {
            match char {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => is_first = true,
                char if is_first && char.is_alphabetic() => {
                    used.insert(word(&tree[at..]).to_owned());
                    is_first = false;
                }
                _ => {}
            }
        }
    }
    used
}

/// What each part of a crate uses of the others.
fn arrows(sources: &Path) -> BTreeMap<String, BTreeMap<String, PathBuf>> {
    let mut arrows: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    let is_test =
        |file: &Path| file.iter().any(|part| part == "tests" || part == "tests.rs" || part == "testing");
    for file in files(sources).into_iter().filter(|file| file.extension().is_some_and(|end| end == "rs")) {
        if is_test(&file) {
            continue;
        }
        let first = file.iter().next().and_then(|part| part.to_str()).expect("a name");
        let own = first.trim_end_matches(".rs").to_owned();
        let code = code(&fs::read_to_string(sources.join(&file)).expect("a source"));
        let of_part = arrows.entry(own.clone()).or_default();
        for used in used(&code).into_iter().filter(|used| *used != own) {
            of_part.entry(used).or_insert_with(|| file.clone());
        }
    }
    arrows
}

/// That a crate's parts use what the table lets them use, and that the table has no more than that.
fn assert_keeps(table: &[(&str, &[&str])], mut arrows: BTreeMap<String, BTreeMap<String, PathBuf>>) {
    let names: BTreeSet<&str> = table.iter().map(|(name, _)| *name).collect();
    for (index, (name, may_use)) in table.iter().enumerate() {
        for other in *may_use {
            assert!(
                table[..index].iter().any(|(lower, _)| lower == other),
                "{name} may not use {other}: it stands above"
            );
        }
        let uses = arrows.remove(*name).unwrap_or_else(|| panic!("there is no {name}"));
        for (other, file) in &uses {
            // Macros and types at the root of the crate are no part of it.
            assert!(
                !names.contains(other.as_str()) || may_use.contains(&other.as_str()),
                "{} uses {other}",
                file.display()
            );
        }
        for other in *may_use {
            assert!(uses.contains_key(*other), "{name} does not use {other}: take it out of the table");
        }
    }
    let left: Vec<&String> = arrows.keys().filter(|name| !["lib", "main"].contains(&name.as_str())).collect();
    assert!(left.is_empty(), "the table lacks {left:?}");
}

#[test]
fn no_folder_uses_one_above_it() {
    assert_keeps(MAY_USE, arrows(&root().join("lossdrop/src")));
}

#[test]
fn the_kernel_program_s_files_form_no_circle() {
    assert_keeps(KERNEL_MAY_USE, arrows(&root().join("lossdrop-ebpf/src")));
}

#[test]
fn only_one_folder_knows_aya() {
    let sources = root().join("lossdrop/src");
    for file in files(&sources).iter().filter(|file| !file.starts_with("kernel")) {
        let text = fs::read_to_string(sources.join(file)).unwrap_or_default();
        let names = ["aya::", "aya_obj::", "aya_log::"];
        assert!(names.iter().all(|name| !code(&text).contains(name)), "{}", file.display());
    }
}

#[test]
fn a_circle_an_arrow_up_and_one_that_is_not_there_are_found() {
    let broken = |table: &[(&str, &[&str])], uses: &[(&str, &str)]| {
        let mut arrows: BTreeMap<String, BTreeMap<String, PathBuf>> =
            table.iter().map(|(name, _)| ((*name).to_owned(), BTreeMap::new())).collect();
        for (from, to) in uses {
            arrows.entry((*from).to_owned()).or_default().insert((*to).to_owned(), PathBuf::from("x.rs"));
        }
        std::panic::catch_unwind(|| assert_keeps(table, arrows)).is_err()
    };
    let table: &[(&str, &[&str])] = &[("low", &[]), ("high", &["low"])];
    assert!(!broken(table, &[("high", "low")]));
    assert!(broken(table, &[("high", "low"), ("low", "high")]));
    assert!(broken(table, &[]), "an arrow of the table that nothing uses");
    assert!(broken(&[("low", &["high"]), ("high", &[])], &[("low", "high")]), "an arrow up");
    assert!(broken(table, &[("high", "low"), ("new", "low")]), "a part that the table lacks");
    let uses = used("use crate::{a::{b, c}, d};\nlet x = crate::e::f; // crate::g");
    assert_eq!(uses.into_iter().collect::<Vec<_>>().join(" "), "a d e g");
    assert_eq!(code("a // crate::g\nb\n#[cfg(test)]\nmod tests {\n crate::h"), "a \nb");
}

/// Words of a document that look like the path of a source file.
fn named_sources(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |char: char| char.is_alphanumeric() || "_-./…".contains(char);
    text.split(move |char: char| !is_part(char)).filter(|word| word.ends_with(".rs") && word.len() > 3)
}

#[test]
fn every_source_file_that_a_document_names_exists() {
    let root = root();
    let mut documents: Vec<PathBuf> =
        files(&root.join("docs")).iter().map(|file| root.join("docs").join(file)).collect();
    documents.extend(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    let crates = ["lossdrop", "lossdrop-common", "lossdrop-ebpf", "tests", "xtask"];
    let sources: Vec<PathBuf> = crates
        .iter()
        .flat_map(|name| files(&root.join(name)).into_iter().map(move |file| Path::new(name).join(file)))
        .filter(|file| !file.iter().any(|part| part == "target"))
        .collect();
    let mut checked = 0;
    for document in documents.iter().filter(|document| document.extension().is_some_and(|end| end == "md")) {
        let text =
            fs::read_to_string(document).unwrap_or_else(|error| panic!("{}: {error}", document.display()));
        for named in named_sources(&text) {
            // A path from the root, or the end of one, as in `drops/judge`.
            let named = named.trim_start_matches("…/").trim_start_matches("../").trim_start_matches("./");
            let exists = sources.iter().any(|source| source.ends_with(named));
            assert!(exists, "{} names {named}, which does not exist", document.display());
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}
