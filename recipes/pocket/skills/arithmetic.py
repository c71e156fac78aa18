"""Word problems in two steps, answered with or without the reasoning."""

from dataclasses import dataclass
from random import Random

from recipes.pocket.skill import WARM_CLOSINGS, Asked, Split, check_of, registers, side
from recipes.pocket.tables.arithmetic import FIRST_NAMES, PLAIN, STEP_BY_STEP

LARGEST = 79  # of all intermediate results
MOST_CHANGED = 20  # by one step


@dataclass(frozen=True)
class Story:
    """A family of word problems; {who} has {a} {things}, then two changes, each added or taken away."""

    who: tuple[str, ...]
    things: tuple[str, ...]
    begin: str
    changes: str
    operations: str  # of the two changes: "-+"
    ask: str = "how many {things} do they have?"
    had: str = "They had {a} {things}."
    have: str = "They have {answer} {things}."


SHOP = ("The shop", "The bakery", "The market", "The store", "The supermarket")
STORIES = (
    Story(
        ("The cafeteria", "The kitchen", "The restaurant", "The canteen", "The school"),
        ("apples", "eggs", "pears", "potatoes", "oranges", "carrots", "tomatoes", "lemons"),
        "{who} had {a} {things}.",
        "If they used {b} for lunch and bought {c} more",
        "-+",
    ),
    Story(
        SHOP,
        ("cakes", "loaves", "rolls", "pies", "cookies", "bottles", "boxes", "melons"),
        "{who} had {a} {things} in the morning.",
        "If they sold {b} before noon and {c} after noon",
        "--",
        "how many {things} do they have left?",
        have="They have {answer} {things} left.",
    ),
    Story(
        FIRST_NAMES,
        ("marbles", "stickers", "coins", "shells", "cards", "stamps", "pencils", "buttons"),
        "{who} has {a} {things}.",
        "If {who} finds {b} more and gives {c} to a friend",
        "+-",
        "how many {things} does {who} have?",
        "{who} has {a} {things}.",
        "{who} has {answer} {things}.",
    ),
    Story(
        FIRST_NAMES,
        ("books", "comics", "magazines", "records", "postcards", "toys"),
        "{who} owns {a} {things}.",
        "If {who} gets {b} for a birthday and buys {c} more",
        "++",
        "how many {things} does {who} own?",
        "{who} owned {a} {things}.",
        "{who} owns {answer} {things}.",
    ),
    Story(
        ("A bus", "The train", "The tram", "A boat", "The ferry"),
        ("people", "passengers", "children", "students", "tourists"),
        "{who} leaves with {a} {things} on board.",
        "If {b} get off and {c} get on at the next stop",
        "-+",
        "how many {things} are on board?",
        "There were {a} {things}.",
        "There are {answer} {things} on board.",
    ),
    Story(
        ("The farmer", "The old farm", "The village", "My uncle", "The zoo"),
        ("cows", "sheep", "goats", "hens", "ducks", "horses", "rabbits"),
        "{who} had {a} {things}.",
        "If {b} more were born and {c} were sold",
        "+-",
        "how many {things} are there now?",
        "There were {a} {things}.",
        "There are {answer} {things} now.",
    ),
    Story(
        ("The library", "The museum", "The bookshop", "The archive"),
        ("books", "maps", "letters", "paintings", "photos", "films"),
        "{who} had {a} {things} on show.",
        "If it lent {b} and got {c} back",
        "-+",
        "how many {things} are on show now?",
        "There were {a} {things}.",
        "There are {answer} {things} on show.",
    ),
    Story(
        FIRST_NAMES,
        ("dollars", "euros", "coins", "cents", "pounds"),
        "{who} saved {a} {things}.",
        "If {who} earns {b} and then spends {c}",
        "+-",
        "how many {things} does {who} have?",
        "{who} had {a} {things}.",
        "{who} has {answer} {things}.",
    ),
    Story(
        ("A garden", "The park", "A field", "The yard"),
        ("trees", "roses", "tulips", "bushes", "flowers"),
        "{who} has {a} {things}.",
        "If the workers plant {b} in spring and {c} in autumn",
        "++",
        "how many {things} does it have?",
        "It had {a} {things}.",
        "It has {answer} {things}.",
    ),
    Story(
        ("The hotel", "The inn", "The campsite", "The hostel"),
        ("guests", "visitors", "travelers", "families"),
        "{who} had {a} {things}.",
        "If {b} left and {c} arrived",
        "-+",
        "how many {things} does it have?",
        "It had {a} {things}.",
        "It has {answer} {things}.",
    ),
    Story(
        ("The team", "The club", "The blue team", "Our class"),
        ("points", "medals", "goals", "cups"),
        "{who} had {a} {things}.",
        "If they won {b} on Saturday and {c} on Sunday",
        "++",
    ),
    Story(
        FIRST_NAMES,
        ("candies", "grapes", "nuts", "cherries", "plums", "crackers"),
        "{who} had {a} {things}.",
        "If {who} ate {b} and shared {c} with a sister",
        "--",
        "how many {things} does {who} have left?",
        "{who} had {a} {things}.",
        "{who} has {answer} {things} left.",
    ),
)


@dataclass(frozen=True)
class Sum:
    """a, then b and c added or taken away; the intermediate result and the last one."""

    a: int
    b: int
    c: int
    operations: str
    half: int
    answer: int

    @property
    def steps(self) -> tuple[str, str]:
        """Return both steps as one writes them."""
        return step(self.a, self.operations[0], self.b), step(self.half, self.operations[1], self.c)


def step(left: int, operation: str, right: int, wrong_by: int = 0) -> str:
    """Return a sum with its result: "23 - 20 = 3"."""
    return f"{left} {operation} {right} = {_result(left, operation, right) + wrong_by}"


def _result(left: int, operation: str, right: int) -> int:
    return left + right if operation == "+" else left - right


def key(a: int, b: int, c: int) -> str:
    """Return the key by which the numbers of a problem are split, whatever is done with them."""
    return f"numbers:{a},{b},{c}"


def draw(rng: Random, split: Split, operations: str) -> Sum:
    """Return numbers of a split whose results stay between 0 and 79."""
    while True:
        a, b, c = rng.randint(2, 60), rng.randint(2, MOST_CHANGED), rng.randint(2, MOST_CHANGED)
        half = _result(a, operations[0], b)
        answer = _result(half, operations[1], c)
        if side(key(a, b, c)) == split and 0 <= half <= LARGEST and 0 <= answer <= LARGEST:
            return Sum(a, b, c, operations, half, answer)


def ask(rng: Random, split: Split) -> Asked:
    """Return a word problem; three in four ask for the steps."""
    return _problem(rng, split, rng.random() < 0.75)


def ask_reasoned(rng: Random, split: Split) -> Asked:
    """Return a word problem that asks for the steps."""
    return _problem(rng, split, True)


def _problem(rng: Random, split: Split, reasoned: bool) -> Asked:
    """Return a word problem; where it asks for the steps, every register holds them."""
    story = rng.choice(STORIES)
    drawn = draw(rng, split, story.operations)
    words = {"who": rng.choice(story.who), "things": rng.choice(story.things)}
    numbers = {"a": drawn.a, "b": drawn.b, "c": drawn.c, "answer": drawn.answer}
    question = f"{story.begin} {story.changes}, {story.ask}".format(**words, **numbers)
    template = rng.choice((STEP_BY_STEP if reasoned else PLAIN)[split])
    prompt = template.format(question=question)

    def answers(half: int, answer: int) -> dict[str, str]:
        first = step(drawn.a, story.operations[0], drawn.b, half - drawn.half)
        second = step(half, story.operations[1], drawn.c, answer - _result(half, story.operations[1], drawn.c))
        had = story.had.format(**words, a=drawn.a)
        have = story.have.format(**words, answer=answer)
        if not reasoned:
            return registers(rng, f"{answer} {words['things']}.", have, f"{first} and {second}. {have}")
        return rationales(rng, f"{first}. {second}.", had, f"The answer is {answer}.", have)

    slip = rng.choice((-10, -2, -1, 1, 2, 10))
    wrong_half = drawn.half + (slip if rng.random() < 0.5 else 0)
    wrong = _result(wrong_half, story.operations[1], drawn.c) + (slip if wrong_half == drawn.half else 0)
    bad = {"wrong": rng.choice(list(answers(wrong_half, wrong).values()))} if min(wrong_half, wrong) >= 0 else {}
    expect = (*drawn.steps, f"the answer is {drawn.answer}") if reasoned else (f"{drawn.answer} {words['things']}",)
    facts = (key(drawn.a, drawn.b, drawn.c),)
    return Asked(prompt, answers(drawn.half, drawn.answer), check_of(prompt, "contains", expect), template, facts, bad)


def rationales(rng: Random, steps: str, had: str, answer: str, have: str) -> dict[str, str]:
    """Return the registers of an answer that was asked to show its steps."""
    return {
        "steps": f"{steps} {answer}",
        "rationale": f"{had} {steps} {answer}",
        "detail": f"{had} {steps} {have} {answer}",
        "warm": f"Let us think step by step! {had} {steps} {answer} {rng.choice(WARM_CLOSINGS)}",
    }


def document(rng: Random) -> str:
    """Return sums, or two exercises with their solutions; none with numbers that are held out."""
    if rng.random() < 0.6:
        return "\n".join(_single_step(rng) for _ in range(rng.randint(10, 16)))
    solved = []
    for _ in range(2):
        asked = ask(rng, "seen")
        solved.append(f"Q: {asked.prompt.removeprefix('Q: ')}\nA: {rng.choice(list(asked.registers.values()))}")
    return "\n".join(solved)


def _single_step(rng: Random) -> str:
    while True:
        left, operation, right = rng.randint(0, LARGEST), rng.choice("+-"), rng.randint(1, MOST_CHANGED)
        if 0 <= _result(left, operation, right) <= LARGEST:
            return step(left, operation, right)
