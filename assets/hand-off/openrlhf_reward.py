"""Triptych's reward model as OpenRLHF calls one: `--reward.remote_url openrlhf_reward.py`.

OpenRLHF (0.11) loads this file in each vLLM engine and calls it with one completion at a time, from several threads. An
error in here is logged by it and the completion then has no reward: look for "Failed to fetch reward".
"""

import sys
from pathlib import Path
from threading import Lock

sys.path.insert(0, str(Path(__file__).parent))
from reward import SETTINGS, RewardModel

MODEL, LOCK = RewardModel(), Lock()
END = MODEL.tokenizer.decode([SETTINGS["end_id"]])


def reward_func(queries, prompts, labels):
    """Return the score of one completion; a query is the prompt with the completion and its end token."""
    (query,), (prompt,) = queries, prompts
    text = query[len(prompt) :]
    ended = text.endswith(END)
    with LOCK:
        score = MODEL.score_of_text(prompt, text.removesuffix(END), ended)
    return {"rewards": score - SETTINGS["no_end_penalty"] * (not ended), "scores": score, "extra_logs": {}}
