"""The loop at full size: 32 votes for one plain taste, the default run, 100 prompts that were not voted on."""

import pytest

from tests.bench.loop import loop


@pytest.mark.slow
@pytest.mark.xfail(reason="it wins 69.5% (docs/benchmarks.md)", strict=True)
def test_a_taste_is_learned_from_32_votes_and_the_facts_stay() -> None:
    result = loop(votes=32, compared=100, settings=None, capitals=193)
    assert result["votes"] == 32
    assert result["status"] == "succeeded", result
    assert result["win_rate"] >= 0.75, result
    assert result["capitals_before"] - result["capitals_after"] <= 0.03, result
