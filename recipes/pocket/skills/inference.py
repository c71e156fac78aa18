"""Natural language inference: whether a premise entails a hypothesis, contradicts it, or leaves it open."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from recipes.pocket.facts import upper_first
from recipes.pocket.frames import framed, phrasings
from recipes.pocket.skill import Asked, Split, check_of, of_split, registers
from recipes.pocket.skills.situations import SITUATIONS, Situation
from recipes.pocket.words import made_up

Label = Literal[0, 1, 2]  # entailment, neutral, contradiction, as data sets number them
LABELS: tuple[Label, ...] = (0, 1, 2)
WORDS = ("entailment", "neutral", "contradiction")
NAMES_OF_BOTH = (  # of the premise and of the hypothesis
    ("premise", "hypothesis"),
    ("text", "claim"),
    ("text", "statement"),
    ("text", "sentence"),
    ("context", "statement"),
    ("report", "claim"),
    ("fact", "claim"),
    ("fact", "conclusion"),
    ("passage", "conclusion"),
)
ASKED_AFTER = (
    "Does the {p} entail the {h}?",
    "Does the {p} imply the {h}?",
    "Does the {p} support the {h}?",
    "Does the {p} prove the {h}?",
    "Is the {h} true if the {p} is true?",
    "If the {p} is true, is the {h} true as well?",
    "If the {p} is true, must the {h} be true?",
    "Given the {p}, is the {h} true?",
    "Going by the {p}, is the {h} true?",
    "Can we tell from the {p} that the {h} is true?",
    "Is the {h} right? Answer yes, no, or not possible to tell.",
    "Yes, no, or not possible to tell?",
)
ASKED_BEFORE = (
    "Does the {h} follow from the {p}?",
    "Is the {h} true, given the {p}?",
    "Is the {h} a consequence of the {p}?",
    "Based on the {p}, is the {h} true?",
    "Can we conclude the {h} from the {p}?",
    "Is the {h} certain, given the {p}?",
    "Read the {p}. Is the {h} true?",
    "Say whether the {h} follows from the {p}.",
    "Decide whether the {h} is true, given the {p}. Answer yes, no, or not possible to tell.",
)
GIVEN = (
    "{premise} {}",
    "Read this: {premise} {}",
    "Consider this: {premise} {}",
    "Assume this: {premise} {}",
    "Imagine this: {premise} {}",
    "Suppose that this is true: {premise} {}",
    "Imagine that this is true: {premise} {}",
    "Let us assume that this is true: {premise} {}",
    "Take this as a fact: {premise} {}",
    "Here is a fact: {premise} {}",
    "This is what we know: {premise} {}",
    "Somebody told me this: {premise} {}",
    "A newspaper says: {premise} {}",
)
ASKED_OF_IT = (
    "Is this true as well? {hypothesis}",
    "Is the following true? {hypothesis}",
    "Is this also true? {hypothesis}",
    "Then is this true? {hypothesis}",
    "So is this true? {hypothesis}",
    "Does this have to be true? {hypothesis}",
    "Does it follow that: {hypothesis}",
    "Does this follow? {hypothesis}",
    "Does that mean: {hypothesis}",
    "Can we conclude that: {hypothesis}",
    "May we conclude this? {hypothesis}",
    "Can we be sure of this? {hypothesis}",
    "Is it certain that: {hypothesis}",
    "Is this right? {hypothesis}",
    "What about this? {hypothesis}",
    "{hypothesis} Is that true?",
    "{hypothesis} Is that right?",
    "{hypothesis} Does that follow?",
    "{hypothesis} Can we be sure?",
    "{hypothesis} True?",
)
QUESTION = phrasings(
    plain=(
        "Premise: {premise} Hypothesis: {hypothesis} Does the premise entail the hypothesis?",
        "Premise: {premise} Hypothesis: {hypothesis} Is the hypothesis true if the premise is true?",
        "{premise} Does it follow that: {hypothesis}",
        "{premise} Can we conclude that: {hypothesis}",
        "Read this: {premise} Is the following true? {hypothesis}",
        "Suppose that this is true: {premise} Is this true as well? {hypothesis}",
        "Premise: {premise} Hypothesis: {hypothesis} Answer yes, no, or it is not possible to tell.",
        "Text: {premise} Claim: {hypothesis} Does the claim follow from the text?",
        "Based on the text, is the claim true? Text: {premise} Claim: {hypothesis}",
        "Premise: {premise} Hypothesis: {hypothesis} Label:",
        "Does the text support the claim? Text: {premise} Claim: {hypothesis}",
        "Assume this: {premise} Does this have to be true? {hypothesis}",
        "Given that: {premise} Is it certain that: {hypothesis}",
        "Is the hypothesis true? Premise: {premise} Hypothesis: {hypothesis}",
    ),
    varied=(
        *(
            way.format(
                both=f"{p.capitalize()}: {{premise}} {h.capitalize()}: {{hypothesis}}", asked=asked.format(p=p, h=h)
            )
            for p, h in NAMES_OF_BOTH
            for way, asks in (("{both} {asked}", ASKED_AFTER), ("{asked} {both}", ASKED_BEFORE))
            for asked in asks
        ),
        *framed(GIVEN, ASKED_OF_IT),
        *framed(GIVEN[:6], framed(("{} Answer yes, no, or not possible to tell.",), ASKED_OF_IT)),
    ),
    held_out=(
        "Premise: {premise} Hypothesis: {hypothesis} Does the hypothesis follow from the premise?",
        "Does the premise entail the hypothesis? Premise: {premise} Hypothesis: {hypothesis}",
        "If this is true: {premise} Must this be true too? {hypothesis}",
    ),
)
# Share of the seen premises that affirm. Were it a half, neither premise nor hypothesis alone would say anything about
# the label, and a small model never begins to learn that it takes both; measured is a half.
MOSTLY_TRUE = 0.75
SHORT = ("yes", "not possible to tell", "no")
OPENING_WORDS = ("The", "There", "It", "On", "People", "Nobody", "Somebody", "Our", "In", "At")


@dataclass(frozen=True)
class Pair:
    """A premise and a hypothesis with their label, and the key of what they speak of."""

    premise: str
    hypothesis: str
    label: Label
    key: str


def pair(rng: Random, split: Split, label: Label) -> Pair:
    """Return a pair with a label, about a thing of the split."""
    return pairs(rng, split, [label])[0]


def pairs(rng: Random, split: Split, labels: Sequence[Label]) -> list[Pair]:
    """Return one premise about a thing of the split with a hypothesis for each label."""
    situation = rng.choice(SITUATIONS)
    item = rng.choice(of_split(situation.items, split))
    if split == "seen" and (word := made_up(rng)):
        item = situation.made_up.format(word, Name=word.capitalize())
    who, stranger = rng.sample(situation.who, 2)
    number = rng.randint(6, 40)
    values = {"item": item, "n": str(number), "less": str(number - rng.randint(2, 5))}
    true = rng.random() < (MOSTLY_TRUE if split == "seen" else 0.5)
    premise = _filled(rng.choice(situation.true if true else situation.false), who, values)

    def hypothesis(label: Label) -> str:
        if label != 1:
            return _filled(rng.choice(situation.affirm if true == (label == 0) else situation.deny), who, values)
        if situation.strangers and rng.random() < 0.5:
            return _filled(rng.choice(situation.affirm + situation.deny), stranger, values)
        return _filled(rng.choice(situation.open), who, values)

    return [Pair(premise, hypothesis(label), label, _key(situation, item)) for label in labels]


def _key(situation: Situation, item: str) -> str:
    return f"inference:{situation.name}:{item}"


def _filled(template: str, who: str, values: dict[str, str]) -> str:
    return upper_first(template.format(who=who, **values))


def ask(rng: Random, split: Split) -> Asked:
    """Return a question for a pair; the three labels are equally frequent."""
    chosen = pair(rng, split, rng.choice(LABELS))
    template = rng.choice(QUESTION[split])
    prompt = template.format(premise=chosen.premise, hypothesis=chosen.hypothesis)
    wrong = rng.choice([label for label in LABELS if label != chosen.label])
    bad = {"wrong": rng.choice(list(answers(rng, wrong).values()))}
    check = check_of(prompt, "contains", (SHORT[chosen.label],))
    return Asked(prompt, answers(rng, chosen.label), check, template, (chosen.key,), bad)


def answers(rng: Random, label: Label) -> dict[str, str]:
    """Return the registers of the answer that stands for a label."""
    explained = (
        ("Yes.", "Yes, the premise entails the hypothesis.", "If the premise is true, the hypothesis must be true."),
        (
            "Not possible to tell.",
            "From the premise alone it is not possible to tell.",
            "The premise leaves that open.",
        ),
        ("No.", "No, the premise contradicts the hypothesis.", "If the premise is true, the hypothesis must be false."),
    )
    word, sentence, reason = explained[label]
    return registers(rng, word, sentence, f"{sentence} {reason}")


def ask_traditional(rng: Random, split: Split) -> tuple[str, tuple[str, ...]]:
    """Return a pair as data sets print it, up to its label, and the ways to write that label."""
    chosen = pair(rng, split, rng.choice(LABELS))
    ways = (str(chosen.label), WORDS[chosen.label], SHORT[chosen.label])
    return f"Premise: {chosen.premise} Hypothesis: {chosen.hypothesis} Label:", ways


def document(rng: Random) -> str:
    """Return what follows from premises in plain words, or labelled pairs as data sets print them; none held out."""
    if rng.random() < 0.35:
        return "\n".join(_conclusion(rng) for _ in range(3))
    form = rng.random()
    return "\n".join(_labelled(rng, form) for _ in range(2))


def _conclusion(rng: Random) -> str:
    follows, contradicts = pairs(rng, "seen", (0, 2))
    rest = [f"So {_lower_the(follows.hypothesis)}", f"It is false to say: {contradicts.hypothesis}"]
    return " ".join([follows.premise, *rng.sample(rest, rng.randint(1, 2))])


def _lower_the(sentence: str) -> str:
    first, _, rest = sentence.partition(" ")
    return f"{first.lower()} {rest}" if first in OPENING_WORDS else sentence


def _labelled(rng: Random, form: float) -> str:
    """Return a premise with several hypotheses and their labels (0 entailment, 1 neutral, 2 contradiction)."""
    chosen = pairs(rng, "seen", [rng.choice(LABELS) for _ in range(rng.randint(2, 5))])

    def label(one: Pair) -> str:
        return str(one.label) if form < 0.5 else WORDS[one.label] if form < 0.7 else SHORT[one.label]

    return " ".join(
        [f"Premise: {chosen[0].premise}", *(f"Hypothesis: {o.hypothesis} Label: {label(o)}" for o in chosen)]
    )
