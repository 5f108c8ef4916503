//! The ways to attach, one a file: thin entries over `drop::on_drop`, and the optional probes of netfilter.

mod conntrack;
mod nf_hook;
mod nft;
mod raw_tp;
mod tp_btf;
mod trial;
mod xt;
