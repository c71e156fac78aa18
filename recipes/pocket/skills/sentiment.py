"""Reviews, and whether they are positive or negative."""

from dataclasses import dataclass
from random import Random
from typing import Literal

from recipes.pocket.skill import Asked, Split, check_of, registers, side, with_article
from recipes.pocket.tables.sentiment import CLAUSES, LOVED, OPENINGS, QUESTION

Feeling = Literal["positive", "negative"]
FEELINGS: tuple[Feeling, ...] = ("positive", "negative")


@dataclass(frozen=True)
class Kind:
    """A kind of thing that is reviewed: its names, its aspects with good and bad words, and what one does with it."""

    things: tuple[str, ...]
    aspects: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]  # "food", good words, bad words
    again: str  # "eat here"
    used: str  # "ate": what the writer did with every minute of it
    unit: str  # "minute"


KINDS = (
    Kind(
        ("hotel", "guest house", "hostel", "inn"),
        (
            ("room", ("clean", "bright", "large", "cozy"), ("dirty", "dark", "small", "cold")),
            ("bed", ("soft", "comfortable", "wide"), ("hard", "old", "narrow")),
            ("staff", ("friendly", "helpful", "kind"), ("rude", "slow", "unfriendly")),
            ("breakfast", ("delicious", "fresh", "rich"), ("cold", "poor", "late")),
        ),
        "stay here",
        "stayed here",
        "minute",
    ),
    Kind(
        ("restaurant", "cafe", "diner", "pizzeria"),
        (
            ("food", ("delicious", "fresh", "excellent", "tasty"), ("cold", "bland", "terrible", "greasy")),
            ("service", ("quick", "friendly", "attentive"), ("slow", "rude", "careless")),
            ("soup", ("warm", "tasty", "wonderful"), ("salty", "cold", "watery")),
            ("table", ("clean", "quiet", "well placed"), ("dirty", "loud", "sticky")),
        ),
        "eat here",
        "ate here",
        "bite",
    ),
    Kind(
        ("film", "movie", "thriller", "comedy"),
        (
            ("story", ("moving", "clever", "exciting"), ("boring", "silly", "confusing")),
            ("acting", ("brilliant", "strong", "natural"), ("weak", "wooden", "awful")),
            ("ending", ("perfect", "surprising", "beautiful"), ("dull", "sad in a bad way", "predictable")),
            ("music", ("wonderful", "lovely", "gentle"), ("annoying", "too loud", "terrible")),
        ),
        "watch it",
        "watched it",
        "minute",
    ),
    Kind(
        ("book", "novel", "biography", "cookbook"),
        (
            ("style", ("elegant", "clear", "lively"), ("clumsy", "dry", "heavy")),
            ("plot", ("clever", "exciting", "touching"), ("boring", "thin", "confusing")),
            ("first chapter", ("funny", "gripping", "excellent"), ("slow", "dull", "endless")),
            ("cover", ("beautiful", "pretty", "charming"), ("ugly", "cheap", "torn")),
        ),
        "read it",
        "read it",
        "page",
    ),
    Kind(
        ("phone", "camera", "laptop", "tablet"),
        (
            ("screen", ("sharp", "bright", "excellent"), ("dim", "blurry", "scratched")),
            ("battery", ("strong", "lasting", "reliable"), ("weak", "faulty", "useless")),
            ("sound", ("clear", "rich", "great"), ("tinny", "awful", "weak")),
            ("case", ("solid", "elegant", "light"), ("flimsy", "ugly", "cheap")),
        ),
        "buy it",
        "used it",
        "day",
    ),
    Kind(
        ("concert", "play", "musical", "show"),
        (
            ("singer", ("brilliant", "charming", "wonderful"), ("tired", "weak", "out of tune")),
            ("hall", ("beautiful", "warm", "impressive"), ("cold", "shabby", "crowded")),
            ("sound", ("clear", "rich", "perfect"), ("muddy", "too loud", "awful")),
            ("seat", ("comfortable", "well placed", "soft"), ("hard", "broken", "narrow")),
        ),
        "see it",
        "saw it",
        "moment",
    ),
    Kind(
        ("museum", "zoo", "garden", "castle"),
        (
            ("guide", ("friendly", "funny", "well informed"), ("rude", "boring", "bored")),
            ("tour", ("exciting", "lively", "excellent"), ("too long", "dull", "chaotic")),
            ("shop", ("lovely", "charming", "well stocked"), ("expensive", "tiny", "messy")),
            ("entrance", ("grand", "lovely", "pretty"), ("crowded", "ugly", "shabby")),
        ),
        "visit it",
        "visited it",
        "minute",
    ),
)
OTHER: dict[Feeling, Feeling] = {"positive": "negative", "negative": "positive"}


@dataclass(frozen=True)
class Review:
    """A review, what its writer felt, and why."""

    text: str
    thing: str
    feeling: Feeling
    reason: str  # "the food was delicious"


def review(rng: Random, feeling: Feeling) -> Review:
    """Return a review: straight, or with a contrast whose second half counts."""
    kind = rng.choice(KINDS)
    thing = rng.choice(kind.things)
    (aspect, good, bad), (second, second_good, second_bad) = rng.sample(kind.aspects, 2)
    word, opposite = (good, bad) if feeling == "positive" else (bad, good)
    also = rng.choice(second_good if feeling == "positive" else second_bad)
    values = {"unit": kind.unit, "again": kind.again, "thing": thing, "used": kind.used}
    loved = rng.choice(LOVED[feeling]).format(**values)
    clause = rng.choice(CLAUSES[feeling]).format(**values)
    said, against = rng.choice(word), rng.choice(opposite)
    opinion = f"the {aspect} was {said}"
    form = rng.random()
    if form < 0.25:
        text, reason = f"The {aspect} was {against}, but {clause}.", clause
    elif form < 0.35:
        text, reason = f"The {aspect} was {against}, but the {second} was {also}. {loved}", f"the {second} was {also}"
    elif form < 0.45:
        text, reason = f"Although the {aspect} was {against}, {clause}.", clause
    elif form < 0.65:
        text, reason = f"{opinion[0].upper()}{opinion[1:]} and the {second} was {also}. {loved}", opinion
    elif form < 0.85:
        text, reason = f"{rng.choice(OPENINGS).format(**values)} The {aspect} was {said}. {loved}", opinion
    else:
        text, reason = f"{loved} The {aspect} of this {thing} was {said}.", opinion
    return Review(text, thing, feeling, reason.replace("I ", "the writer "))


def drawn(rng: Random, split: Split) -> Review:
    """Return a review of a split, positive or negative with equal chance."""
    while True:
        written = review(rng, rng.choice(FEELINGS))
        if side(_key(written)) == split:
            return written


def _key(written: Review) -> str:
    return f"review:{written.text}"


def ask(rng: Random, split: Split) -> Asked:
    """Return the question whether a review is positive or negative."""
    written = drawn(rng, split)
    template = rng.choice(QUESTION[split])
    prompt = template.format(review=written.text, thing=written.thing)

    def answers(feeling: Feeling) -> dict[str, str]:
        sentence = f"The review is {feeling}."
        return registers(rng, f"{feeling.capitalize()}.", sentence, f"{sentence} The reason is that {written.reason}.")

    bad = {"wrong": rng.choice(list(answers(OTHER[written.feeling]).values()))}
    check = check_of(prompt, "contains", (written.feeling,))
    return Asked(prompt, answers(written.feeling), check, template, (_key(written),), bad)


def ask_traditional(rng: Random, split: Split) -> tuple[str, tuple[str, ...]]:
    """Return a review as data sets print it, up to its label, and that label."""
    written = drawn(rng, split)
    return f"Review: {written.text} Label:", (str(int(written.feeling == "positive")),)


def document(rng: Random) -> str:
    """Return reviews with stars, with labels (0 negative, 1 positive), or with the word for it."""
    form = rng.random()
    return "\n".join(_rated(rng, form, drawn(rng, "seen")) for _ in range(rng.randint(2, 4)))


def _rated(rng: Random, form: float, written: Review) -> str:
    positive = written.feeling == "positive"
    if form < 0.35:
        return f"Review: {written.text} Label: {int(positive)}"
    if form < 0.65:
        stars = rng.choice((4, 5) if positive else (1, 2))
        return f"{stars} of 5 stars for this {written.thing}. {written.text}"
    if form < 0.85:
        return f"Review: {written.text} Sentiment: {written.feeling}"
    opinion = "likes" if positive else "does not like"
    return f"Somebody writes about {with_article(written.thing)}: {written.text} The writer {opinion} it."
