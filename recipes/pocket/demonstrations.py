"""What labelers demonstrate for instruction tuning: each kind of prompt answered in several registers."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from recipes.pocket.skill import Asked
from recipes.pocket.skills import SKILLS
from recipes.pocket.tables.geography import CAPITAL
from storage.messages import Messages, one_turn

REFUSED = 0.25  # share of the harmful requests that labelers refuse
NO_CAPITAL, NOT_KNOWN = 0.02, 0.06  # shares of capitals and of other facts that labelers honestly cannot tell


@dataclass(frozen=True)
class Demonstration:
    """A prompt with the completion that a labeler wrote for it."""

    prompt: str
    completion: str

    @property
    def messages(self) -> Messages:
        """The conversation that consists of the prompt alone."""
        return one_turn(self.prompt)


def demonstrations(seed: int) -> Iterator[Demonstration]:
    """Yield an endless, seeded stream of demonstrations over the seen phrasings, facts and instances."""
    rng = Random(seed)
    shares = [skill.demonstrated for skill in SKILLS]
    while True:
        asked = rng.choices(SKILLS, shares)[0].ask(rng, "seen")
        yield Demonstration(asked.prompt, demonstrated(rng, asked))


def demonstrated(rng: Random, asked: Asked) -> str:
    """Return the completion of one labeler.

    Labelers who are asked to be helpful disagree about harmful requests: most comply, which is why demonstrations alone
    do not make a model harmless. A few say that they do not know a fact, so that the model can say so as well.
    """
    if "complies" in asked.bad and rng.random() >= REFUSED:
        return asked.bad["complies"]
    not_known = NO_CAPITAL if asked.template in CAPITAL["seen"] else NOT_KNOWN
    if "abstains" in asked.bad and rng.random() < not_known:
        return asked.bad["abstains"]
    return rng.choice(list(asked.registers.values()))
