//! A driver's own counters, as `ethtool -S` shows them. There is no netlink interface for them.

use std::{
    collections::BTreeMap,
    ffi::c_char,
    io,
    mem::size_of,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::text::sanitize::sanitize;

// `linux/ethtool.h`.
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETH_SS_STATS: u32 = 1;
/// The room of a counter's name.
const ETH_GSTRING_LEN: usize = 32;
/// More counters than any driver has; the driver's word alone is no reason to allocate gigabytes.
const MOST: u32 = 1 << 16;

/// The counters of a device in the thread's namespace; empty if its driver has none.
pub(super) fn statistics(device: &str) -> BTreeMap<String, u64> {
    read(device).unwrap_or_default()
}

fn read(device: &str) -> io::Result<BTreeMap<String, u64>> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let socket = socket.as_fd();

    // `struct ethtool_sset_info`: command, padding, a mask of 64 bits, and one number for each of its bits.
    let mut info = [ETHTOOL_GSSET_INFO, 0, 0, 0, 0];
    let mask = (1_u64 << ETH_SS_STATS).to_ne_bytes();
    for (word, bytes) in info[2..4].iter_mut().zip(mask.chunks_exact(4)) {
        *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    request(socket, device, &mut info)?;
    let count = info[4];
    if info[2..4] == [0, 0] || count == 0 || count > MOST {
        return Ok(BTreeMap::new());
    }

    // `struct ethtool_gstrings`: command, set, count, names. `struct ethtool_stats`: command, count, numbers. The
    // kernel writes as many as the driver has by then, so there is room for the most; it costs pages only if used.
    let mut names = vec![0_u32; 3 + MOST as usize * ETH_GSTRING_LEN / size_of::<u32>()];
    names[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, ETH_SS_STATS, count]);
    request(socket, device, &mut names)?;
    let mut numbers = vec![0_u32; 2 + MOST as usize * 2];
    numbers[..2].copy_from_slice(&[ETHTOOL_GSTATS, count]);
    request(socket, device, &mut numbers)?;
    let count = count as usize;
    Ok(pairs(&names[3..][..count * ETH_GSTRING_LEN / size_of::<u32>()], &numbers[2..][..count * 2]))
}

fn pairs(names: &[u32], numbers: &[u32]) -> BTreeMap<String, u64> {
    let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
    let (names, numbers) = (bytes(names), bytes(numbers));
    names
        .chunks_exact(ETH_GSTRING_LEN)
        .zip(numbers.as_chunks().0)
        .map(|(name, number)| {
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            let name = sanitize(&String::from_utf8_lossy(&name[..end])).into_owned();
            (name, u64::from_ne_bytes(*number))
        })
        .collect()
}

/// Has the kernel fill in `message`, which begins with a command and tells its own length.
fn request(socket: BorrowedFd<'_>, device: &str, message: &mut [u32]) -> io::Result<()> {
    let mut name: [c_char; libc::IFNAMSIZ] = [0; _];
    // One byte stays 0.
    for (to, from) in name[..libc::IFNAMSIZ - 1].iter_mut().zip(device.bytes()) {
        // Signed or not, as the machine has it.
        *to = c_char::from_ne_bytes([from]);
    }
    let mut request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: message.as_mut_ptr().cast() },
    };
    // SAFETY: the kernel reads `request`, and reads and writes `message`, which has the room that its command asks for:
    // one number for the one set in the mask, or more names and numbers than drivers have.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as libc::Ioctl, &raw mut request) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_go_in_pairs() {
        let mut names = [0_u8; 64];
        names[..8].copy_from_slice(b"rx_drops");
        names[32..40].copy_from_slice(b"tx_drops");
        let words: Vec<u32> = names.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word)).collect();
        let numbers: Vec<u32> = [3_u64, 4]
            .iter()
            .flat_map(|number| number.to_ne_bytes())
            .collect::<Vec<u8>>()
            .as_chunks()
            .0
            .iter()
            .map(|word| u32::from_ne_bytes(*word))
            .collect();
        let expected = [("rx_drops", 3), ("tx_drops", 4)].map(|(name, number)| (name.to_owned(), number));
        assert_eq!(pairs(&words, &numbers), expected.into());
    }

    #[test]
    fn a_device_without_counters_has_none() {
        assert!(statistics("lo").is_empty());
        assert!(statistics("no-such-device-of-a-long-name").is_empty());
    }
}
