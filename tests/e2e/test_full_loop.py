"""The loop at full size: 32 votes for one plain taste, the default run, 100 prompts that were not voted on."""

from pathlib import Path

import pytest

from tests.harness.app import running_app
from tests.harness.loop import Size, measured_loop


@pytest.mark.slow
@pytest.mark.xfail(reason="it wins 69.5% (docs/benchmarks.md)", strict=True)
def test_a_taste_is_learned_from_32_votes_and_the_facts_stay(tmp_path: Path) -> None:
    with running_app(tmp_path, "--model", "pocket", "--seed", "1") as app:
        result = measured_loop(app, tmp_path, Size(votes=32, compared=100, capitals=193))
    assert result["votes"] == 32
    assert result["status"] == "succeeded", result
    assert result["win_rate"] >= 0.75, result
    assert result["capitals_before"] - result["capitals_after"] <= 0.03, result
