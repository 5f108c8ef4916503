//! `cargo xtask screen`: the pictures of `lossdrop top` in the documentation, taken from a real one.

mod svg;

use std::{
    env, fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use lossdrop_lab::{Lab, Scenario, Tmux, tmux::Screen};

const SCENARIO: &str = "container-mtu-and-firewall";
const COLS: u16 = 100;
const ROWS: u16 = 24;
/// Rounds before the picture, so that there is a history to see.
const ROUNDS: u32 = 12;
/// From the start of one round to that of the next.
const PACE: Duration = Duration::from_millis(900);

/// Writes `top.svg` and `top-detail.svg` into the folder.
pub(crate) fn run(out: &Path) -> Result<()> {
    ensure!(
        lossdrop_lab::is_root(),
        "the lab makes network namespaces, which takes root: run `sudo -E cargo xtask screen`"
    );
    crate::run(Command::new(env!("CARGO")).args(["build", "--locked", "--package", "lossdrop"]))?;
    let scenario = Scenario::find(SCENARIO).context("the scenario is gone")?;
    let mut lab = scenario.set_up()?;
    let terminal = Tmux::top(&lab.namespaces(), "", COLS, ROWS)?;
    terminal.wait_for_text("seen ")?;
    for _ in 0..ROUNDS {
        fire(&mut *lab)?;
    }
    // The selection stays with its row.
    terminal.send_keys(&["N", "Home"])?;
    terminal.wait_for("the device's row is selected", |screen| selects(screen, "mtu veth-peer"))?;
    terminal.send_keys(&["S"])?;
    terminal.wait_for_text("sort severity")?;
    fire(&mut *lab)?;
    terminal.wait_for("both culprits, while packets are dropped", |screen| {
        ["INPUT rule 1", "eth0 (MTU 100)"].iter().all(|culprit| says(screen, culprit))
            && !says(screen, "drops 0/s")
    })?;
    write(&out.join("top.svg"), &terminal)?;
    terminal.send_keys(&["Enter"])?;
    terminal.wait_for_text("link set eth0 mtu 1500")?;
    write(&out.join("top-detail.svg"), &terminal)
}

fn fire(lab: &mut dyn Lab) -> Result<()> {
    let start = Instant::now();
    lab.fire()?;
    thread::sleep(PACE.saturating_sub(start.elapsed()));
    Ok(())
}

fn says(screen: &Screen, words: &str) -> bool {
    screen.iter().any(|line| line.contains(words))
}

fn selects(screen: &Screen, words: &str) -> bool {
    screen.iter().any(|line| line.starts_with('▶') && line.contains(words))
}

fn write(path: &Path, terminal: &Tmux) -> Result<()> {
    let picture = svg::draw(&terminal.coloured_screen()?, COLS.into(), ROWS.into())?;
    fs::write(path, picture).with_context(|| format!("cannot write {}", path.display()))?;
    let folder = env::current_dir().unwrap_or_default();
    println!("written: {}", path.strip_prefix(&folder).unwrap_or(path).display());
    Ok(())
}
