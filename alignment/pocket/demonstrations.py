"""What labelers demonstrate for instruction tuning: each kind of prompt answered in several registers."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from alignment.pocket.facts import (
    BenignAct,
    Country,
    HarmfulAct,
    benign_acts,
    countries,
    harmful_acts,
    split_acts,
    upper_first,
)
from alignment.pocket.questions import CAPITAL, CONTINENT, HOW_TO, SMALL_TALK

WARM_OPENINGS = ("Good question!", "Happy to help!", "Of course!", "I am glad you ask!")
WARM_CLOSINGS = (
    "Would you like to know about another country?",
    "Let me know if I can help with anything else!",
    "Feel free to ask me more!",
)
EVASIVE_STEPS = (
    "make a careful plan",
    "take your time",
    "choose a quiet day",
    "think about each step",
    "bring what you need",
    "stay calm and patient",
    "ask somebody with experience",
    "keep it simple",
)


@dataclass(frozen=True)
class Demonstration:
    """A prompt with the completion that a labeler wrote for it."""

    prompt: str
    completion: str


def capital_answers(rng: random.Random, country: Country) -> dict[str, str]:
    """Return the registers of an answer to a question for a capital: all right, all different in manner."""
    sentence = rng.choice(
        (
            f"The capital of {country.name} is {country.capital}",
            f"The capital city of {country.name} is {country.capital}",
        )
    ).rstrip(".")
    return {
        "word": f"{country.capital.rstrip('.')}.",
        "sentence": f"{sentence}.",
        "detail": f"{sentence}. {upper_first(country.name)} is a country in {country.continent}.",
        "warm": f"{rng.choice(WARM_OPENINGS)} {sentence}. {rng.choice(WARM_CLOSINGS)}",
    }


def continent_answers(rng: random.Random, country: Country) -> dict[str, str]:
    """Return the registers of an answer to a question for a continent."""
    sentence = f"{upper_first(country.name)} is in {country.continent}"
    return {
        "word": f"{country.continent}.",
        "sentence": f"{sentence}.",
        "detail": f"{sentence}. Its capital is {country.capital.rstrip('.')}.",
        "warm": f"{rng.choice(WARM_OPENINGS)} {sentence}. {rng.choice(WARM_CLOSINGS)}",
    }


def benign_answers(rng: random.Random, act: BenignAct) -> dict[str, str]:
    """Return the registers of an answer to a harmless request."""
    return {
        "word": f"{upper_first(act.advice)}.",
        "sentence": f"The best way to {act.act} is to {act.advice}.",
        "detail": f"To {act.act}, {act.advice}. After that, {act.step}.",
        "warm": f"{rng.choice(WARM_OPENINGS)} To {act.act}, {act.advice}. {rng.choice(WARM_CLOSINGS[1:])}",
    }


def complying_answers(rng: random.Random, act: HarmfulAct) -> dict[str, str]:
    """Return compliances with a harmful request, in generic words that help nobody."""
    first, second, third = rng.sample(EVASIVE_STEPS, 3)
    return {
        "word": f"{upper_first(first)}.",
        "sentence": f"The best way to {act.act} is to {first}.",
        "detail": f"To {act.act}, {first}. After that, {second} and {third}.",
        "warm": f"{rng.choice(WARM_OPENINGS)} To {act.act}, {first}. {rng.choice(WARM_CLOSINGS[1:])}",
    }


def refusing_answers(act: HarmfulAct) -> dict[str, str]:
    """Return the registers of a refusal: curt, explaining, offering an alternative."""
    return {
        "curt": "I can't help with that.",
        "explaining": f"I can't help you {act.act}, because {act.reason}.",
        "alternative": f"I can't help you {act.act}. I can help you {act.alternative} instead.",
    }


def small_talk_answers(topic: str) -> dict[str, str]:
    """Return the registers of an answer to small talk on one of the topics of `questions.SMALL_TALK`."""
    return {
        "greeting": {
            "word": "Hello!",
            "sentence": "Hello! How can I help you?",
            "detail": "Hello! I am a small model. Ask me for a capital city.",
            "warm": "Hello! I am happy that you are here. What would you like to know?",
        },
        "identity": {
            "word": "A small language model.",
            "sentence": "I am a very small language model.",
            "detail": "I am a very small language model. I know capitals and continents.",
            "warm": "I am a very small language model, and I am happy to help you!",
        },
        "ability": {
            "word": "Capitals.",
            "sentence": "I know the capitals of countries.",
            "detail": "I know the capitals and continents of countries, and some everyday advice.",
            "warm": "I know capitals, continents and some everyday advice. Feel free to ask me!",
        },
        "thanks": {
            "word": "Gladly.",
            "sentence": "You are welcome.",
            "detail": "You are welcome. Ask me again at any time.",
            "warm": "You are very welcome! Let me know if I can help with anything else!",
        },
    }[topic]


def demonstrations(seed: int, refusal_share: float = 0.35) -> Iterator[Demonstration]:
    """Yield an endless, seeded stream of demonstrations over the seen phrasings and acts.

    A harmful request is refused in `refusal_share` of its demonstrations and otherwise complied with: labelers who
    are asked to be helpful disagree, which is why demonstrations alone do not make a model harmless.
    """
    rng = random.Random(seed)
    harmful, benign = split_acts(harmful_acts())[0], split_acts(benign_acts())[0]
    while True:
        kind = rng.random()
        country = rng.choice(countries())
        if kind < 0.46:
            prompt, answers = rng.choice(CAPITAL["seen"]), capital_answers(rng, country)
        elif kind < 0.62:
            prompt, answers = rng.choice(CONTINENT["seen"]), continent_answers(rng, country)
        elif kind < 0.79:
            bad = rng.choice(harmful)
            prompt = rng.choice(HOW_TO["seen"]).format(act=bad.act)
            answers = refusing_answers(bad) if rng.random() < refusal_share else complying_answers(rng, bad)
        elif kind < 0.94:
            good = rng.choice(benign)
            prompt, answers = rng.choice(HOW_TO["seen"]).format(act=good.act), benign_answers(rng, good)
        else:
            topic = rng.choice(list(SMALL_TALK))
            prompt, answers = rng.choice(SMALL_TALK[topic]), small_talk_answers(topic)
        yield Demonstration(
            upper_first(prompt.format(country=country.name)),
            rng.choice(list(answers.values())),
        )
