//! Drop reasons that subsystems define for themselves.

use super::{Reason, reasons::reasons};

pub(super) const SUBSYSTEMS: &[Reason] = &reasons! {
    // Queue disciplines (`include/net/dropreason-qdisc.h`, in 7.2), as the tracepoint `qdisc:qdisc_drop` has
    // them.
    QDISC_DROP_GENERIC: QUEUE_QDISC_LIMIT is Likely,
        "the queue discipline refused the packet";
    QDISC_DROP_OVERLIMIT: QUEUE_QDISC_LIMIT,
        "the queue discipline is at its limit";
    QDISC_DROP_CONGESTED: QUEUE_QDISC_AQM,
        "the queue discipline dropped early to signal congestion (CoDel, PIE, RED, …)";
    QDISC_DROP_MAXFLOWS: QUEUE_QDISC_LIMIT,
        "the queue discipline can keep no more flows apart";
    QDISC_DROP_FLOOD_PROTECTION: QUEUE_QDISC_AQM,
        "the queue discipline protects the others from a flow that does not slow down";
    QDISC_DROP_BAND_LIMIT: QUEUE_QDISC_LIMIT,
        "the priority band is at its limit";
    QDISC_DROP_HORIZON_LIMIT: QUEUE_QDISC_LIMIT,
        "the packet is to be sent too far in the future";
    QDISC_DROP_FLOW_LIMIT: QUEUE_QDISC_LIMIT,
        "the flow is at its limit";
    QDISC_DROP_L4S_STEP_NON_ECN: QUEUE_QDISC_AQM,
        "the low-latency queue is over its delay threshold, and the packet cannot be ECN-marked";

    // Open vSwitch (`net/openvswitch/drop.h`, since 6.6).
    OVS_DROP_LAST_ACTION: DEVICE_OVS,
        "the flow has no action that sends the packet anywhere: it matched a drop flow, or none";
    OVS_DROP_ACTION_ERROR: DEVICE_OVS_ERROR,
        "an action of the flow failed";
    OVS_DROP_EXPLICIT: DEVICE_OVS,
        "the flow says drop";
    OVS_DROP_EXPLICIT_WITH_ERROR: DEVICE_OVS_ERROR,
        "ovs-vswitchd found an error in the flow's processing and says drop";
    OVS_DROP_METER: DEVICE_OVS,
        "a meter's rate limit is exceeded";
    OVS_DROP_RECURSION_LIMIT: DEVICE_OVS_ERROR,
        "the actions of the flow recurse too deep: a loop in the configuration";
    OVS_DROP_DEFERRED_LIMIT: DEVICE_OVS_ERROR as Capacity,
        "too many deferred actions wait on this CPU";
    OVS_DROP_FRAG_L2_TOO_LONG: MTU_OVS,
        "the packet is over the port's MTU, and its link-layer header is too long for fragmenting";
    OVS_DROP_FRAG_INVALID_PROTO: MTU_OVS,
        "the packet is over the port's MTU, and its protocol cannot be fragmented";
    OVS_DROP_CONNTRACK: NETFILTER_DROP as Fault,
        "connection tracking refused the packet";
    OVS_DROP_IP_TTL: ROUTING_TTL,
        "the TTL ran out";

    // Wi-Fi (`net/mac80211/drop.h`, since 6.4). `M`: still for monitor interfaces; gone in 6.18.
    RX_DROP_MONITOR: DEVICE_WIFI,
        "Wi-Fi: a frame that is of no use to this interface";
    RX_DROP_UNUSABLE: DEVICE_WIFI,
        "Wi-Fi: a frame of no use";
    RX_DROP_M_UNEXPECTED_4ADDR_FRAME: DEVICE_WIFI,
        "Wi-Fi: a four-address frame from a station without that mode";
    RX_DROP_M_BAD_BCN_KEYIDX: DEVICE_WIFI,
        "Wi-Fi: a beacon that is protected with an unexpected key";
    RX_DROP_M_BAD_MGMT_KEYIDX: DEVICE_WIFI,
        "Wi-Fi: a management frame that is protected with an unexpected key";
    RX_DROP_U_MIC_FAIL: DEVICE_WIFI,
        "Wi-Fi: the integrity check failed: keys out of step, damage, or forged";
    RX_DROP_U_REPLAY: DEVICE_WIFI,
        "Wi-Fi: the frame's number was used before: a replay, or a driver that reorders";
    RX_DROP_U_BAD_MMIE: MALFORMED_HEADER,
        "Wi-Fi: the integrity element of a management frame is invalid";
    RX_DROP_U_DUP: HOUSEKEEPING_PROCESSED (always),
        "Wi-Fi: a retry of a frame that had arrived";
    RX_DROP_U_SPURIOUS: DEVICE_WIFI,
        "Wi-Fi: a frame from a station that is not associated";
    RX_DROP_U_SPURIOUS_NOTIF: DEVICE_WIFI,
        "Wi-Fi: a frame from a station that is not associated; user space was notified";
    RX_DROP_U_DECRYPT_FAIL: DEVICE_WIFI,
        "Wi-Fi: the frame could not be decrypted";
    RX_DROP_U_NO_KEY_ID: MALFORMED_HEADER,
        "Wi-Fi: an encrypted frame that does not name its key";
    RX_DROP_U_BAD_CIPHER: DEVICE_WIFI,
        "Wi-Fi: the frame is encrypted with a cipher that is not supported";
    RX_DROP_U_OOM: MEMORY_ALLOCATION,
        "Wi-Fi: memory could not be allocated";
    RX_DROP_U_NONSEQ_PN: DEVICE_WIFI,
        "Wi-Fi: the fragments of a frame are not numbered in sequence: lost in part, or forged";
    RX_DROP_U_BAD_KEY_COLOR: DEVICE_WIFI,
        "Wi-Fi: the fragments of a frame are encrypted with different keys";
    RX_DROP_U_BAD_4ADDR: MALFORMED_HEADER,
        "Wi-Fi: an aggregate with four addresses that this interface does not take";
    RX_DROP_U_BAD_AMSDU: MALFORMED_HEADER,
        "Wi-Fi: an invalid aggregate";
    RX_DROP_U_BAD_AMSDU_CIPHER: MALFORMED_HEADER,
        "Wi-Fi: an aggregate under a cipher that does not allow aggregates";
    RX_DROP_U_INVALID_8023: MALFORMED_HEADER,
        "Wi-Fi: the frame cannot be turned into an Ethernet frame";
    RX_DROP_U_RUNT_ACTION: MALFORMED_LENGTH,
        "Wi-Fi: an action frame that is too short";
    RX_DROP_U_UNPROT_ACTION: DEVICE_WIFI,
        "Wi-Fi: an unprotected action frame where protection is required";
    RX_DROP_U_UNPROT_DUAL: DEVICE_WIFI,
        "Wi-Fi: an unprotected action frame of the protected kind";
    RX_DROP_U_UNPROT_UCAST_MGMT: DEVICE_WIFI,
        "Wi-Fi: an unprotected unicast management frame where protection is required";
    RX_DROP_U_UNPROT_MCAST_MGMT: DEVICE_WIFI,
        "Wi-Fi: an unprotected multicast management frame where protection is required";
    RX_DROP_U_UNPROT_BEACON: DEVICE_WIFI,
        "Wi-Fi: an unprotected beacon where protection is required";
    RX_DROP_U_UNPROT_UNICAST_PUB_ACTION: DEVICE_WIFI,
        "Wi-Fi: an unprotected unicast public action frame where protection is required";
    RX_DROP_U_UNPROT_ROBUST_ACTION: DEVICE_WIFI,
        "Wi-Fi: a robust action frame from a station that is not associated";
    RX_DROP_U_ACTION_UNKNOWN_SRC: DEVICE_WIFI,
        "Wi-Fi: an action frame from an unknown station";
    RX_DROP_U_REJECTED_ACTION_RESPONSE: DEVICE_WIFI,
        "Wi-Fi: the peer returned an action frame that it rejects";
    RX_DROP_U_EXPECT_DEFRAG_PROT: DEVICE_WIFI,
        "Wi-Fi: a fragment that is not protected like the ones before it";
    RX_DROP_U_WEP_DEC_FAIL: DEVICE_WIFI,
        "Wi-Fi: WEP decryption failed";
    RX_DROP_U_NO_IV: MALFORMED_LENGTH,
        "Wi-Fi: a WEP frame that is too short for its initialisation vector";
    RX_DROP_U_NO_ICV: MALFORMED_LENGTH,
        "Wi-Fi: a WEP frame that is too short for its check value";
    RX_DROP_U_AP_RX_GROUPCAST: DEVICE_WIFI,
        "Wi-Fi: a station sent a frame to the access point under the group key";
    RX_DROP_U_SHORT_MMIC: MALFORMED_LENGTH,
        "Wi-Fi: a TKIP frame that is too short for its integrity code";
    RX_DROP_U_MMIC_FAIL: DEVICE_WIFI,
        "Wi-Fi: the TKIP integrity check failed";
    RX_DROP_U_SHORT_TKIP: MALFORMED_LENGTH,
        "Wi-Fi: a TKIP frame that is too short, or from an unknown station";
    RX_DROP_U_TKIP_FAIL: DEVICE_WIFI,
        "Wi-Fi: TKIP decryption failed";
    RX_DROP_U_SHORT_CCMP: MALFORMED_LENGTH,
        "Wi-Fi: a CCMP frame that is too short, or from an unknown station";
    RX_DROP_U_SHORT_CCMP_MIC: MALFORMED_LENGTH,
        "Wi-Fi: a CCMP frame that is too short for its integrity code";
    RX_DROP_U_SHORT_GCMP: MALFORMED_LENGTH,
        "Wi-Fi: a GCMP frame that is too short, or from an unknown station";
    RX_DROP_U_SHORT_GCMP_MIC: MALFORMED_LENGTH,
        "Wi-Fi: a GCMP frame that is too short for its integrity code";
    RX_DROP_U_SHORT_CMAC: MALFORMED_LENGTH,
        "Wi-Fi: a CMAC-protected management frame that is too short";
    RX_DROP_U_SHORT_CMAC256: MALFORMED_LENGTH,
        "Wi-Fi: a CMAC-256-protected management frame that is too short";
    RX_DROP_U_SHORT_GMAC: MALFORMED_LENGTH,
        "Wi-Fi: a GMAC-protected management frame that is too short";
    RX_DROP_U_UNEXPECTED_VLAN_4ADDR: DEVICE_WIFI,
        "Wi-Fi: a four-address frame on a VLAN interface without that mode";
    RX_DROP_U_UNEXPECTED_STA_4ADDR: DEVICE_WIFI,
        "Wi-Fi: a four-address frame at a client without that mode";
    RX_DROP_U_UNEXPECTED_VLAN_MCAST: DEVICE_WIFI,
        "Wi-Fi: a multicast frame on a four-address VLAN interface";
    RX_DROP_U_NOT_PORT_CONTROL: DEVICE_WIFI,
        "Wi-Fi: other than authentication frames are not accepted here yet";
    RX_DROP_U_UNEXPECTED_4ADDR_FRAME: DEVICE_WIFI,
        "Wi-Fi: a four-address frame from a station without that mode";
    RX_DROP_U_BAD_BCN_KEYIDX: DEVICE_WIFI,
        "Wi-Fi: a beacon that is protected with an unexpected key";
    RX_DROP_U_BAD_MGMT_KEYIDX: DEVICE_WIFI,
        "Wi-Fi: a management frame that is protected with an unexpected key";
    RX_DROP_U_UNKNOWN_ACTION_REJECTED: DEVICE_WIFI,
        "Wi-Fi: an action frame of an unknown kind, which was rejected";
    RX_DROP_U_MESH_DS_BITS: MALFORMED_HEADER,
        "Wi-Fi mesh: a multicast frame whose direction bits are not a mesh's";
    RX_DROP_U_MESH_A3_MISMATCH: DEVICE_WIFI,
        "Wi-Fi mesh: a multicast frame of our own came back";
    RX_DROP_U_MESH_NO_A4: MALFORMED_HEADER,
        "Wi-Fi mesh: a unicast frame without a fourth address";
    RX_DROP_U_MESH_A4_MISMATCH: DEVICE_WIFI,
        "Wi-Fi mesh: a unicast frame of our own came back";
    RX_DROP_U_MESH_UNEXP_DATA: DEVICE_WIFI,
        "Wi-Fi mesh: a frame from a node that is no established peer";
    RX_DROP_U_MESH_WRONG_ACTION: DEVICE_WIFI,
        "Wi-Fi mesh: an action frame of another kind from a node that is no established peer";
    RX_DROP_U_MESH_UNEXP_MGMT: DEVICE_WIFI,
        "Wi-Fi mesh: a management frame from a node that is no established peer";
    RX_DROP_U_RUNT_DATA: MALFORMED_LENGTH,
        "Wi-Fi: a data frame that is too short";
    RX_DROP_U_KEY_TAINTED: DEVICE_WIFI,
        "Wi-Fi: the frame came under a key that must no longer be used";
    RX_DROP_U_UNPROTECTED: DEVICE_WIFI,
        "Wi-Fi: an encrypted frame for which there is no key";
    RX_DROP_U_MCAST_FRAGMENT: MALFORMED_HEADER,
        "Wi-Fi: a fragmented multicast frame";
    RX_DROP_U_DEFRAG_MISMATCH: DEVICE_WIFI,
        "Wi-Fi: a fragment whose predecessors are missing";
    RX_DROP_U_RUNT_MESH_DATA: MALFORMED_LENGTH,
        "Wi-Fi mesh: a data frame that is too short";
    RX_DROP_U_MESH_NO_TTL: DEVICE_WIFI,
        "Wi-Fi mesh: a frame that came with a TTL of zero";
    RX_DROP_U_MESH_RMC: HOUSEKEEPING_PROCESSED (always),
        "Wi-Fi mesh: a multicast frame that had arrived by another way";
    RX_DROP_U_MESH_BAD_AE: MALFORMED_HEADER,
        "Wi-Fi mesh: the address extension is invalid";
    RX_DROP_U_MESH_TTL_EXPIRED: DEVICE_WIFI,
        "Wi-Fi mesh: the frame passed too many nodes";
    RX_DROP_U_MESH_NOT_FORWARDING: DEVICE_WIFI,
        "Wi-Fi mesh: the frame is for another node, and this one does not forward";
    RX_DROP_U_AMSDU_WITHOUT_DATA: MALFORMED_HEADER,
        "Wi-Fi: an aggregate without data";
    RX_DROP_U_NULL_DATA: HOUSEKEEPING_PROCESSED (always),
        "Wi-Fi: a frame without data, as stations send to save power";
    RX_DROP_U_UNEXPECTED_4ADDR: DEVICE_WIFI,
        "Wi-Fi: a four-address frame at an access point without that mode";
    RX_DROP_U_PORT_CONTROL: DEVICE_WIFI,
        "Wi-Fi: the station is not authorised yet, or its frame is not encrypted";
    RX_DROP_U_UNKNOWN_STA: DEVICE_WIFI,
        "Wi-Fi: a block-acknowledgement request from an unknown station";
    RX_DROP_U_RUNT_BAR: MALFORMED_LENGTH,
        "Wi-Fi: a block-acknowledgement request that is too short";
    RX_DROP_U_BAR_OUTSIDE_SESSION: DEVICE_WIFI,
        "Wi-Fi: a block-acknowledgement request outside a session";
    RX_DROP_U_CTRL_FRAME: DEVICE_WIFI,
        "Wi-Fi: a control frame that is of no use here";
    RX_DROP_U_RUNT_MGMT: MALFORMED_LENGTH,
        "Wi-Fi: a management frame that is too short";
    RX_DROP_U_EXPECTED_MGMT: MALFORMED_HEADER,
        "Wi-Fi: a frame of a reserved kind";
    RX_DROP_U_NONBCAST_BEACON: MALFORMED_HEADER,
        "Wi-Fi: a beacon that is not broadcast";
    RX_DROP_U_MALFORMED_ACTION: MALFORMED_HEADER,
        "Wi-Fi: an action frame that is malformed or unknown";
    RX_DROP_U_UNKNOWN_MCAST_ACTION: DEVICE_WIFI,
        "Wi-Fi: a multicast action frame of an unknown kind";
    RX_DROP_U_UNEXPECTED_EXT_FRAME: DEVICE_WIFI,
        "Wi-Fi: an extension frame at an interface that is no client";
    RX_DROP_U_UNHANDLED_MGMT: DEVICE_WIFI,
        "Wi-Fi: a management frame that this kind of interface does not handle";
    RX_DROP_U_MCAST_DEAUTH: DEVICE_WIFI,
        "Wi-Fi: a deauthentication sent to a multicast address";
    RX_DROP_U_UNHANDLED_DEAUTH: DEVICE_WIFI,
        "Wi-Fi: a deauthentication at an interface that is no client";
    RX_DROP_U_MCAST_DISASSOC: DEVICE_WIFI,
        "Wi-Fi: a disassociation sent to a multicast address";
    RX_DROP_U_UNHANDLED_DISASSOC: DEVICE_WIFI,
        "Wi-Fi: a disassociation at an interface that is no client";
    RX_DROP_U_UNHANDLED_PREQ: DEVICE_WIFI,
        "Wi-Fi: a probe request that this interface does not answer";
    RX_DROP_U_UNHANDLED_MGMT_STYPE: DEVICE_WIFI,
        "Wi-Fi: a management frame of a kind that is not handled";
    RX_DROP_U_NO_LINK: DEVICE_WIFI,
        "Wi-Fi: the frame belongs to a link that does not exist";
    RX_DROP_U_DEFRAG_OVERFLOW: MALFORMED_HEADER,
        "Wi-Fi: the frame's fragments are too long together";
};
