//! Settings under `/proc/sys`, as a namespace sees them.

use std::{fs, path::Path, time::Duration};

use super::take::within;

/// A setting by its dotted name, or with slashes where a part has a dot in it (`net/ipv4/conf/eth0.5/rp_filter`).
/// `None` if the namespace has none of that name.
pub fn sysctl(netns: &Path, key: &str, limit: Duration) -> Option<String> {
    let key = key.to_owned();
    within(netns, limit, move |_| here(&key)).ok().flatten()
}

/// As [`sysctl`], in the thread's own namespace.
pub(crate) fn here(key: &str) -> Option<String> {
    let path = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
    // The name is made of devices' names: it must not lead elsewhere.
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    let text = fs::read_to_string(Path::new("/proc/sys").join(path)).ok()?;
    Some(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_read_where_it_is() {
        assert!(matches!(here("net.ipv4.ip_forward").as_deref(), Some("0" | "1")));
        assert_eq!(here("net/ipv4/ip_forward"), here("net.ipv4.ip_forward"));
        assert_eq!(here("net.ipv4.tcp_rmem").expect("three numbers").split(' ').count(), 3);
        assert_eq!(here("net.ipv4.no_such_setting"), None);
        assert_eq!(here("net/../../self/comm"), None);
        assert_eq!(here("/etc/passwd"), None);
    }
}
