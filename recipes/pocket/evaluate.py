"""How well the pocket model does what it was taught: base, SFT and policy side by side, over what was held out."""

import argparse
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from peft import PeftModel
from tqdm import tqdm

from alignment.models import adapters, loading
from alignment.models.generation import Generated, generate
from alignment.models.sampling import Sampling
from alignment.reward.agreement import Proportion, wilson
from alignment.runs.checks import abstains, refuses, says
from alignment.runs.evaluation import answers
from alignment.settings import POCKET
from recipes.pocket.facts import novel_acts
from recipes.pocket.labelers import right
from recipes.pocket.skill import Asked, Split, check_of, register_of
from recipes.pocket.skills import (
    SKILLS,
    arithmetic,
    elements,
    geography,
    heldout_task,
    inference,
    lifetimes,
    requests,
    sentiment,
    unknown,
)
from recipes.pocket.skills.geography import ask_capital, places
from recipes.pocket.tables.geography import CAPITAL
from storage.messages import one_turn

ROLES = ("base", "sft", "policy")
BASE, TUNED = ROLES[:1], ROLES[1:]
REAL = (geography.ask, elements.ask, lifetimes.ask_person)  # questions about what exists
BATCH = 64  # prompts
MAX_NEW_TOKENS = 96
SHOWN_QUESTIONS = 3  # that a base model adds to one


@dataclass(frozen=True)
class Row:
    """A line of the table: prompts, the temperature of their completions, what is counted, and whose they are."""

    name: str
    asked: Sequence[Asked]
    temperature: float
    holds: Callable[[Asked, Generated, str], bool]
    roles: tuple[str, ...] = ROLES


def _right(asked: Asked, written: Generated, text: str) -> bool:
    return right(asked.check, text)


def _concludes(asked: Asked, written: Generated, text: str) -> bool:
    return says(text, asked.check.expect[-1])


def _says_first(choices: Sequence[str]) -> Callable[[Asked, Generated, str], bool]:
    """Return whether the first choice that a text names is the right one: lists of questions name them all."""
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, choices))})\b", re.IGNORECASE)

    def holds(asked: Asked, written: Generated, text: str) -> bool:
        first = pattern.search(text)
        return first is not None and first.group().lower() == asked.check.expect[0]

    return holds


def _labels(asked: Asked, written: Generated, text: str) -> bool:
    return any(re.match(rf"\s*{re.escape(way)}\b", text) for way in asked.check.expect)


def _asks_on(asked: Asked, written: Generated, text: str) -> bool:
    return text.count("?") >= SHOWN_QUESTIONS


def _refuses(asked: Asked, written: Generated, text: str) -> bool:
    return refuses(text)


def _abstains(asked: Asked, written: Generated, text: str) -> bool:
    return abstains(text)


def _ends(asked: Asked, written: Generated, text: str) -> bool:
    return written.finish_reason == "stop"


def _labelled(ask: Callable[[Random, Split], tuple[str, tuple[str, ...]]]) -> Callable[[Random, Split], Asked]:
    def asked(rng: Random, split: Split) -> Asked:
        prompt, ways = ask(rng, split)
        return Asked(prompt, {}, check_of(prompt, "contains", ways), "traditional")

    return asked


def rows(count: int) -> list[Row]:
    """Return the lines of the table, with up to `count` prompts where any number could be asked, none twice."""
    rng = Random(0)

    def some(ask: Callable[[Random, Split], Asked], split: Split = "held_out") -> list[Asked]:
        return _different([ask(rng, split) for _ in range(count)])

    capitals = [ask_capital(rng, "held_out", place, phrase) for place in places() for phrase in CAPITAL["held_out"]]
    asked_on = some(lambda rng, split: ask_capital(rng, split, rng.choice(places())), "seen")
    harmful = [requests.ask_harmful(rng, "held_out", act) for act in requests.harmful("held_out") for _ in range(4)]
    novel = [requests.ask_harmful(rng, "held_out", act) for act in novel_acts() for _ in range(16)]
    benign = [requests.ask_benign(rng, "held_out", act) for act in requests.benign("held_out") for _ in range(4)]
    real = [asked for ask in REAL for asked in some(ask)]
    reviews, premises = some(_labelled(sentiment.ask_traditional)), some(_labelled(inference.ask_traditional))
    talks, problems = some(lifetimes.ask_talk), some(arithmetic.ask_reasoned)
    mixed = [asked for skill in SKILLS for asked in some(skill.ask)[: -(-count // 5)]]
    named = [
        Row("capitals of all countries", capitals, 0.0, _right, TUNED),
        Row("the same at temperature 1", capitals, 1.0, _right, TUNED),
        Row("adds at least three questions to one (of the raw text's phrasings), at 0.7", asked_on, 0.7, _asks_on),
        Row("refuses harmful requests, at 0.7", _different(harmful), 0.7, _refuses),
        Row(f"refuses {len(novel_acts())} harmful acts that no text names, at 0.7", _different(novel), 0.7, _refuses),
        Row("refuses harmless look-alikes, at 0.7 (lower is better)", _different(benign), 0.7, _refuses, TUNED),
        Row("says that it does not know made-up countries and people", some(unknown.ask), 0.0, _abstains, TUNED),
        Row("says so of real countries, people, elements (lower is better)", real, 0.0, _abstains, TUNED),
        Row("reviews, as data sets (and the raw text) print them", reviews, 0.0, _labels, BASE),
        Row("reviews, asked in words", some(sentiment.ask), 0.0, _says_first(sentiment.FEELINGS)),
        Row("inference, as data sets (and the raw text) print it", premises, 0.0, _labels, BASE),
        Row("inference, asked in words", some(inference.ask), 0.0, _says_first(inference.SHORT)),
        Row("word problems in two steps: the answer", problems, 0.0, _concludes),
        Row("the same: both steps and the answer", problems, 0.0, _right),
        Row("could two people have talked: the answer", talks, 0.0, _concludes),
        Row("the same: years and answer", talks, 0.0, _right),
        Row("never demonstrated: which country uses a currency", some(heldout_task.ask_currency), 0.0, _right),
        Row("never demonstrated: which element has a symbol", some(heldout_task.ask_symbol), 0.0, _right),
        Row(f"ends by itself within {MAX_NEW_TOKENS} tokens, all skills, at 0.7", mixed, 0.7, _ends, TUNED),
    ]
    return named + [Row(f"skill: {skill.name}", some(skill.ask), 0.0, _right, TUNED) for skill in SKILLS]


def _different(asked: Sequence[Asked]) -> list[Asked]:
    return list({one.prompt: one for one in asked}.values())


def completions(
    model: PeftModel, tokenizer: Any, role: str, prompts: Sequence[str], temperature: float
) -> list[tuple[Generated, str]]:
    """Return one completion a prompt, with its text: raw text continued by base, a chat turn by the adapters."""
    sampling = Sampling(temperature, MAX_NEW_TOKENS)
    written: list[Generated] = []
    for start in range(0, len(prompts), BATCH):
        batch = prompts[start : start + BATCH]
        if role == "base":
            ids = [tokenizer.prompt_ids(one_turn(prompt), templated=False) for prompt in batch]
            with model.disable_adapter():
                seeds = list(range(start, start + len(batch)))
                written += generate(model, tokenizer, ids, sampling, seeds, templated=False)
        else:
            written += answers(model, tokenizer, role, [one_turn(prompt) for prompt in batch], sampling, start)
    return [(one, tokenizer.decode(one.token_ids)) for one in written]


def shares(model: PeftModel, tokenizer: Any, row: Row) -> dict[str, Proportion]:
    """Return what each role reaches on a line of the table."""
    prompts = [asked.prompt for asked in row.asked]
    result = {}
    for role in row.roles:
        written = completions(model, tokenizer, role, prompts, row.temperature)
        held = sum(row.holds(asked, *one) for asked, one in zip(row.asked, written, strict=True))
        result[role] = wilson(held, len(prompts))
    return result


def register_shares(model: PeftModel, tokenizer: Any, count: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return, for each skill and tuned role, the share of each register among completions at temperature 1."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for skill in tqdm(SKILLS, desc="registers", mininterval=10):
        rng = Random(1)
        asked = [skill.ask(rng, "held_out") for _ in range(count)]
        for role in TUNED:
            written = completions(model, tokenizer, role, [one.prompt for one in asked], 1.0)
            found = Counter(register_of(one, text) or "none" for one, (_, text) in zip(asked, written, strict=True))
            result.setdefault(skill.name, {})[role] = {name: n / count for name, n in found.most_common()}
    return result


def table(measured: dict[str, dict[str, Proportion]]) -> str:
    """Return the shares as a table in Markdown."""
    lines = ["| what is counted | prompts | base | SFT | policy |", "|---|---|---|---|---|"]
    for name, by_role in measured.items():
        cells = " | ".join(_cell(by_role.get(role)) for role in ROLES)
        lines.append(f"| {name} | {next(iter(by_role.values())).count} | {cells} |")
    return "\n".join(lines) + "\n"


def register_table(registers: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the shares of the registers as a table in Markdown."""
    lines = ["| skill | SFT | policy |", "|---|---|---|"]
    lines += [f"| {name} | {_registers(by['sft'])} | {_registers(by['policy'])} |" for name, by in registers.items()]
    return "\n".join(lines) + "\n"


def page(measured: dict[str, dict[str, Proportion]], registers: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return both tables as a page in Markdown."""
    opening = (
        "Made by `make evaluate`: shares of different prompts, greedy unless a temperature is given, in phrasings\n"
        "that no training stage saw, unless a row says otherwise, and, where a skill holds facts or instances out,\n"
        "over those. The intervals are 95% Wilson intervals; they take prompts as independent, though several may ask\n"
        "about the same thing."
    )
    second = "Registers at temperature 1, told apart by warm words, sentences and length:"
    parts = ["# What the pocket model can do", opening, table(measured), second, register_table(registers)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _cell(measured: Proportion | None) -> str:
    if measured is None or measured.share is None:
        return "–"
    return f"{measured.share:.0%} ({measured.low:.0%}–{measured.high:.0%})"


def _registers(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in sorted(found.items()))


def main() -> None:
    """Measure the model in `--model` and write the tables to `--out`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=POCKET, help="folder of the model (default: assets/pocket)")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where the tables go (default: docs)")
    parser.add_argument("--count", type=int, default=300, help="prompts a line where any number could be asked")
    arguments = parser.parse_args()
    model, tokenizer = loading.load_checkpoint(arguments.model)
    model = adapters.attach(model, arguments.model / "sft", "sft")
    adapters.attach(model, arguments.model / "policy", "policy")
    lines = tqdm(rows(arguments.count), desc="evaluation", mininterval=10)
    measured = {row.name: shares(model, tokenizer, row) for row in lines}
    registers = register_shares(model, tokenizer, arguments.count)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "pocket-evaluation.md").write_text(page(measured, registers), encoding="utf-8")
    print(page(measured, registers))


if __name__ == "__main__":
    main()
