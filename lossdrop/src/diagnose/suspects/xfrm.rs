//! IPsec.

use super::{Story, Suspect, other};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::Group,
    },
    knowledge::kinds,
    machine::XfrmPolicy,
};

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    let found = context.xfrm_policies(group.key.netns);
    let blocking = group.find(|sample| {
        let (source, destination) = sample.addresses()?;
        // The first that fits decides.
        let first = found.iter().find(|policy| policy.matches(source, destination, sample.event.key.l4))?;
        first.blocks.then(|| first.clone())
    });
    if group.verdict.assessment.kind != &kinds::XFRM_POLICY {
        return other::suspect(group, context);
    }
    match blocking {
        Some(policy) => blocks(policy, group),
        None => {
            let culprit = Culprit::new(Object::Policy, "IPsec policy").text("ip xfrm policy");
            Suspect::of(group, Some(culprit), other::tell)
        }
    }
}

fn blocks(policy: XfrmPolicy, group: &Group) -> Suspect<'static> {
    let XfrmPolicy { source, destination, direction, .. } = &policy;
    let selector = format!("src {source} dst {destination} dir {direction}");
    let culprit = Culprit::new(Object::Policy, format!("xfrm policy {selector}")).text("action block");
    Suspect::of(group, Some(culprit), move |group, context| {
        let text = format!(
            "The IPsec policy \"{selector}\" says block: packets between these addresses are refused. It was set up to do that, or an IKE \
             daemon did, so that nothing leaves unencrypted while there is no tunnel."
        );
        let netns = group.key.netns;
        Story::new(format!("the IPsec policy {selector} blocks them"), text)
            .fix(
                context.places.ip(netns, &format!("xfrm policy delete {selector}")),
                "the packets pass, unencrypted unless another policy says otherwise",
            )
            .look(context.places.ip(netns, "-s xfrm policy"), "the policies, and when each was used last")
    })
}
