"""Open prompts: explain something to a child, write a story, a poem, a thank-you note."""

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

from recipes.pocket.facts import Animal, Topic, animals, topics, upper_first
from recipes.pocket.skill import (
    WARM_CLOSINGS,
    WARM_OPENINGS,
    Asked,
    Split,
    check_of,
    of_split,
    side,
    with_article,
)
from recipes.pocket.tables.open_prompts import (
    BEGINNINGS,
    COUPLETS,
    ENDINGS,
    EVENTS,
    EXPLAIN,
    FEELINGS,
    GIFTS,
    MORE_COUPLETS,
    NOTE,
    PEOPLE,
    PET_NAMES,
    POEM,
    SIGNED,
    STORY,
)
from recipes.pocket.words import made_up


def ask(rng: Random, split: Split) -> Asked:
    """Return a prompt for an explanation, a story, a poem or a note."""
    kinds: tuple[Callable[[Random, Split], Asked], ...] = (_explain, _story, _poem, _note)
    return rng.choices(kinds, (0.35, 0.3, 0.2, 0.15))[0](rng, split)


def _asked(
    rng: Random, prompt: str, template: str, by_length: tuple[str, str, str], expect: str, facts: tuple[str, ...] = ()
) -> Asked:
    short, plain, long = by_length
    warm = f"{rng.choice(WARM_OPENINGS)} {plain} {rng.choice(WARM_CLOSINGS)}"
    answers = {"short": short, "plain": plain, "long": long, "warm": warm}
    other = rng.choice(topics())
    bad = (
        {} if expect.lower() in _first_and_second(other).lower() else {"tells something else": _first_and_second(other)}
    )
    return Asked(prompt, answers, check_of(prompt, "contains", (expect,)), template, facts, bad)


def _explain(rng: Random, split: Split) -> Asked:
    topic = rng.choice(topics())
    template = rng.choice(EXPLAIN[split])
    end = rng.choice(("Isn't that great?", "Now you know it, too.", "Ask a grown-up to tell you more."))
    whole = _first_and_second(topic)
    by_length = (topic.first, whole, f"{whole} {end}")
    return _asked(rng, template.format(topic=topic.name), template, by_length, _key_word(topic))


def _first_and_second(topic: Topic) -> str:
    return f"{topic.first} {topic.second}"


def _key_word(topic: Topic) -> str:
    """Return the longest word of the topic that its first sentence says, or else that sentence's longest word."""
    words: list[str] = re.findall(r"\w{4,}", topic.first)
    named = [word for word in words if word.lower() in topic.name.lower().split()]
    return max(named or words, key=len)


def _story(rng: Random, split: Split) -> Asked:
    animal = _animal(rng, split)
    template = rng.choice(STORY[split])
    return _asked(
        rng, _of_animal(template, animal), template, story(rng, animal), animal.name, (f"story:{animal.name}",)
    )


def _poem(rng: Random, split: Split) -> Asked:
    animal = _animal(rng, split)
    template = rng.choice(POEM[split])
    return _asked(
        rng, _of_animal(template, animal), template, poem(rng, animal), animal.name, (f"story:{animal.name}",)
    )


def _animal(rng: Random, split: Split) -> Animal:
    """Return an animal of the split; a seen one may be made up."""
    animal: Animal = rng.choice(of_split(animals(), split))
    word = made_up(rng) if split == "seen" else None
    if word:
        animal = replace(animal, name=word, plural=f"{word}s")
    return animal


def _of_animal(template: str, animal: Animal) -> str:
    return template.format(plural=animal.plural, a=with_article(animal.name))


def story(rng: Random, animal: Animal) -> tuple[str, str, str]:
    """Return a story about an animal in one sentence, in three, and in five."""
    name = rng.choice(PET_NAMES)
    little = rng.choice(("a little", "a young", "a brave", "a small", "a shy", "a clever"))
    values = {"a": f"{little} {animal.name}", "name": name, "home": animal.home, "food": animal.food}
    begin = rng.choice(BEGINNINGS).format(**values)
    event, solution = (part.format(**values) for part in rng.choice(EVENTS))
    end = rng.choice(ENDINGS).format(**values)
    about = rng.choice((f"{name} could {animal.trait}.", f"{name} loved to eat {animal.food}."))
    short = f"{begin[:-1]} and had many friends."
    return short, f"{begin} {event} {solution}", f"{begin} {about} {event} {solution} {end}"


def poem(rng: Random, animal: Animal) -> tuple[str, str, str]:
    """Return a poem about an animal in two, four and six lines."""
    values = {"animal": animal.name, "food": animal.food, "trait": animal.trait}
    pairs = [rng.choice(COUPLETS), *rng.sample(MORE_COUPLETS, 2)]
    couplets = [upper_first("\n".join(lines).format(**values)) for lines in pairs]
    return couplets[0], "\n".join(couplets[:2]), "\n".join(couplets)


def _note(rng: Random, split: Split) -> Asked:
    while True:
        person, gift = rng.choice(PEOPLE), rng.choice(GIFTS)
        key = f"note:{person}:{gift}"
        if side(key) == split:
            break
    template = rng.choice(NOTE[split])
    return _asked(rng, template.format(person=person, gift=gift), template, note(rng, person, gift), gift, (key,))


def note(rng: Random, person: str, gift: str) -> tuple[str, str, str]:
    """Return a thank-you note in one sentence, in two, and as a letter."""
    feeling, more = rng.sample(FEELINGS, 2)
    thanks = rng.choice((f"thank you very much for {gift}.", f"many thanks for {gift}."))
    letter = f"Dear {person}, {thanks} {feeling} {more} I hope to see you soon. Yours, {rng.choice(SIGNED)}."
    return f"{upper_first(thanks)}", f"Dear {person}, {thanks} {feeling}", letter


def document(rng: Random) -> str:
    """Return a story, a poem, an explanation, a letter, or facts about animals; none that is held out."""
    kind = rng.random()
    seen = _animal(rng, "seen")
    if kind < 0.35:
        return story(rng, seen)[2]
    if kind < 0.5:
        return poem(rng, seen)[2]
    if kind < 0.75:
        topic = rng.choice(topics())
        return f"{upper_first(topic.name)}\n{_first_and_second(topic)}"
    if kind < 0.85:
        return _note(rng, "seen").registers["long"]
    return " ".join(_about(animal) for animal in rng.sample(animals(), 2))


def _about(animal: Animal) -> str:
    return f"{upper_first(animal.plural)} live {animal.home}. They eat {animal.food}, and they can {animal.trait}."
