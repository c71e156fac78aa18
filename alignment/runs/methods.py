"""The methods that a run may train the policy by, and its stages; nothing heavy is imported here."""

from collections.abc import Sequence

# The stages in which each method trains the policy, in order. "raft" before "ppo" is left out where it has no rounds.
METHODS = {"ppo": ("reward", "raft", "ppo"), "raft": ("reward", "raft"), "dpo": ("dpo",)}
# How long each stage takes, about, in proportion to the others.
DURATIONS = {"collect": 2, "sft": 13, "reward": 15, "raft": 60, "ppo": 13, "dpo": 73, "check": 10}


def stages_of(method: str, *, sft: bool, raft_rounds: int) -> tuple[str, ...]:
    """Return the stages of a run, in order, e.g. ("collect", "reward", "raft", "ppo", "check").

    `sft` says whether it begins with instruction tuning.
    """
    policy = [stage for stage in METHODS[method] if stage != "raft" or raft_rounds or method == "raft"]
    return ("collect", *(["sft"] if sft else []), *policy, "check")


def progress_spans(stages: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return where each stage begins and ends on a bar from 0 to 1."""
    whole = sum(DURATIONS[stage] for stage in stages)
    ends = [sum(DURATIONS[stage] for stage in stages[: number + 1]) / whole for number in range(len(stages))]
    return {stage: (begin, end) for stage, begin, end in zip(stages, [0.0, *ends], ends, strict=False)}
