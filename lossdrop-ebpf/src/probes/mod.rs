//! The ways to attach: thin entries over `drop::on_drop`, one a file.

mod raw_tp;
mod tp_btf;
mod trial;
