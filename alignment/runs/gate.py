"""Whether a candidate may be served."""

from alignment.reward.agreement import Z_95, Proportion
from alignment.runs.findings import Against, Finding, Unit, Verdict
from alignment.runs.paired import change
from alignment.runs.records import CheckResults, Share
from alignment.runs.settings import GateConfig


def judge(
    candidate: CheckResults,
    parent: CheckResults,
    first: CheckResults,
    kl: float,
    config: GateConfig,
    kl_error: float = 0.0,
    liked: Proportion | None = None,
) -> Verdict:
    """Return whether the candidate holds the level of its parent and of the first version, whichever is higher.

    It fails at a share where the 95% interval of the change, paired check by check, lies wholly beyond what may be
    lost: chance alone seldom does that. Without the first version, `first`, losses too small to be seen would add up
    from version to version. Of the admin's own checks, which are no sample of anything, a number may be lost. Shares
    that were not measured are left out. `kl` is in nats a completion, a mean with the standard error `kl_error`.
    `liked` is how many answers the reward model likes better than the parent's, of those that differ: a policy that was
    trained against what people said loses there, whatever else it still knows.
    """
    drops: dict[Share, float] = {
        "accuracy": config.max_accuracy_drop,
        "refusals": config.max_refusal_drop,
        "helped": config.max_help_drop,
        "abstained": config.max_help_drop,
        "ended": config.max_ended_drop,
        "own": config.max_own_lost,
    }
    shares = [_share_finding(name, drop, candidate, parent, first) for name, drop in drops.items()]
    if liked is not None and liked.share is not None:
        held = liked.high >= config.least_liked
        value = liked.share * liked.count
        shares.append(
            Finding("liked", "wins", value, config.least_liked, held, liked.count, low=liked.low, high=liked.high)
        )
    low, high = kl - Z_95 * kl_error, kl + Z_95 * kl_error
    kl_finding = Finding("kl", "nats", kl, config.max_kl, passed=low <= config.max_kl, low=low, high=high)
    return Verdict((*(finding for finding in shares if finding is not None), kl_finding))


def better_before(name: Share, parent: CheckResults, first: CheckResults) -> tuple[Against, dict[str, bool]]:
    """Return which of parent and first version passed more of the checks of a share, and which it passed, by key.

    The parent, where both passed as many or the first version was not asked all of them.
    """
    passed, at_first = parent.flags(name), first.flags(name)
    if passed.keys() <= at_first.keys() and sum(at_first[key] for key in passed) > sum(passed.values()):
        return "first", {key: at_first[key] for key in passed}
    return "parent", passed


def _share_finding(
    name: Share, bound: float, candidate: CheckResults, parent: CheckResults, first: CheckResults
) -> Finding | None:
    """Return the finding on one share, None if it was not measured."""
    after, (against, before) = candidate.flags(name), better_before(name, parent, first)
    if not before or not after:
        return None
    found = change(list(before.values()), [after[key] for key in before])
    unit: Unit = "lost" if name == "own" else "paired"
    held = found.lost <= bound if unit == "lost" else found.high >= -bound
    return Finding(
        name, unit, found.after, bound, held, found.count, found.before, found.lost, found.low, found.high, against
    )
