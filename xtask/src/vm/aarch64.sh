#!/lab/bash
# The first process of the arm64 machine: datagrams to a closed port, watched in each way. Each serial port is a file outside.
for applet in mount ip grep sleep cat sync poweroff; do
    eval "$applet() { /lab/busybox $applet \"\$@\"; }"
done
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
exec </dev/null >/dev/ttyS0 2>&1
ip link set lo up

# Each from a socket of its own, whose port is told.
send() {
    for number in 1 2 3 4 5; do
        exec 3<>/dev/udp/127.0.0.1/9999
        while read -r _ local remote _; do
            if [ "$remote" = 0100007F:270F ]; then
                echo "{\"type\": \"sent\", \"src_port\": $((16#${local#*:}))}"
            fi
        done </proc/net/udp
        printf x >&3
        exec 3>&-
    done
}

/lab/lossdrop check --json >/dev/ttyS2
for way in tp-btf raw-tp; do
    echo "lossdrop trace --attach $way"
    /lab/lossdrop trace --attach "$way" --json --port 9999 --all --count 5 --duration 120s \
        >"/tmp/$way" 2>"/tmp/$way.log" &
    until [ -s "/tmp/$way.log" ]; do sleep 0.1; done
    send >/dev/ttyS1
    wait
    cat "/tmp/$way.log"
    cat "/tmp/$way" >/dev/ttyS1
done
echo "The lab is done."
sync
poweroff -f
