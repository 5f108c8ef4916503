#!/bin/sh
# The first process of a virtual machine: the tests' surroundings, the tests, the end. Each serial port is a file outside.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /run/netns
ln -s /proc/self/fd /dev/fd
exec </dev/null >/dev/ttyS1 2>&1
ip link set lo up
# Nothing loads these by itself.
modprobe br_netfilter
modprobe tun
. /lab/tests
echo "The lab is done."
sync
echo o >/proc/sysrq-trigger
sleep 60
