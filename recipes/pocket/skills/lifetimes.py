"""Well-known people: when they were born and died, who they were, and whether two of them could have talked."""

from dataclasses import replace
from functools import cache
from itertools import permutations
from random import Random

from recipes.pocket.facts import Person, people, upper_first
from recipes.pocket.skill import WARM_CLOSINGS, Asked, Split, abstentions, check_of, registers, side
from recipes.pocket.tables.lifetimes import BORN, DIED, KNOWN, TALK

LEAST_OVERLAP = 15  # years that two lives must share before we say that the two could have talked
FIRST_YEAR, THIS_YEAR = 1300, 2025


@cache
def pairs(overlapping: bool, split: Split) -> tuple[tuple[Person, Person], ...]:
    """Return the ordered pairs of people of a split who were alive together, or who never were."""
    return tuple(
        (a, b)
        for a, b in permutations(people(), 2)
        if side(pair_key(a, b)) == split and (_shared(a, b) >= LEAST_OVERLAP if overlapping else _shared(a, b) < 0)
    )


def pair_key(a: Person, b: Person) -> str:
    """Return the key by which pairs of people are split, whoever is named first."""
    return "pair:" + "|".join(sorted((a.name, b.name)))


def _shared(a: Person, b: Person) -> int:
    return min(a.died or THIS_YEAR, b.died or THIS_YEAR) - max(a.born, b.born)


def ask(rng: Random, split: Split) -> Asked:
    """Return the question whether two people could have talked, or a question about one person."""
    if rng.random() < 0.6:
        return ask_talk(rng, split)
    return ask_person(rng, split)


def ask_talk(rng: Random, split: Split) -> Asked:
    """Return the question whether two people could have talked, with equal chances of yes and no."""
    overlapping = rng.random() < 0.5
    a, b = rng.choice(pairs(overlapping, split))
    template = rng.choice(TALK[split])
    prompt = template.format(a=a.name, b=b.name)
    earlier, later = sorted((a, b), key=lambda person: person.born)
    check = check_of(
        prompt,
        "contains",
        (str(later.born), str(earlier.died or "still alive"), f"the answer is {'yes' if overlapping else 'no'}"),
    )
    bad = {"wrong answer": rng.choice(list(_rationales(rng, a, b, not overlapping).values()))}
    if earlier.died or later.died:  # of two who are alive, the check finds in one what is wrong of the other
        wrong_year = (earlier.died or THIS_YEAR) + rng.choice((-100, -40, 40, 100))
        mistaken = replace(earlier, died=wrong_year)
        wrong_a, wrong_b = (mistaken if person is earlier else person for person in (a, b))
        bad["wrong year"] = rng.choice(list(_rationales(rng, wrong_a, wrong_b, wrong_year > later.born).values()))
    return Asked(prompt, _rationales(rng, a, b, overlapping), check, template, (pair_key(a, b),), bad)


def _rationales(rng: Random, a: Person, b: Person, overlapping: bool) -> dict[str, str]:
    """Return the registers of an answer that tells both lives in the prompt's order and then compares two years."""
    earlier, later = sorted((a, b), key=lambda person: person.born)
    lives = f"{_lived(a)} {_lived(b)}"
    order = f"{later.born} is {'before' if overlapping else 'after'} {earlier.died or THIS_YEAR}."
    so = "So they were alive at the same time." if overlapping else "So they were never alive at the same time."
    answer = f"The answer is {'yes' if overlapping else 'no'}."
    return {
        "short rationale": f"{lives} {answer}",
        "rationale": f"{lives} {order} {answer}",
        "detail": f"{lives} {order} {so} {answer}",
        "warm": f"Let us compare their lives! {lives} {order} {answer} {rng.choice(WARM_CLOSINGS)}",
    }


def _order(one: int, other: int) -> str:
    return f"{one} is {'before' if one < other else 'after'} {other}."


def _lived(person: Person) -> str:
    if person.died is None:
        return f"{person.name} was born in {person.born} and is still alive."
    return f"{person.name} lived from {person.born} to {person.died}."


def ask_person(rng: Random, split: Split) -> Asked:
    """Return a question for the year in which a person was born or died, or for who it was."""
    person = rng.choice(people())
    other = rng.choice([one for one in people() if _unlike(one, person)])
    kind = rng.choice(("born", "died", "known"))
    if kind == "died" and not (person.died and other.died):
        kind = "born"
    template = rng.choice({"born": BORN, "died": DIED, "known": KNOWN}[kind][split])
    was = "is" if person.died is None else "was"
    prompt = template.format(a=person.name, was=was)

    def answers(source: Person) -> dict[str, str]:
        if kind == "known":
            word = f"{upper_first(source.known_for)}."
            sentence = f"{person.name} {was} {source.known_for}."
            return registers(rng, word, sentence, f"{sentence} {_born(person.name, person)}")
        about = f"{person.name} {was} {person.known_for}."
        year = source.born if kind == "born" else source.died
        sentence = _born(person.name, source) if kind == "born" else f"{person.name} died in {year}."
        return registers(rng, f"In {year}.", sentence, f"{sentence} {about}")

    expect = person.known_for if kind == "known" else str(person.born if kind == "born" else person.died)
    bad = {
        "wrong": rng.choice(list(answers(other).values())),
        "abstains": rng.choice(list(abstentions(person.name).values())),
    }
    return Asked(prompt, answers(person), check_of(prompt, "contains", (expect,)), template, (), bad)


def _unlike(one: Person, other: Person) -> bool:
    return one.born != other.born and one.died != other.died and one.known_for != other.known_for


def _born(name: str, person: Person) -> str:
    return f"{name} was born in {person.born}."


def document(rng: Random) -> str:
    """Return short lives, years in order, or two solved questions about pairs that are not held out."""
    form = rng.random()
    if form < 0.65:
        return " ".join(_life(rng, person) for person in rng.sample(people(), 2))
    if form < 0.75:
        return "\n".join(_order(*rng.sample(range(FIRST_YEAR, THIS_YEAR), 2)) for _ in range(rng.randint(6, 10)))
    solved = (ask_talk(rng, "seen") for _ in range(2))
    return "\n".join(f"Q: {a.prompt.removeprefix('Q: ')}\nA: {rng.choice(list(a.registers.values()))}" for a in solved)


def _life(rng: Random, person: Person) -> str:
    name, born, died, known = person.name, person.born, person.died, person.known_for
    if died is None:
        return rng.choice(
            (
                f"{name}, {known}, was born in {born} and is still alive.",
                f"{name} was born in {born}. {name} is {known}.",
                f"{name} is {known}. {name} was born in {born} and is still alive.",
            )
        )
    return rng.choice(
        (
            f"{name} ({born}-{died}) was {known}.",
            f"{name} was {known}. {name} was born in {born} and died in {died}.",
            f"{name}, {known}, lived from {born} to {died}.",
            f"{name} was born in {born}. {name} died in {died}. {name} was {known}.",
            f"In {born} {name} was born, {known}, who died in {died}.",
        )
    )
