//! Verdicts that are not sure, corrected by what the kernel counted.

use crate::{
    diagnose::{context::Context, group::Group, reconcile},
    drops::verdict::Verdict,
    knowledge::{
        Assessment, Condition, Confidence,
        alternatives::{ALTERNATIVES, Alternative},
    },
};

/// Corrects the verdict on a group that is not sure.
pub(in crate::diagnose) fn recount(group: &mut Group, context: &Context) {
    if group.verdict.assessment.confidence == Confidence::Certain {
        return;
    }
    let moved = |name| reconcile::moved(context, group.key.netns, name);
    let are = |condition: &Condition| group.keys.keys().all(|key| (condition.holds)(key));
    let fits = |alternative: &&Alternative| {
        alternative.said == group.verdict.assessment.kind
            && alternative.counter.is_none_or(|name| moved(name) >= group.count)
            && alternative.only.as_ref().is_none_or(are)
            && alternative.unless.is_none_or(|name| moved(name) == 0)
    };
    let Some(Alternative { counter, unless, kind, .. }) = ALTERNATIVES.iter().find(fits) else { return };
    let (confidence, evidence) = match (counter, unless) {
        (Some(counter), _) if moved(counter) == group.count => {
            (Confidence::Certain, format!("the counter {counter} rose by {}, as many as died", group.count))
        }
        (Some(counter), _) => (
            Confidence::Likely,
            format!("the counter {counter} rose by {}, and {} died", moved(counter), group.count),
        ),
        (None, unless) => {
            (Confidence::Likely, format!("the counter {} did not rise", unless.unwrap_or_default()))
        }
    };
    group.verdict = Verdict { assessment: Assessment::new(kind, confidence), evidence: vec![evidence] };
}
