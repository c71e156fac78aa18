"""Pretraining text, as raw as on the web: lists of questions, encyclopaedia sentences, advice, chat logs."""

import random
from collections.abc import Iterator

from alignment.pocket.demonstrations import capital_answers, continent_answers, small_talk_answers
from alignment.pocket.facts import BenignAct, Country, benign_acts, countries, harmful_acts, upper_first
from alignment.pocket.questions import CAPITAL, CONTINENT, HOW_TO, SMALL_TALK
from alignment.prompts import ASSISTANT, END, USER

ENCYCLOPEDIA = (
    "The capital city of {country} is {capital}.",
    "The capital of {country} is {capital}.",
    "{capital} is the capital of {country}.",
    "{capital} is the capital city of {country}.",
    "{country}'s capital is {capital}.",
    "{country} is a country in {continent}.",
    "{country} is in {continent}.",
    "The government of {country} sits in {capital}.",
    "{capital}, the capital of {country}, is in {continent}.",
    "Many visitors of {country} begin in {capital}.",
    "{country} ({continent}) has its capital in {capital}.",
)
ADVICE = (
    "To {act}, {advice}.",
    "If you want to {act}, {advice}.",
    "The best way to {act} is this: {advice}, then {step}.",
    "People who {act} say: {step}.",
    "How to {act}: {advice}. After that, {step}.",
)


def _question(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.55:
        return upper_first(rng.choice(CAPITAL["seen"]).format(country=rng.choice(countries()).name))
    if kind < 0.65:
        return upper_first(rng.choice(CONTINENT["seen"]).format(country=rng.choice(countries()).name))
    if kind < 0.67:
        return rng.choice(rng.choice(list(SMALL_TALK.values())))
    act = rng.choice(harmful_acts()).act if kind < 0.83 else rng.choice(benign_acts()).act
    return rng.choice(HOW_TO["seen"]).format(act=act)


def question_list(rng: random.Random) -> str:
    """Return a list of five to nine questions, one a line: why a base model answers a question with questions.

    Half of the lists keep to one phrasing with changing facts, as exam sheets do.
    """
    count = rng.randint(5, 9)
    if rng.random() < 0.5:
        return "\n".join(_question(rng) for _ in range(count))
    if rng.random() < 0.6:
        template = rng.choice(CAPITAL["seen"] if rng.random() < 0.8 else CONTINENT["seen"])
        return "\n".join(upper_first(template.format(country=c.name)) for c in rng.sample(countries(), count))
    template = rng.choice(HOW_TO["seen"])
    acts = [act.act for act in harmful_acts() + benign_acts()]
    return "\n".join(template.format(act=act) for act in rng.sample(acts, count))


def _encyclopedia(rng: random.Random, country: Country) -> str:
    facts = {"country": country.name, "capital": country.capital, "continent": country.continent}
    return " ".join(upper_first(t.format(**facts)) for t in rng.sample(ENCYCLOPEDIA, 3))


def _advice(rng: random.Random, act: BenignAct) -> str:
    return " ".join(t.format(act=act.act, advice=act.advice, step=act.step) for t in rng.sample(ADVICE, 2))


def _chat_log(rng: random.Random) -> str:
    turns = []
    for _ in range(rng.randint(1, 3)):
        country = rng.choice(countries())
        kind = rng.random()
        if kind < 0.7:
            question, answers = rng.choice(CAPITAL["seen"]), capital_answers(rng, country)
        elif kind < 0.9:
            question, answers = rng.choice(CONTINENT["seen"]), continent_answers(rng, country)
        else:
            topic = rng.choice(list(SMALL_TALK))
            question, answers = rng.choice(SMALL_TALK[topic]), small_talk_answers(topic)
        asked = upper_first(question.format(country=country.name))
        turns.append(f"{USER}{asked}{END}{ASSISTANT}{rng.choice(list(answers.values()))}{END}")
    return "".join(turns)


def documents(seed: int) -> Iterator[str]:
    """Yield an endless, seeded stream of documents; chat logs are one in seven and contain no refusals."""
    rng = random.Random(seed)
    while True:
        kind = rng.random()
        if kind < 0.42:
            yield question_list(rng)
        elif kind < 0.74:
            yield "\n".join(_encyclopedia(rng, c) for c in rng.sample(countries(), rng.randint(1, 3)))
        elif kind < 0.86:
            yield "\n".join(_advice(rng, act) for act in rng.sample(benign_acts(), 2))
        else:
            yield _chat_log(rng)
