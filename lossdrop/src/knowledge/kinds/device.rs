//! Network devices, bridges and virtual switches.

use super::kinds;

kinds! { DEVICE:
    DEVICE_DOWN: Device / "down" Fault {
        "the device is not up",
        causes: [
            "the device was set down, or is being taken down",
            "the receiving device of a pair or a stack is down",
            "its queue is stopped",
        ],
        look: [
            "`ip -br link show DEV`: UP and LOWER_UP",
            "`ip -s link show DEV`",
            "`ip monitor link`: who takes it down and up",
        ],
        fixes: ["`ip -n NETNS link set DEV up`"],
    }
    DEVICE_BRIDGE_STP: Device / "bridge-stp" Fault {
        "the bridge port is not forwarding",
        causes: [
            "the port was just added: it listens and learns for twice `forward_delay`",
            "spanning tree blocks the port to break a loop",
        ],
        look: [
            "`bridge -d link show dev PORT`: `state`",
            "`ip -d link show BRIDGE`: `stp_state`, `forward_delay`",
        ],
        fixes: [
            "without loops, no delay: `ip link set BRIDGE type bridge stp_state 0`, or `forward_delay 0`",
            "by hand: `bridge link set dev PORT state 3`",
        ],
    }
    DEVICE_BRIDGE_REFUSED: Device / "bridge-refused" Fault {
        "the bridge refused the frame",
        causes: [
            "the port is not forwarding, or locked",
            "a rule of ebtables or of the bridge family",
            "a reserved destination address (`group_fwd_mask`)",
        ],
        look: [
            "`bridge -d link show dev PORT`: `state`, `locked`, `learning`",
            "`nft list ruleset bridge`, `ebtables -L --Lc`",
        ],
        fixes: [
            "`bridge link set dev PORT state 3 locked off`",
            "`ip link set BRIDGE type bridge group_fwd_mask MASK`",
        ],
    }
    DEVICE_BRIDGE_NO_PORT: Device / "bridge-no-port" Fault {
        "the bridge has no port for the frame",
        causes: [
            "the frame would go back by the port that it came in by",
            "all other ports are down, blocked or isolated",
            "flooding is off, and the address is not known",
            "a VXLAN without a remote for the address",
        ],
        look: [
            "`bridge -d link show`: `state`, `isolated`, `flood`",
            "`bridge fdb show br BRIDGE`: where the bridge expects the address",
        ],
        fixes: [
            "`bridge link set dev PORT flood on mcast_flood on isolated off`",
            "`bridge fdb del MAC dev PORT master`, if it is wrong",
            "for VXLAN: `bridge fdb append 00:00:00:00:00:00 dev DEV dst ADDRESS`",
        ],
    }
    DEVICE_BRIDGE_VLAN: Device / "bridge-vlan" Fault {
        "the bridge's VLAN filter refused the frame",
        causes: ["the port does not have the VLAN", "an untagged frame, and the port has no PVID"],
        look: ["`bridge vlan show`: the VLANs of each port", "`tcpdump -eni PORT`: the tags of the frames"],
        fixes: [
            "`bridge vlan add dev PORT vid VID`, for untagged frames with `pvid untagged`",
            "for the bridge itself: `bridge vlan add dev BRIDGE vid VID self`",
        ],
    }
    DEVICE_FOREIGN_VLAN: Device / "foreign-vlan" Fault {
        "frames of a VLAN that has no device here",
        causes: [
            "the switch port carries VLANs that this host does not use",
            "the VLAN's device is missing, down, or in another network namespace",
        ],
        look: ["`tcpdump -eni DEV vlan`: the tags of the frames", "`ip -d link show type vlan`"],
        fixes: [
            "`ip link add link DEV name DEV.VID type vlan id VID`, and `ip link set DEV.VID up`",
            "or take the VLAN off the switch port",
        ],
    }
    DEVICE_LOOP: Device / "loop" Fault {
        "a loop: the frame comes back, or devices are stacked in a ring",
        causes: [
            "two ports of a bridge are connected to each other without spanning tree",
            "two hosts use one MAC address",
            "tunnels or virtual devices that send into each other",
        ],
        look: [
            "`dmesg`: \"received packet on PORT with own address as source address\"",
            "`bridge monitor fdb`: an address that moves to and fro",
            "`ip -d link show`: what is stacked on what",
        ],
        fixes: [
            "spanning tree: `ip link set BRIDGE type bridge stp_state 1`",
            "take one of the ports out: `ip link set PORT nomaster`",
            "another address: `ip link set DEV address MAC`",
        ],
    }
    DEVICE_DRIVER: Device / "driver" Fault {
        "a network driver gave the packet up",
        causes: ["the device is being reset or taken down", "a transmit error that the driver does not name"],
        look: [
            "`ip -s -s link show DEV`, `ethtool -S DEV`: which counter rises",
            "`dmesg`: messages of the driver",
        ],
        fixes: [
            "update the driver or firmware: `ethtool -i DEV` shows the versions",
            "turn offloads off to narrow it down: `ethtool -K DEV tso off gso off`",
        ],
    }
    DEVICE_SEGMENTATION: Device / "segmentation" Fault {
        "an aggregated packet could not be cut into segments",
        causes: [
            "a tunnel or protocol that cannot be segmented in software",
            "invalid aggregation data from a virtual machine",
            "memory is short",
        ],
        look: ["`ethtool -k DEV`: offloads", "`ip -s link show DEV`: TX `dropped`"],
        fixes: [
            "do not aggregate: `ethtool -K DEV gro off`, on the device that it came in by",
            "`ethtool -K DEV tso off gso off`, on the sender",
        ],
    }
    DEVICE_REMOVED: Device / "removed" Benign {
        "the device was taken down with packets in its queues",
        causes: ["a container, virtual machine or tunnel ended"],
        look: ["`ip monitor link`"],
        fixes: ["nothing to do, if it was meant to go"],
    }
    DEVICE_BOND: Device / "bond" Fault {
        "the bond has no working member",
        causes: ["all members are down or without carrier", "no LACP partner on the other side"],
        look: ["`cat /proc/net/bonding/BOND`: `MII Status` and LACP of each member"],
        fixes: [
            "`ip link set DEV up`, for the members",
            "set up LACP on the switch, or another mode: `ip link set BOND type bond mode active-backup`",
        ],
    }
    DEVICE_MACVLAN: Device / "macvlan" Fault {
        "the macvlan or ipvlan has no way for the packet",
        causes: [
            "the device or its parent is down",
            "host and container cannot reach each other by macvlan",
            "an address that no ipvlan of the parent has",
        ],
        look: ["`ip -d link show DEV`: mode and parent", "`ip -br link`: the state of both"],
        fixes: [
            "`ip -n NETNS link set DEV up`",
            "for the host, a macvlan of its own: `ip link add NAME link PARENT type macvlan mode bridge`",
        ],
    }
    DEVICE_VRF: Device / "vrf" Fault {
        "the VRF could not pass the packet on",
        causes: ["no route or next hop in the VRF's table", "the interface is not in the VRF"],
        look: ["`ip vrf show`, `ip route show vrf VRF`", "`ip link show master VRF`"],
        fixes: ["`ip route add PREFIX via GATEWAY vrf VRF`", "`ip link set DEV master VRF`"],
    }
    DEVICE_TUN: Device / "tun" Fault {
        "the program behind the tun/tap device wrote an invalid packet",
        causes: [
            "an invalid virtio header, or one that contradicts the packet",
            "the program ended, or the device is down",
        ],
        look: [
            "`ip -d tuntap show`: the device and its process",
            "`ip -s link show DEV`: RX `errors`, `dropped`, `frame`",
        ],
        fixes: ["update or restart the program", "`ip link set DEV up`"],
    }
    DEVICE_OVS: Device / "ovs" Policy {
        "an Open vSwitch flow says drop",
        causes: ["a drop flow, or no flow for the packet", "a meter's rate is exceeded: that is capacity"],
        look: [
            "`ovs-appctl ofproto/trace BRIDGE FLOW`: which flow decides",
            "`ovs-ofctl dump-flows BRIDGE`",
            "`ovs-appctl dpctl/dump-flows`: `actions:drop`",
        ],
        fixes: [
            "`ovs-ofctl add-flow BRIDGE 'priority=N,MATCH,actions=normal'`, or correct it in the controller",
        ],
    }
    DEVICE_OVS_ERROR: Device / "ovs-error" Fault {
        "Open vSwitch failed on the packet",
        causes: [
            "flows that recurse without end",
            "an action that is not possible on the packet",
            "a port that is gone",
        ],
        look: ["`ovs-appctl ofproto/trace BRIDGE FLOW`", "`/var/log/openvswitch/ovs-vswitchd.log`"],
        fixes: ["correct the flows that it names"],
    }
    DEVICE_WIFI: Device / "wifi" Fault {
        "Wi-Fi refused the frame",
        causes: [
            "keys out of step, or a station that is not associated",
            "frames that are damaged, repeated or forged",
        ],
        look: [
            "`iw dev DEV station dump`: `rx drop misc`",
            "`iw event -t`",
            "`dmesg`: messages of the driver",
        ],
        fixes: ["associate anew", "update the driver or firmware"],
    }
    DEVICE_REFUSED: Device / "refused" Fault {
        "the device refused the packet",
        causes: ["a protocol or frame that the device does not carry", "a setting of the device"],
        look: ["`ip -d -s link show DEV`"],
        fixes: ["see the counters of the device: `ethtool -S DEV`"],
    }
    DEVICE_NIC_OVERFLOW: Device / "nic-overflow" Capacity {
        "the NIC had no free buffer",
        causes: [
            "packets come faster than the CPU takes them from the ring",
            "the ring is short, or few queues and CPUs serve it",
        ],
        look: [
            "`ethtool -S DEV | grep -iE 'miss|no_buf|fifo|drop'`",
            "`ip -s -s link show DEV`: `missed`, `fifo`, `over`",
            "`ethtool -g DEV`, `ethtool -l DEV`: ring sizes and queues",
        ],
        fixes: [
            "a longer ring: `ethtool -G DEV rx N`",
            "more queues: `ethtool -L DEV combined N`",
            "spread their interrupts over the CPUs (irqbalance)",
        ],
    }
    DEVICE_NIC_ERRORS: Device / "nic-errors" Fault {
        "the NIC received damaged frames",
        causes: [
            "a bad cable, connector or transceiver",
            "a duplex mismatch",
            "frames longer than the NIC accepts",
        ],
        look: [
            "`ip -s -s link show DEV`: `crc`, `length`, `frame`",
            "`ethtool -S DEV | grep -iE 'err|crc|symbol'`",
            "`ethtool -m DEV`: power and temperature of the transceiver",
        ],
        fixes: ["replace the cable or the transceiver", "`ip link set DEV mtu BYTES`, for longer frames"],
    }
}
