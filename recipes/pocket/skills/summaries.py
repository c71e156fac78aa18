"""Summaries in one sentence, of paragraphs written by hand and of paragraphs written from the fact tables."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from recipes.pocket.facts import Summary, animals, countries, people, summaries, upper_first
from recipes.pocket.frames import framed, phrasings
from recipes.pocket.skill import WARM_CLOSINGS, WARM_OPENINGS, Asked, Split, check_of, of_split, side
from recipes.pocket.skills.situations import CITIES, NAMES

TEXTS = (
    *("this text", "the following text", "the text below", "this short text", "the following paragraph"),
    *("the paragraph below", "this passage", "the following passage", "this notice", "the following article"),
)
ABOVE = ("this text", "the text above", "this paragraph", "the paragraph above", "this passage", "the text", "this")
SUMMARIZE = phrasings(
    plain=(
        "Please summarize the following text in one sentence: {text}",
        "Summarize the following text in one sentence: {text}",
        "Summarize this text: {text}",
        "Please sum up the following paragraph: {text}",
        "What does this text say? {text}",
        "Tell me in one sentence what this text says: {text}",
        "Give me the main point of this text: {text}",
        "{text} Please summarize this in one sentence.",
        "{text} What is the main point?",
        "Text: {text} Summary:",
        "Summarize: {text}",
        "{text} Summarize this text.",
        "Please give a short summary of this: {text}",
        "In one sentence, what does this paragraph say? {text}",
    ),
    varied=(
        *framed(
            (
                "Summarize {}: {text}",
                "Please summarize {}: {text}",
                "Please summarize {}. {text}",
                "Briefly summarize {}. {text}",
                "Summarize {} in a single sentence. {text}",
                "Summarize {} for me: {text}",
                "Hello! Please summarize {}: {text}",
                "Sum up {}: {text}",
                "Sum up {} in one sentence. {text}",
                "Shorten {} to one sentence: {text}",
                "Put {} into one sentence: {text}",
                "Say in one sentence what {} says: {text}",
                "Could you put {} into one short sentence? {text}",
                "Would you please sum up {}? {text}",
                "Give a summary of {}: {text}",
                "Give me a short summary of {}. {text}",
                "I need a summary of {}: {text}",
                "I would like a one-sentence summary of {}. {text}",
                "A summary of {}, please: {text}",
                "What is {} about? {text}",
                "What is the main point of {}? {text}",
                "What is the main idea of {}? {text}",
                "What is the gist of {}? {text}",
                "Read {} and say what matters most. {text}",
                "Read {} and summarize it. {text}",
                "Tell me briefly what {} says. {text}",
                "Please tell me the main point of {}: {text}",
                "I have no time to read {}. What does it say? {text}",
            ),
            TEXTS,
        ),
        *framed(
            (
                "{text} Summarize {} in one sentence.",
                "{text} Please summarize {}.",
                "{text} Briefly summarize {}.",
                "{text} Put {} into one sentence.",
                "{text} Give me a short summary of {}.",
                "{text} What is the main point of {}?",
                "{text} What is the main idea of {}?",
                "{text} What is {} about?",
                "{text} What does {} say?",
                "{text} Tell me in one sentence what {} says.",
                "{text} I need a summary of {}.",
                "Text: {text} Please summarize {}.",
                "Here is a text. {text} Can you say in one sentence what {} is about?",
            ),
            ABOVE,
        ),
        *("Text: {text} In one sentence:", "Text: {text} Main point:", "{text} Summary:", "{text} In short:"),
        *("{text} TL;DR", "Paragraph: {text} Summary:", "{text} In one sentence, please.", "{text} A summary, please."),
        "{text} Say that in one sentence.",
    ),
    held_out=(
        "Can you summarize this text? {text}",
        "Write a summary of this paragraph in one sentence: {text}",
        "{text} Please sum this up.",
    ),
)
CLOSED = ("library", "museum", "pool", "theater", "school", "station", "market hall", "town hall")
REPAIRS = ("the roof", "the windows", "the floor", "the heating", "the lights", "the doors")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
LOST = (
    "a red umbrella",
    "a new phone",
    "a blue scarf",
    "a wallet",
    "a silver ring",
    "a school bag",
    "a pair of gloves",
)
WHERE = ("on the bus", "in the park", "at the station", "in a cafe", "on the train", "at the market")
FINDERS = ("a driver", "a child", "a police officer", "an old man", "a waiter", "a student")
EVENTS = ("concert", "book fair", "chess game", "garden party", "spelling contest", "bicycle race", "film night")
REASONS = ("the rain", "a storm", "the heat", "a broken lamp", "a strike", "the snow")


@dataclass(frozen=True)
class Text:
    """A paragraph with its summary, a title, the words that a summary must hold, and the key by which it is split."""

    summary: Summary
    words: tuple[str, ...]
    key: str


def _about_country(rng: Random) -> Text:
    country = rng.choice(countries())
    name = upper_first(country.name)
    first = rng.choice((f"{name} is a country in {country.continent}.", f"{name} lies in {country.continent}."))
    second = rng.choice(
        (
            f"Its government sits in {country.capital}, which is the capital.",
            f"The capital is {country.capital}, where the government works.",
        )
    )
    third = rng.choice(
        ("Many visitors begin their trip there.", "There are schools, markets and museums.", "Many people work there.")
    )
    summary = f"{name} is a country in {country.continent} whose capital is {country.capital}."
    words = (country.name.removeprefix("the "), country.capital.rstrip("."))
    return _text(name, f"{first} {second} {third}", summary, words)


def _about_person(rng: Random) -> Text:
    person = rng.choice([one for one in people() if one.died])
    first = f"{person.name} was born in {person.born} and died in {person.died}."
    second = f"Today the world knows {person.name} as {person.known_for}."
    third = rng.choice(
        ("Many books tell this story.", "Students still learn about this life.", "Streets bear the name.")
    )
    summary = f"{person.name} was {person.known_for} who lived from {person.born} to {person.died}."
    return _text(person.name, f"{first} {second} {third}", summary, (person.name, str(person.born), str(person.died)))


def _about_animal(rng: Random) -> Text:
    animal = rng.choice(animals())
    plural = upper_first(animal.plural)
    first = rng.choice((f"{plural} live {animal.home}.", f"You can find {animal.plural} {animal.home}."))
    third = rng.choice(("Children like to watch them.", "There are many books about them.", "Many people admire them."))
    paragraph = f"{first} They eat {animal.food}, and they can {animal.trait}. {third}"
    summary = f"{plural} live {animal.home}, eat {animal.food} and can {animal.trait}."
    return _text(plural, paragraph, summary, (animal.plural, animal.food))


def _about_repairs(rng: Random) -> Text:
    place, city, repaired = rng.choice(CLOSED), rng.choice(CITIES), rng.choice(REPAIRS)
    first, last = sorted(rng.sample(range(len(DAYS)), 2))
    start, end = DAYS[first], DAYS[last]
    paragraph = (
        f"The {place} in {city} will be closed from {start} to {end}. Workers will repair {repaired} in that time. "
        + rng.choice(("The mayor asks for patience.", "Visitors can come back after that.", "Tickets stay valid."))
    )
    summary = f"The {place} in {city} is closed from {start} to {end} because workers repair {repaired}."
    return _text(f"Repairs in {city}", paragraph, summary, (place, city, start))


def _about_something_lost(rng: Random) -> Text:
    name, lost, where, finder = rng.choice(NAMES), rng.choice(LOST), rng.choice(WHERE), rng.choice(FINDERS)
    paragraph = (
        f"{name} lost {lost} {where} last week and looked for it everywhere. Then {finder} found it and brought it "
        + rng.choice(("to the lost and found office.", "back the next day.", f"to {name}'s house."))
        + rng.choice((f" {name} was very happy.", " It was a great relief.", " That was very kind."))
    )
    if lost.startswith("a pair"):
        paragraph = paragraph.replace("for it", "for them").replace(
            "found it and brought it", "found and returned them"
        )
        paragraph = paragraph.replace("returned them to", "took them to").replace("returned them back", "returned them")
    summary = f"{name} lost {lost} {where}, but {finder} found {'them' if lost.startswith('a pair') else 'it'}."
    return _text(f"Lost and found by {finder}", paragraph, summary, (name, lost.split()[-1], finder.split()[-1]))


def _about_event(rng: Random) -> Text:
    event, city, reason, name = rng.choice(EVENTS), rng.choice(CITIES), rng.choice(REASONS), rng.choice(NAMES)
    before, after = rng.sample(DAYS, 2)
    paragraph = (
        f"The {event} in {city} was planned for {before}. Because of {reason} it had to wait until {after}. "
        f"{name}, who planned it, said that everybody is still welcome."
    )
    summary = f"Because of {reason} the {event} in {city} moved from {before} to {after}."
    return _text(f"The {event} in {city}", paragraph, summary, (event, city, after))


WRITTEN: tuple[Callable[[Random], Text], ...] = (
    *(_about_country, _about_person, _about_animal, _about_repairs, _about_something_lost, _about_event),
)


def _text(title: str, paragraph: str, summary: str, words: tuple[str, ...]) -> Text:
    return Text(Summary(title, paragraph.replace("..", "."), summary.replace("..", ".")), words, f"text:{paragraph}")


def _by_hand(rng: Random, split: Split) -> Text:
    chosen = rng.choice(of_split(summaries(), split))
    return Text(chosen, shared_words(chosen), f"text:{chosen.title}")


def shared_words(text: Summary) -> tuple[str, ...]:
    """Return the two longest words that a summary shares with its paragraph."""
    words = set(re.findall(r"\w+", text.paragraph))
    shared = {word for word in re.findall(r"\w+", text.summary) if word in words}
    return tuple(sorted(shared, key=lambda word: (-len(word), word))[:2])


def drawn(rng: Random, split: Split) -> Text:
    """Return a paragraph of a split, one in three written by hand."""
    if rng.random() < 1 / 3 and of_split(summaries(), split):
        return _by_hand(rng, split)
    while True:
        text = rng.choice(WRITTEN)(rng)
        if side(text.key) == split:
            return text


def ask(rng: Random, split: Split) -> Asked:
    """Return a paragraph to be summarized."""
    text, other = drawn(rng, split), drawn(rng, "seen")
    template = rng.choice(SUMMARIZE[split])
    prompt = template.format(text=text.summary.paragraph)
    alike = all(word in other.summary.summary for word in text.words)
    bad = {} if alike else {"sums up something else": other.summary.summary}
    check = check_of(prompt, "contains", text.words)
    return Asked(prompt, _answers(rng, text.summary), check, template, (text.key,), bad)


def _answers(rng: Random, text: Summary) -> dict[str, str]:
    return {
        "plain": text.summary,
        "lead": f"In one sentence, the text says this: {text.summary}",
        "titled": f"{text.summary} A good title would be: {upper_first(text.title)}.",
        "warm": f"{rng.choice(WARM_OPENINGS)} {text.summary} {rng.choice(WARM_CLOSINGS)}",
    }


def document(rng: Random) -> str:
    """Return a paragraph as a notice, often with its summary; none that is held out."""
    text = drawn(rng, "seen").summary
    return rng.choice(
        (
            f"{upper_first(text.title)}\n{text.paragraph}",
            f"{upper_first(text.title)}: {text.paragraph}\nIn short: {text.summary}",
            f"{text.paragraph}\nTL;DR: {text.summary}",
            f"Text: {text.paragraph} Summary: {text.summary}",
        )
    )
