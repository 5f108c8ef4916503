//! The neighbours of a namespace: ARP and neighbour discovery.

use std::{
    fmt, io,
    net::IpAddr,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    netlink::{Fields as _, address, attribute, dump},
    take::within,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub address: IpAddr,
    /// The device's index.
    pub index: u32,
    pub state: NeighbourState,
}

/// As `ip neigh` calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    None,
    Incomplete,
    Reachable,
    Stale,
    Delay,
    Probe,
    Failed,
    NoArp,
    Permanent,
}

impl NeighbourState {
    const fn from_bits(state: u16) -> Self {
        match state {
            libc::NUD_INCOMPLETE => Self::Incomplete,
            libc::NUD_REACHABLE => Self::Reachable,
            libc::NUD_STALE => Self::Stale,
            libc::NUD_DELAY => Self::Delay,
            libc::NUD_PROBE => Self::Probe,
            libc::NUD_FAILED => Self::Failed,
            libc::NUD_NOARP => Self::NoArp,
            libc::NUD_PERMANENT => Self::Permanent,
            _ => Self::None,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Incomplete => "INCOMPLETE",
            Self::Reachable => "REACHABLE",
            Self::Stale => "STALE",
            Self::Delay => "DELAY",
            Self::Probe => "PROBE",
            Self::Failed => "FAILED",
            Self::NoArp => "NOARP",
            Self::Permanent => "PERMANENT",
        }
    }
}

impl fmt::Display for NeighbourState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The neighbours that a namespace knows now.
pub fn neighbours(netns: &Path, limit: Duration) -> io::Result<Vec<Neighbour>> {
    within(netns, limit, read)?
}

/// In the thread's namespace.
pub(crate) fn read(deadline: Instant) -> io::Result<Vec<Neighbour>> {
    let answers = dump(libc::RTM_GETNEIGH, &[0; HEADER], deadline)?;
    Ok(answers.iter().filter_map(|answer| parse(answer)).collect())
}

/// `struct ndmsg`: family, padding, index at 4, state at 8, flags and type.
const HEADER: usize = 12;

fn parse(message: &[u8]) -> Option<Neighbour> {
    Some(Neighbour {
        index: message.u32_at(4)?,
        state: NeighbourState::from_bits(message.u16_at(8)?),
        address: address(attribute(message.get(HEADER..)?, libc::NDA_DST)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::netlink::push_attribute, *};

    #[test]
    fn a_neighbour_has_an_address_a_device_and_a_state() {
        let mut message = vec![2, 0, 0, 0, 7, 0, 0, 0, 0x20, 0, 0, 1];
        assert_eq!(parse(&message), None);
        push_attribute(&mut message, libc::NDA_DST, &[10, 0, 0, 9]);
        let neighbour = parse(&message).expect("whole");
        assert_eq!(neighbour.address.to_string(), "10.0.0.9");
        assert_eq!((neighbour.index, neighbour.state.to_string()), (7, "FAILED".to_owned()));
    }
}
