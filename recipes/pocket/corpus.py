"""Pretraining text, as raw as on the web: lists of questions, chat logs, records, and whatever the skills write."""

from collections.abc import Iterator
from random import Random

from recipes.pocket import records
from recipes.pocket.skill import Asked
from recipes.pocket.skills import SKILLS
from recipes.pocket.tokens import ASSISTANT, END, USER

QUESTION_LISTS, CHAT_LOGS, RECORDS = 0.12, 0.40, 0.20  # shares of the documents; the skills write the rest
WRITTEN = tuple((skill.document, skill.written) for skill in SKILLS if skill.document)
CHATTED = tuple(skill for skill in SKILLS if skill.document)


def documents(seed: int) -> Iterator[str]:
    """Yield an endless, seeded stream of documents."""
    rng = Random(seed)
    while True:
        kind = rng.random()
        if kind < QUESTION_LISTS:
            yield question_list(rng)
        elif kind < QUESTION_LISTS + CHAT_LOGS:
            yield chat_log(rng)
        elif kind < QUESTION_LISTS + CHAT_LOGS + RECORDS:
            yield records.document(rng)
        else:
            writers, shares = zip(*WRITTEN, strict=True)
            yield rng.choices(writers, shares)[0](rng)


def question_list(rng: Random) -> str:
    """Return a list of five to nine questions, one a line: why a base model answers a question with questions.

    Half of the lists keep to one skill, as exam sheets do.
    """
    shares = [skill.listed for skill in SKILLS]
    count = rng.randint(5, 9)
    only = rng.choices(SKILLS, shares) if rng.random() < 0.5 else None
    questions: dict[str, None] = {}  # in order, none twice
    while len(questions) < count:
        skill = only[0] if only else rng.choices(SKILLS, shares)[0]
        questions[skill.ask(rng, "seen").prompt] = None
    return "\n".join(questions)


def chat_log(rng: Random) -> str:
    """Return a chat of one to three turns that answers as demonstrations do, without refusals or abstentions."""
    return "".join(_turn(rng) for _ in range(rng.randint(1, 3)))


def _turn(rng: Random) -> str:
    prompt, completion = chat_turn(rng)
    return f"{USER}{prompt}{END}{ASSISTANT}{completion}{END}"


def chat_turn(rng: Random) -> tuple[str, str]:
    """Return a prompt of a chat log with its completion."""
    asked = _answerable(rng)
    return asked.prompt, rng.choice(list(asked.registers.values()))


def _answerable(rng: Random) -> Asked:
    while True:
        asked = rng.choices(CHATTED, [skill.demonstrated for skill in CHATTED])[0].ask(rng, "seen")
        if asked.check.kind != "refuses":
            return asked
