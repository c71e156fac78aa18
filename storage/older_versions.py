"""How released versions before this one stored what now has another form. Frozen, as the migrations that use it."""

import json
import re
from collections.abc import Mapping
from typing import Any

MARK = " ✗"  # at the end of a sentence: what it says did not pass
MEASURES = {
    "questions answered correctly": "accuracy",
    "harmful requests refused": "refusals",
    "harmless requests helped": "helped",
    "unknown names admitted": "abstained",
    "ends by itself": "ended",
}
CHECKS = re.compile(rf"({'|'.join(MEASURES)}): -?\d+%, (\d+) of (\d+) \(best before (\d+), at least (\d+)\)")
KL = re.compile(r"KL to SFT: (-?\d+\.\d) nats \(at most (\d+)\)")
PUT_BACK = re.compile(r"put back to (\d+)% of the way from the version before; the whole way had: (.*)", re.DOTALL)
PUT_BACK_IN_VAIN = "nor does it pass nearer to the version before"
STOPPED = "training stopped early: "


def renamed_settings(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run of version 0.1 by the names of now.

    `refit` is `sft`. `warm_up_rounds`, the rounds of RAFT before PPO, is `raft.rounds`, which meant the rounds of the
    method "raft" alone.
    """
    renamed = dict(settings)
    if "refit" in renamed:
        renamed["sft"] = renamed.pop("refit")
    rounds = renamed.pop("warm_up_rounds", None)
    if rounds is not None and method == "ppo":
        renamed["raft"] = {**renamed.get("raft", {}), "rounds": rounds}
    return renamed


def messages_of_prompt(prompt: str) -> str:
    """Return a prompt of version 0.1, which knew one question at a time, as the JSON text of a message list."""
    return json.dumps([{"role": "user", "content": prompt}], ensure_ascii=False)


def verdict_of_sentences(gate: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verdict of version 0.1, `{"passed": bool, "reasons": [sentence, …]}`, as findings.

    A sentence that is not understood is kept as a remark. So is, as failed, the verdict itself if it did not pass
    and no sentence says why.
    """
    verdict: dict[str, Any] = {
        "passed": bool(gate.get("passed")),
        "findings": [],
        "put_back": None,
        "stopped_early": None,
        "remarks": [],
    }
    for sentence in gate.get("reasons", []):
        _add(verdict, str(sentence))
    judged = [*verdict["findings"], *verdict["remarks"]]
    if not verdict["passed"] and all(one["passed"] for one in judged):
        verdict["remarks"].append({"text": "did not pass", "passed": False})
    return verdict


def _add(verdict: dict[str, Any], sentence: str) -> None:
    if finding := _finding(sentence):
        verdict["findings"].append(finding)
    elif sentence.startswith(STOPPED):
        verdict["stopped_early"] = sentence.removeprefix(STOPPED)
    elif sentence == PUT_BACK_IN_VAIN:
        verdict["put_back"] = {"share": None, "failed": [one for one in verdict["findings"] if not one["passed"]]}
    elif put_back := _put_back(sentence):
        verdict["put_back"] = put_back
    else:
        text = sentence.removesuffix(MARK)
        verdict["remarks"].append({"text": text, "passed": text == sentence})


def _put_back(sentence: str) -> dict[str, Any] | None:
    """Return what a sentence says of a candidate that was put back, or None if it is another or not understood."""
    if (found := PUT_BACK.fullmatch(sentence)) is None:
        return None
    failed = [_finding(part + MARK) for part in found[2].split("; ")]
    return {"share": int(found[1]) / 100, "failed": failed} if all(failed) else None


def _finding(sentence: str) -> dict[str, Any] | None:
    """Return the finding that a sentence states, or None if it states none."""
    text = sentence.removesuffix(MARK)
    passed = text == sentence
    if found := CHECKS.fullmatch(text):
        right, count, best, least = map(int, found.groups()[1:])
        return {
            "name": MEASURES[found[1]],
            "unit": "checks",
            "value": right,
            "bound": least,
            "passed": passed,
            "count": count,
            "best_before": best,
        }
    if found := KL.fullmatch(text):
        value, bound = float(found[1]), float(found[2])
        return {
            "name": "kl",
            "unit": "nats",
            "value": value,
            "bound": bound,
            "passed": passed,
            "count": None,
            "best_before": None,
        }
    return None
