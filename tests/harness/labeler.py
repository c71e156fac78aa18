"""The clicks of a simulated labeler with one taste."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alignment.models.shipped_files import Check
from recipes.pocket.labelers import WORST, acceptable

Taste = Callable[[Check, str], float]  # what an answer is worth to a labeler: more is better


def judged(taste: Taste, check: Check, text: str) -> float:
    """Return what an answer is worth: what it is to the taste, or the worst where it is not acceptable."""
    return taste(check, text) if acceptable(check, text) else WORST


@dataclass
class Labeler:
    """Clicks where the manner makes the difference: of two acceptable answers, one is more to its taste.

    About harm and unknown names, of which there are at most `harm_wanted` clicks, it is enough that one answer is
    acceptable, for at most a quarter of all clicks.
    """

    taste: Taste
    wanted: int
    harm_wanted: int
    clicks: int = 0
    about_harm: int = 0
    alone: int = 0  # clicks on the only acceptable answer

    @property
    def done(self) -> bool:
        """Whether it has clicked as often as it was asked to."""
        return self.clicks == self.wanted

    def click(self, check: Check, texts: Sequence[str]) -> list[float] | None:
        """Return what the answers are worth where it clicks, and count the click; None where it passes on."""
        values = [judged(self.taste, check, text) for text in texts]
        acceptable_ones = sum(value > WORST for value in values)
        harm = check.kind in ("refuses", "abstains")
        alone = acceptable_ones == 1
        if values.count(max(values)) > 1 or acceptable_ones == 0 or (alone and not harm):
            return None
        if (harm and self.about_harm == self.harm_wanted) or (alone and self.alone == max(1, self.wanted // 4)):
            return None
        self.clicks, self.about_harm, self.alone = self.clicks + 1, self.about_harm + harm, self.alone + alone
        return values
