//! Packets of a known number, sent inside a namespace.

mod http;
mod odd;
mod packet;
mod raw;
mod udp;

pub use http::{GET_BYTES, Get, HttpServer, http_get};
pub use odd::{Odd, odd_frames};
pub use packet::Fragment;
pub use raw::{
    arp_request, framed_udp, icmp_echo, icmpv6_echo, ipv4_fragments, ipv6_ext_udp, tcp_ack, tcp_syn, udp_df,
    udp_v6_raw,
};
pub use udp::{FloodReport, Sent, UdpSink, flood, udp_bind, udp_send, udp_send_through, udp_send_ttl};
