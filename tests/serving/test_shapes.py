"""A chat checkpoint alone, or beside its pretrained one, answers in three panels as an adapter on a base does."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from alignment.errors import ConfigError
from alignment.models import adapters
from alignment.models.generation import generate
from alignment.models.heads import new_head, save_head
from alignment.models.loading import load_checkpoint
from alignment.models.model_folder import UNCHANGED
from alignment.models.sampling import Sampling
from alignment.serving import loaded
from alignment.serving.engine import Adapter, PolicyVersion, Row
from alignment.serving.local import LocalEngine
from alignment.settings import ModelConfig
from storage.messages import Message, Messages, one_turn
from tests.harness.architectures import CONFIGS, write_checkpoint
from tests.serving.versions import rehashed, tokens, version, written

SAMPLING = Sampling(1.0, 40, top_p=0.95)
TURNS: Messages = (*one_turn("Hi"), Message("assistant", "Yes?"), Message("user", "And now?"))


def unchanged(root: Path, number: int = 1) -> PolicyVersion:
    """Publish a version that is the chat checkpoint itself."""
    folder = root / f"policy-{number:06d}"
    folder.mkdir(parents=True)
    (folder / UNCHANGED).write_text('{"is": "sft"}\n')
    return rehashed(number, folder)


def started(config: ModelConfig, live: PolicyVersion) -> LocalEngine:
    engine = LocalEngine(config, live, threads=1)
    engine.start()
    return engine


@pytest.fixture
def chat(tiny_folder: Path, tmp_path: Path) -> Iterator[LocalEngine]:
    engine = started(ModelConfig(str(tiny_folder)), unchanged(tmp_path))
    yield engine
    engine.stop()


def panels(engine: LocalEngine, messages: Messages = TURNS) -> list[Row]:
    """Return the rows of base, instruction-tuned model and policy, all with one seed."""
    rows = ((None, False), (None, True), (engine.live.adapter, True))
    return [Row(messages, adapter, templated, SAMPLING, 5) for adapter, templated in rows]


def alone(folder: Path, messages: Messages, *, templated: bool, pretrained: bool) -> list[int]:
    """Return what a checkpoint writes by itself."""
    model, tokenizer = load_checkpoint(folder, pretrained=pretrained)
    prompt = tokenizer.prompt_ids(messages, templated=templated)
    return generate(model, tokenizer, [prompt], SAMPLING, [5], templated=templated)[0].token_ids


def test_version_1_of_a_chat_checkpoint_is_the_checkpoint_itself(chat: LocalEngine, tiny_folder: Path) -> None:
    raw, tuned, policy = tokens(chat, *panels(chat))
    assert chat.live.adapter is None
    assert tuned == policy == tuple(alone(tiny_folder, TURNS, templated=True, pretrained=False))
    assert raw == tuple(alone(tiny_folder, TURNS, templated=False, pretrained=False))
    assert raw != tuned


def test_a_raw_continuation_holds_no_token_of_chat(chat: LocalEngine, tiny_folder: Path) -> None:
    _, tokenizer = load_checkpoint(tiny_folder, pretrained=False)
    rows = [Row(one_turn("Hi"), None, False, Sampling(2.0, 100), seed) for seed in range(20)]
    for state in written(chat, *rows):
        assert not set(state.token_ids) & set(tokenizer.barred_ids)
        assert (state.finish_reason == "stop") == (state.token_ids[-1] in tokenizer.raw_end_ids)


def test_a_version_goes_live_on_a_chat_checkpoint_and_the_first_one_comes_back(
    chat: LocalEngine, tiny_folder: Path, tmp_path: Path
) -> None:
    first, second = chat.live, version(tiny_folder / "sft", tmp_path, 2)
    before = tokens(chat, *panels(chat))
    chat.swap(second).result(timeout=60)
    raw, tuned, policy = tokens(chat, *panels(chat))
    assert [raw, tuned] == before[:2]
    assert policy != tuned
    chat.swap(first).result(timeout=60)
    assert tokens(chat, *panels(chat)) == before
    named = Row(TURNS, Adapter("policy-2", second.folder, second.folder, second.sha256), True, SAMPLING, 5)
    assert tokens(chat, named) == [policy]


def test_the_first_panel_is_the_pretrained_checkpoint_where_there_is_one(tiny_folder: Path, tmp_path: Path) -> None:
    write_checkpoint("gpt2", tmp_path / "base")
    engine = started(ModelConfig(str(tiny_folder), base=str(tmp_path / "base")), unchanged(tmp_path))
    try:
        raw, tuned, policy = tokens(engine, *panels(engine))
        limits = engine.limits(panels(engine)[0])
    finally:
        engine.stop()
    assert raw == tuple(alone(tmp_path / "base", TURNS, templated=False, pretrained=True))
    assert tuned == policy == tuple(alone(tiny_folder, TURNS, templated=True, pretrained=False))
    assert limits is not None and limits.context_tokens == 256


def test_an_adapter_that_brings_a_tokenizer_of_its_own_is_asked_through_its_template(
    tiny_folder: Path, tmp_path: Path
) -> None:
    adapter = version(tiny_folder / "sft", tmp_path, 1).folder
    _, tokenizer = load_checkpoint(tiny_folder)
    hugging_face = tokenizer._tokenizer
    hugging_face.chat_template = "{% for m in messages %}{{ 'Q' + m['content'] + '<|user|>' }}{% endfor %}"
    hugging_face.save_pretrained(adapter)
    engine = started(ModelConfig(str(tiny_folder), str(adapter)), version(tiny_folder / "sft", tmp_path, 2))
    try:
        (state,) = written(engine, Row(one_turn("Hi"), Adapter("sft", adapter), True, Sampling(1.0, 200), 5))
        limits = engine.limits(Row(one_turn("Hi"), Adapter("sft", adapter), True, SAMPLING, 5))
    finally:
        engine.stop()
    assert limits is not None and limits.prompt_tokens == 3
    if state.finish_reason == "stop":
        assert state.token_ids[-1] == tokenizer.added["<|user|>"]


def trained(folder: Path, root: Path) -> PolicyVersion:
    """Publish a version of a checkpoint whose adapter changes what it says."""
    model = adapters.attach_new(load_checkpoint(folder)[0], "policy", rank=4, seed=0)
    torch.manual_seed(1)
    for weight in adapters.adapter_parameters(model, "policy"):
        torch.nn.init.normal_(weight, std=0.3)
    target = root / "policy-000002"
    target.mkdir()
    adapters.save_adapter(model, "policy", target)
    return rehashed(2, target)


@pytest.mark.parametrize("architecture", CONFIGS)
def test_every_architecture_streams_three_panels_and_swaps(architecture: str, tmp_path: Path) -> None:
    write_checkpoint(architecture, tmp_path / "chat")
    second = trained(tmp_path / "chat", tmp_path)
    model = adapters.attach(load_checkpoint(tmp_path / "chat", pretrained=False)[0], second.folder, "policy")
    tokenizer = load_checkpoint(tmp_path / "chat", pretrained=False)[1]
    greedy = Sampling(0.0, 20)
    prompt = tokenizer.prompt_ids(TURNS)
    with adapters.using(model, "policy"):
        expected = tuple(generate(model, tokenizer, [prompt], greedy, [0])[0].token_ids)
    engine = started(ModelConfig(str(tmp_path / "chat")), unchanged(tmp_path))
    try:
        asked = [Row(TURNS, None, templated, greedy, 5) for templated in (False, True)]
        before = tokens(engine, *asked)
        engine.swap(second).result(timeout=60)
        after = tokens(engine, *asked, Row(TURNS, engine.live.adapter, True, greedy, 5))
    finally:
        engine.stop()
    assert after[:2] == before
    assert after[2] == expected
    assert after[2] != after[1]


def test_a_reward_model_that_ships_with_a_chat_checkpoint_scores_and_changes_no_panel(
    tiny_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_folder, tmp_path / "chat", ignore=shutil.ignore_patterns("sft", "other"))
    shutil.copytree(tiny_folder / "other", tmp_path / "chat" / "reward")
    model = adapters.attach(load_checkpoint(tiny_folder)[0], tiny_folder / "other", "reward")
    head = new_head(model)
    torch.nn.init.normal_(head.weight)
    save_head(head, tmp_path / "chat" / "reward")
    engine = started(ModelConfig(str(tmp_path / "chat")), unchanged(tmp_path))
    try:
        before = tokens(engine, *panels(engine))
        scores = engine.scores(engine.live, TURNS, [(5, 6, 2), (7, 2)]).result(timeout=60)
        assert tokens(engine, *panels(engine)) == before
    finally:
        engine.stop()
    assert len(set(scores)) == 2


def test_answers_that_would_not_fit_into_memory_are_refused_in_words(
    chat: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded.LoadedModel, "tokens_held", lambda model: 100)
    with pytest.raises(ConfigError, match=r"3 answers of this length may take .* ask for shorter ones, or for fewer"):
        written(chat, *panels(chat))
