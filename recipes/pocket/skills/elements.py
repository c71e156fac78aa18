"""Chemical elements: their boiling points and symbols."""

from collections.abc import Callable
from random import Random

from recipes.pocket.facts import Element, elements
from recipes.pocket.frames import phrasings, politely
from recipes.pocket.skill import Asked, Split, abstentions, check_of, registers

BOILING = phrasings(
    plain=(
        "Please answer the following question. What is the boiling point of {Element}?",
        "What is the boiling point of {Element}?",
        "What is the boiling point of {element}?",
        "At what temperature does {element} boil?",
        "When does {element} boil?",
        "How hot must {element} be to boil?",
        "Tell me the boiling point of {element}.",
        "Name the boiling point of {element} in Fahrenheit.",
        "What is the boiling point of {element} in Fahrenheit?",
        "Can you tell me the boiling point of {element}?",
        "Q: What is the boiling point of {Element}?",
        "Please answer the following question. At what temperature does {element} boil?",
    ),
    varied=politely(
        questions=(
            "What is the boiling point of {element}?",
            "What's the boiling point of {element}?",
            "What is the boiling point of {element} in Fahrenheit?",
            "What boiling point does {element} have?",
            "At what temperature does {element} boil?",
            "At how many degrees does {element} boil?",
            "At how many degrees Fahrenheit does {element} boil?",
            "When does {element} boil?",
            "How hot must {element} be to boil?",
            "How hot is boiling {element}?",
            "{Element} boils at what temperature?",
        ),
        clauses=(
            "what the boiling point of {element} is",
            "what boiling point {element} has",
            "at what temperature {element} boils",
            "at how many degrees {element} boils",
            "when {element} boils",
            "how hot {element} must be to boil",
        ),
        nouns=(
            *("the boiling point of {element}", "the boiling point of {element} in Fahrenheit"),
            "the temperature of boiling {element}",
        ),
        left_out=("please tell me {}",),
    ),
    held_out=(
        "Please answer this question. What is the boiling point of {Element}?",
        "Do you know the boiling point of {element}?",
        "At which temperature does {element} begin to boil?",
        "Please tell me the boiling point of {element}.",
    ),
)
SYMBOL = phrasings(
    plain=(
        "What is the symbol of {element}?",
        "What is the chemical symbol of {element}?",
        "Which symbol does {element} have?",
        "Tell me the chemical symbol of {element}.",
        "Please answer the following question. What is the symbol of {Element}?",
        "How do chemists write {element}?",
    ),
    varied=politely(
        questions=(
            "What is the symbol of {element}?",
            "What is the chemical symbol of {element}?",
            "Which symbol does {element} have?",
            "What symbol do chemists use for {element}?",
            "How do chemists write {element}?",
            "With which letters do chemists write {element}?",
            "How is {element} written in chemistry?",
            "{Element} has which symbol?",
        ),
        clauses=(
            "what the symbol of {element} is",
            "what the chemical symbol of {element} is",
            "which symbol {element} has",
            "which symbol chemists use for {element}",
            "how chemists write {element}",
        ),
        nouns=("the symbol of {element}", "the chemical symbol of {element}", "the letters that stand for {element}"),
        left_out=("please tell me {}",),
    ),
    held_out=("What is the chemical symbol for {element}?", "Please tell me the symbol of {element}."),
)


def ask(rng: Random, split: Split) -> Asked:
    """Return a question for the boiling point of an element, or one in four for its symbol."""
    element, other = rng.sample(elements(), 2)
    boiling = rng.random() < 0.75
    template = rng.choice((BOILING if boiling else SYMBOL)[split])
    prompt = template.format(element=element.name.lower(), Element=element.name)
    answers, right, wrong = (
        (_boiling, _degrees(element), _degrees(other)) if boiling else (_symbol, element.symbol, other.symbol)
    )
    bad = {
        "wrong": _any(rng, answers, element, wrong),
        "abstains": rng.choice(list(abstentions(element.name.lower()).values())),
    }
    return Asked(prompt, answers(rng, element, right), check_of(prompt, "contains", (right,)), template, (), bad)


def _degrees(element: Element) -> str:
    return f"{element.boiling_f}F"


def _any(rng: Random, answers: Callable[[Random, Element, str], dict[str, str]], element: Element, value: str) -> str:
    return rng.choice(list(answers(rng, element, value).values()))


def _boiling(rng: Random, element: Element, degrees: str) -> dict[str, str]:
    name = element.name.lower()
    sentence = rng.choice((f"The boiling point of {name} is {degrees}.", f"{element.name} boils at {degrees}."))
    return registers(rng, f"{degrees}.", sentence, f"{sentence} Its chemical symbol is {element.symbol}.")


def _symbol(rng: Random, element: Element, symbol: str) -> dict[str, str]:
    sentence = f"The chemical symbol of {element.name.lower()} is {symbol}."
    return registers(rng, f"{symbol}.", sentence, f"{sentence} {element.name} is a chemical element.")


def document(rng: Random) -> str:
    """Return sentences about an element, or a table of several."""
    if rng.random() < 0.25:
        rows = (f"{e.name} ({e.symbol}): {_degrees(e)}" for e in rng.sample(elements(), 5))
        return "\n".join(["Boiling points", *rows])
    return " ".join(_sentence(rng, element) for element in rng.sample(elements(), 2))


def _sentence(rng: Random, element: Element) -> str:
    name, degrees = element.name, _degrees(element)
    low = name.lower()
    boiling = (
        f"The boiling point of {low} is {degrees}.",
        f"{name} boils at {degrees}.",
        f"{name} has a boiling point of {degrees}.",
        f"At {degrees}, {low} boils.",
        f"{name} has the symbol {element.symbol} and boils at {degrees}.",
    )
    symbol = (
        f"The chemical symbol of {low} is {element.symbol}.",
        f"{element.symbol} is the symbol of {low}.",
        f"{name} is a chemical element with the symbol {element.symbol}.",
        f"Chemists write {element.symbol} for {low}.",
    )
    both = [rng.choice(symbol), rng.choice(boiling)]
    rng.shuffle(both)
    return " ".join(both)
