"""A run handed to TRL and OpenRLHF: the folder trains, scores as Triptych does, and names only arguments that exist."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alignment.errors import ConfigError
from alignment.models import adapters, catalogue, loading
from alignment.models.catalogue import ModelChoice
from alignment.models.features import completion_features, feature_groups, written
from alignment.models.texts import Text
from alignment.reward.linear_file import save_linear
from alignment.reward.scorer import added_scorer, linear_scorer
from alignment.reward.settings import RewardConfig
from alignment.reward.vote_fit import LinearReward, Votes, fit_votes
from alignment.runs.settings import RunSettings
from service.hand_off import For, HandedOff, hand_off
from service.policies import ensure_live_version
from storage import database, policies
from storage.messages import one_turn
from storage.records import Policy, Ranking
from storage.version_folders import publish
from tests.service.exchanging import fill

ARGUMENTS = Path(__file__).parents[1] / "fixtures" / "openrlhf-0.11.2-arguments.txt"
PROMPT, ANSWERS = one_turn("Where is Paris?"), ("In France, dear friend!", "no.", "It is in France\n- or so")


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with votes, whose live version was trained on a linear reward model."""
    data_dir = tmp_path_factory.mktemp("data")
    db = database.file_in(data_dir)
    database.prepare(db)
    fill(db)
    ensure_live_version(db, data_dir, catalogue.resolve(ModelChoice(str(tiny_folder)), data_dir, online=False).config)
    first = policies.live_policy(db)
    assert first is not None

    def write(target: Path) -> None:
        shutil.copytree(data_dir / first.path, target, dirs_exist_ok=True)
        (target / "reward").mkdir()
        save_linear(_fitted(tiny_folder), target / "reward")

    path, sha256 = publish(data_dir / "policies", 2, write)
    relative = str(path.relative_to(data_dir))
    policies.record_policy(db, Policy(2, 1, None, relative, sha256, "candidate", {}, first.model))
    policies.serve(db, 2)
    return data_dir


def _model(tiny_folder: Path) -> tuple[Any, Any]:
    model, tokenizer = loading.load_checkpoint(tiny_folder)
    return adapters.attach(model, tiny_folder / "sft", "sft"), tokenizer


def _fitted(tiny_folder: Path) -> LinearReward:
    model, tokenizer = _model(tiny_folder)
    texts = [Text(PROMPT, answer, True) for answer in ANSWERS]
    with adapters.using(model, "sft"):
        rows = completion_features(model, tokenizer, [written(tokenizer, text) for text in texts])
    ranking = Ranking(1, PROMPT, ANSWERS, ((0,), (1, 2)), False, "human", (True,) * 3)
    return fit_votes(Votes([ranking], dict(zip(texts, rows, strict=True)), feature_groups(model)))


def _handed_off(folder: Path, tiny_folder: Path, target: Path, trainer: For) -> HandedOff:
    return hand_off(folder, ModelChoice(str(tiny_folder)), target, trainer)


def _run(folder: Path, *command: str) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_reward_model_scores_as_triptych_does(folder: Path, tiny_folder: Path, tmp_path: Path) -> None:
    made = _handed_off(folder, tiny_folder, tmp_path / "to", "openrlhf")
    assert made.reward == "a linear model on frozen features"
    texts = [Text(PROMPT, answer, ended) for answer in ANSWERS for ended in (True, False)]
    model, tokenizer = _model(tiny_folder)
    own = linear_scorer(model, tokenizer, "sft", _fitted(tiny_folder), None)
    expected = added_scorer(model, own, tokenizer.pad_id, None, RewardConfig())(
        [written(tokenizer, text) for text in texts]
    ).means.tolist()
    asked = [[text.completion, text.ended] for text in texts]
    script = (
        "import json, reward; from openrlhf_reward import MODEL, END, reward_func; "
        f"asked = {asked!r}; message = [{{'role': 'user', 'content': {PROMPT[0].content!r}}}]; "
        "chat = MODEL.scores_of_chat([message] * len(asked), [t for t, _ in asked], [e for _, e in asked]); "
        "prompt = MODEL.tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False); "
        "told = [reward_func([prompt + t + END * e], [prompt], ['']) for t, e in asked]; "
        "print(json.dumps([chat, [one['scores'] for one in told], [one['rewards'] for one in told]]))"
    )
    chat, scores, rewards = json.loads(_run(made.folder, "-c", script))
    assert chat == pytest.approx(expected, abs=1e-4)
    assert scores == pytest.approx(expected, abs=1e-4)
    penalty = RunSettings().ppo.no_end_penalty
    lessened = [score - penalty * (not text.ended) for score, text in zip(expected, texts, strict=True)]
    assert rewards == pytest.approx(lessened, abs=1e-4)


@pytest.mark.parametrize(
    "method", ["rloo", pytest.param("dpo", marks=pytest.mark.slow), pytest.param("reward", marks=pytest.mark.slow)]
)
def test_trl_takes_two_steps_from_the_folder(method: str, folder: Path, tiny_folder: Path, tmp_path: Path) -> None:
    made = _handed_off(folder, tiny_folder, tmp_path / "to", "trl")
    said = _run(made.folder, "train.py", "--method", method, "--max-steps", "2", "--cpu")
    assert "2 steps, mean loss" in said
    assert (made.folder / "out" / method / "adapter_model.safetensors").is_file()


def test_openrlhf_is_given_arguments_that_it_has(folder: Path, tiny_folder: Path, tmp_path: Path) -> None:
    made = _handed_off(folder, tiny_folder, tmp_path / "to", "openrlhf")
    known: dict[str, set[str]] = {}
    for line in ARGUMENTS.read_text().splitlines():
        module, name = line.split()
        known.setdefault(module, set()).add(name)
    script = (made.folder / "run.sh").read_text().replace("\\\n", " ")
    assert subprocess.run(["sh", "-n", made.folder / "run.sh"], check=False).returncode == 0
    for module, names in known.items():
        (line,) = (line for line in script.splitlines() if f"openrlhf.cli.{module} " in line)
        given = {word[2:] for word in shlex.split(line) if word.startswith("--") and word != "--module"}
        assert given and given <= names


def test_pairs_and_prompts_have_the_columns_that_both_read(folder: Path, tiny_folder: Path, tmp_path: Path) -> None:
    made = _handed_off(folder, tiny_folder, tmp_path / "to", "trl")
    pairs, prompts = (
        [json.loads(line) for line in (made.folder / f"{name}.jsonl").read_text().splitlines()]
        for name in ("preferences", "prompts")
    )
    assert (len(pairs), len(prompts)) == (made.pairs, made.prompts)
    assert pairs[0]["chosen"] == [{"role": "assistant", "content": "France."}]
    assert {"prompt": [{"role": "user", "content": "Where is Paris?"}]} in prompts


def test_a_folder_that_exists_is_not_written_into(folder: Path, tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names a new folder"):
        _handed_off(folder, tiny_folder, tmp_path, "trl")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match=r"^/proc/to cannot be written \([^/]*\); let --to name a new folder"):
        _handed_off(folder, tiny_folder, Path("/proc/to"), "trl")


def test_a_folder_without_votes_is_not_handed_off(tiny_folder: Path, tmp_path: Path) -> None:
    database.prepare(database.file_in(tmp_path))
    config = catalogue.resolve(ModelChoice(str(tiny_folder)), tmp_path, online=False).config
    ensure_live_version(database.file_in(tmp_path), tmp_path, config)
    with pytest.raises(ConfigError, match="there is nothing to learn from: no vote in"):
        _handed_off(tmp_path, tiny_folder, tmp_path / "to", "trl")
    assert not [path for path in tmp_path.iterdir() if path.name.lstrip(".").startswith("to")]
