//! Which device and which network namespace a packet belongs to.

use crate::{
    config::config,
    memory::{Memory, Probe},
};

/// Where a packet was when it was dropped.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) netns: u32,
    pub(crate) ifindex: u32,
    /// Its `struct net_device`, or null. A plain address for [`Probe`].
    pub(crate) device: *const u8,
    /// The device is `skb->dev`, not the route's.
    pub(crate) from_skb: bool,
}

/// The place by `skb->dev`; where that is none, the namespace of the packet's socket and the device of its route.
///
/// # Safety
/// `skb` must be a `struct sk_buff` that `M` can read; `rx_sk` a `struct sock` that `M` can read, or null.
#[inline(always)]
pub(crate) unsafe fn locate<M: Memory>(skb: *const u8, rx_sk: *const u8) -> Place {
    // SAFETY: as promised by the caller; the union member is validated below.
    let dev = unsafe { M::pointer(skb, config!(offsets.skb_dev)) };
    // SAFETY: `is_device` copes with anything that stands in the field.
    if !dev.is_null() && unsafe { is_device::<M>(dev) } {
        // SAFETY: it is a device.
        return unsafe { at_device::<M>(dev, true) };
    }
    // SAFETY: `_skb_refdst` holds a `struct dst_entry *`, a tag in its lowest bit.
    let route = unsafe { M::field::<u64>(skb, config!(offsets.skb_refdst)) } & !1;
    if route != 0 {
        // SAFETY: Probe copes with any address.
        let dev = unsafe { Probe::pointer(route as *const u8, config!(offsets.dst_dev)) };
        // SAFETY: as above.
        if !dev.is_null() && unsafe { is_device::<Probe>(dev) } {
            // SAFETY: it is a device.
            return unsafe { at_device::<Probe>(dev, false) };
        }
    }
    // SAFETY: as promised by the caller.
    let own = unsafe { M::pointer(skb, config!(offsets.skb_sk)) };
    let netns = if !own.is_null() {
        // SAFETY: a socket of any kind begins with `struct sock_common`.
        unsafe { socket_netns::<M>(own) }
    } else if !rx_sk.is_null() {
        // SAFETY: as above.
        unsafe { socket_netns::<M>(rx_sk) }
    } else {
        0
    };
    Place { netns, ifindex: 0, device: core::ptr::null(), from_skb: false }
}

/// `skb->dev` shares its place with `dev_scratch` and, while the packet is in a tree, with a child's pointer. A
/// device is known by its first transmit queue, which points back at it.
///
/// # Safety
/// `dev` must be something that `M` can try to read.
#[inline(always)]
pub(crate) unsafe fn is_device<M: Memory>(dev: *const u8) -> bool {
    // SAFETY: as promised by the caller.
    let queue = unsafe { M::pointer(dev, config!(offsets.dev_tx)) };
    if queue.is_null() {
        return false;
    }
    // SAFETY: a failed read yields null.
    let back = unsafe { M::pointer(queue, config!(offsets.txq_dev)) };
    back as u64 == dev as u64
}

/// # Safety
/// `dev` must be a `struct net_device` that `M` can read.
#[inline(always)]
unsafe fn at_device<M: Memory>(dev: *const u8, from_skb: bool) -> Place {
    // SAFETY: as promised by the caller.
    let net = unsafe { M::pointer(dev, config!(offsets.dev_net)) };
    // SAFETY: a device's namespace outlives it.
    let netns = if net.is_null() { 0 } else { unsafe { M::field(net, config!(offsets.net_inum)) } };
    // SAFETY: as promised by the caller.
    let ifindex = unsafe { M::field(dev, config!(offsets.dev_ifindex)) };
    Place { netns, ifindex, device: dev, from_skb }
}

/// # Safety
/// `sk` must be a `struct sock`, or one of its short forms, that `M` can read.
#[inline(always)]
unsafe fn socket_netns<M: Memory>(sk: *const u8) -> u32 {
    // SAFETY: as promised by the caller.
    let net = unsafe { M::pointer(sk, config!(offsets.sk_net)) };
    if net.is_null() {
        return 0;
    }
    // SAFETY: a socket's namespace outlives it.
    unsafe { M::field(net, config!(offsets.net_inum)) }
}

/// The inode number of the socket, by which user space finds the process; 0 for none.
///
/// # Safety
/// `sk` must be a `struct sock` or one of its short forms.
#[inline(always)]
pub(crate) unsafe fn socket_inode(sk: *const u8) -> u64 {
    // SAFETY: as promised by the caller.
    if sk.is_null() || !unsafe { is_full_socket(sk) } {
        return 0;
    }
    // SAFETY: Probe copes with any address.
    let socket = unsafe { Probe::pointer(sk, config!(offsets.sk_socket)) };
    if socket.is_null() {
        return 0;
    }
    // SAFETY: as above; every `struct socket` lies in a `struct socket_alloc`.
    unsafe { Probe::field(socket, config!(offsets.socket_ino)) }
}

/// Two kinds are no full sockets: what follows their common part is something else.
///
/// # Safety
/// As [`socket_inode`].
#[inline(always)]
pub(crate) unsafe fn is_full_socket(sk: *const u8) -> bool {
    const TCP_TIME_WAIT: u8 = 6;
    const TCP_NEW_SYN_RECV: u8 = 12;
    // SAFETY: Probe copes with any address.
    let state: u8 = unsafe { Probe::field(sk, config!(offsets.sk_state)) };
    state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV
}
