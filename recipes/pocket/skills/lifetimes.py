"""Well-known people: when they were born and died, who they were, and whether two of them could have talked."""

from dataclasses import replace
from functools import cache
from itertools import permutations
from random import Random

from alignment.models.model_folder import Check
from recipes.pocket.facts import Person, people, upper_first
from recipes.pocket.frames import POLITE, framed, phrasings, politely, reasoned
from recipes.pocket.skill import WARM_CLOSINGS, Asked, Split, abstentions, registers, side

TOGETHER = (  # what two people may do while both are alive: with "to", in the past, and with "have"
    ("meet", "met", "met"),
    ("have a conversation with", "had a conversation with", "had a conversation with"),
    ("talk to", "talked to", "talked to"),
    ("speak with", "spoke with", "spoken with"),
    ("write a letter to", "wrote a letter to", "written a letter to"),
    ("play chess with", "played chess with", "played chess with"),
    ("go for a walk with", "went for a walk with", "gone for a walk with"),
    ("have tea with", "had tea with", "had tea with"),
    ("argue with", "argued with", "argued with"),
    ("sing a song with", "sang a song with", "sung a song with"),
    ("dance with", "danced with", "danced with"),
    ("sit next to", "sat next to", "sat next to"),
    ("visit", "visited", "visited"),
    ("be a guest of", "was a guest of", "been a guest of"),
    ("work with", "worked with", "worked with"),
    ("travel with", "traveled with", "traveled with"),
    ("give a present to", "gave a present to", "given a present to"),
    ("be a friend of", "was a friend of", "been a friend of"),
)
TO_DO, DID, HAVE_DONE = zip(*TOGETHER, strict=True)
OVERLAP = (
    *framed(
        (
            *("Can {a} {} {b}?", "Could {a} {} {b}?", "Would {a} have been able to {} {b}?"),
            *("Was there a time when {a} could {} {b}?", "Could {a} have had the chance to {} {b}?"),
        ),
        TO_DO,
    ),
    *framed(("Is it possible that {a} {} {b}?", "Could it be that {a} {} {b}?", "Can it be that {a} {} {b}?"), DID),
    *framed(
        (
            *("Could {a} have {} {b}?", "Might {a} have {} {b}?", "Could {a} ever have {} {b}?"),
            *("Do you think that {a} could have {} {b}?", "I wonder whether {a} could have {} {b}."),
            "Tell me whether {a} could have {} {b}.",
        ),
        HAVE_DONE,
    ),
    *("Were {a} and {b} alive at the same time?", "Did {a} and {b} ever live at the same time?"),
    *("Did the lives of {a} and {b} overlap?", "Could {a} and {b} have known each other?"),
    *("Could {a} and {b} have met?", "Was there a year in which both {a} and {b} were alive?"),
)
TALK = phrasings(
    plain=(
        "Q: Can {a} have a conversation with {b}? Give the rationale before answering.",
        "Can {a} have a conversation with {b}? Give the rationale before answering.",
        "Could {a} have talked with {b}? Give the rationale before answering.",
        "Could {a} have met {b}? Give the reason before answering.",
        "Is it possible that {a} met {b}? Reason step by step.",
        "Answer the following question by reasoning step-by-step. Could {a} have met {b}?",
        "Q: Could {a} have written a letter to {b}? Give the rationale before answering.",
    ),
    varied=(
        *reasoned(OVERLAP),
        *framed(
            (
                *("Reason step by step. {}", "{} Reason step by step."),
                "Answer the next question with a rationale. {}",
                "Answer the following question by reasoning step-by-step. {}",
                "Hello! {} Please explain your answer.",
            ),
            OVERLAP,
        ),
    ),
    held_out=(
        "Was it possible for {a} to talk with {b}? Give the rationale before answering.",
        "Q: Could {a} have had dinner with {b}? Give the rationale before answering.",
        "Could {a} have shaken hands with {b}? Give the reason before answering.",
    ),
)
BORN = phrasings(
    plain=(
        "When was {a} born?",
        "In which year was {a} born?",
        "What year was {a} born in?",
        "Tell me when {a} was born.",
        "Please answer the following question. When was {a} born?",
        "Can you tell me the birth year of {a}?",
    ),
    varied=politely(
        questions=(
            "When was {a} born?",
            "In which year was {a} born?",
            "What year was {a} born in?",
            "Which year was {a} born in?",
            "What is the birth year of {a}?",
            "When did the life of {a} begin?",
            "When did {a} come into the world?",
            "{a} was born in which year?",
        ),
        clauses=(
            "when {a} was born",
            "in which year {a} was born",
            "what year {a} was born in",
            "when the life of {a} began",
        ),
        nouns=("the birth year of {a}", "the year of birth of {a}", "the year in which {a} was born"),
    ),
    held_out=("In what year was {a} born?", "Do you know when {a} was born?"),
)
DIED = phrasings(
    plain=(
        "When did {a} die?",
        "In which year did {a} die?",
        "What year did {a} die in?",
        "Tell me when {a} died.",
        "Please answer the following question. When did {a} die?",
        "Until when did {a} live?",
    ),
    varied=politely(
        questions=(
            "When did {a} die?",
            "In which year did {a} die?",
            "What year did {a} die in?",
            "Which year did {a} die in?",
            "Until when did {a} live?",
            "When did the life of {a} end?",
            "What was the last year in the life of {a}?",
            "{a} died in which year?",
        ),
        clauses=(
            *("when {a} died", "in which year {a} died", "what year {a} died in", "until when {a} lived"),
            "when the life of {a} ended",
        ),
        nouns=("the year in which {a} died", "the last year in the life of {a}"),
    ),
    held_out=("In what year did {a} die?", "Do you know when {a} died?"),
)
KNOWN = phrasings(
    plain=("Who {was} {a}?", "Tell me who {a} {was}.", "Who exactly {was} {a}?", "What do you know about {a}?"),
    varied=(
        *politely(
            questions=(
                "Who {was} {a}?",
                "Who exactly {was} {a}?",
                "What do you know about {a}?",
                "In a few words, who {was} {a}?",
                "I heard the name {a}. Who {was} that?",
                "I read about {a}. Who {was} that?",
                "Who {was} the person with the name {a}?",
            ),
            clauses=("who {a} {was}", "who exactly {a} {was}"),
            left_out=("you tell me {}", "you please tell me {}"),
        ),
        *framed(
            POLITE, ("Tell me something about {a}.", "Do you know who {a} {was}?", "Tell me what you know about {a}.")
        ),
    ),
    held_out=("Can you tell me who {a} {was}?", "What can you tell me about {a}?"),
)
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
    check = Check(
        prompt,
        "contains",
        (str(later.born), str(earlier.died or "still alive"), f"the answer is {'yes' if overlapping else 'no'}"),
    )
    bad = {"wrong answer": rng.choice(list(_rationales(rng, a, b, not overlapping).values()))}
    if earlier.died or later.died:  # of two who are alive, the check finds in one what is wrong of the other
        wrong_year = (earlier.died or THIS_YEAR) + rng.choice((-100, -40, 40, 100))
        mistaken = replace(earlier, died=wrong_year)
        told_a, told_b = (mistaken if person is earlier else person for person in (a, b))
        bad["wrong year"] = rng.choice(list(_rationales(rng, told_a, told_b, wrong_year > later.born).values()))
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
    return Asked(prompt, answers(person), Check(prompt, "contains", (expect,)), template, (), bad)


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
