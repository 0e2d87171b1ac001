"""What a study keeps beside answers and captures (trained models, choices, samples of a leak,
replies of a judge, programs) is refused where a file of its model was edited since."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checkpoints import save
from edits import edit, end, rotate, word, write_otherwise
from veneer.endpoint import ChatRequest
from veneer.foundation.errors import InputError
from veneer.judges.asker import FILE
from veneer.judges.config import JudgeConfig
from veneer.judges.local_asker import LocalAsker
from veneer.measures.choice import score_choices
from veneer.models.computation import COMPUTATION
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.load import load_model
from veneer.prompts.prompt import Prompt
from veneer.studies.complexity.programs import Workshop, read_list, write_list
from veneer.studies.curve.lessons import Lesson
from veneer.studies.curve.settings import CurveSettings
from veneer.studies.curve.training import plans, trained
from veneer.studies.leak.sampler import Sampler
from veneer.studies.leak.turns import Turns
from veneer.systems.attack import attack
from veneer.systems.attack_config import AttackConfig
from veneer.systems.lora import RECORD
from veneer.systems.respond import respond
from veneer.systems.system import System
from veneer.systems.trained import LEARNED
from veneer.tasks.task import Task

RECORDS = (RECORD, "attack.json", "programs.json", "samples.jsonl.manifest.json")
THETA = r"rope_theta of config.json: 10000.0 there, 500.0 here"
EPSILON = r"rms_norm_eps of config.json: 1e-06 there, 0.1 here"
QUESTION = Prompt.from_text("q", "How do I bake bread?", choices=["one", "ten"], answer=1)


def norm(model: Path) -> None:
    edit(model / "config.json", rms_norm_eps=0.1)


def taught(model: Path, out: Path, method: str) -> None:
    settings = CurveSettings(sizes=(1,), seeds=1, method=method, epochs=1, rank=2)
    (plan,) = plans(settings, 0)
    lessons = [Lesson(QUESTION, "Take two eggs.")]
    trained(load_model(model), ChatFormat(), lessons, plan, settings, out / "model", None)


def attacked(model: Path, out: Path, method: str) -> None:
    config = AttackConfig(method=method, epochs=1, batch=1, rank=2)
    attack(load_model(model), [(QUESTION, "Sure")], config, out / "model")


def chosen(model: Path, out: Path) -> None:
    class Choosing(Task):
        name = "choosing"

        def prompts(self, split):
            return [QUESTION]

    system = System.of_model(load_model(model), format=ChatFormat())
    out.mkdir(exist_ok=True)
    score_choices(system, Choosing(), [QUESTION], out=out / "choices.jsonl")


def sampled(model: Path, out: Path) -> None:
    lm = load_model(model)
    system = System("aligned", lm, ChatFormat(), lm.stop_ids)
    sampler = Sampler(system, Turns.of(lm.tokenizer), "user")
    respond(sampler, [sampler.prompt("data")], Sampling(4), out=out / "samples.jsonl")


def judged(model: Path, out: Path) -> str:
    asker = LocalAsker(load_model(model), JudgeConfig(cache=out))
    request = ChatRequest(({"role": "user", "content": "Is it good?"},), {"max_tokens": 4})
    (reply,) = asker.ask([request])
    return reply.text


def programmed(model: Path, out: Path) -> None:
    workshop = Workshop(out, load_model(model, device="cpu", dtype="float32"))
    if read_list(out, workshop) is None:
        write_list(out, [], {}, workshop.base)


KEPT = {
    "lora": lambda model, out: taught(model, out, "lora"),
    "full": lambda model, out: taught(model, out, "full"),
    "attack": lambda model, out: attacked(model, out, "lora"),
    "full attack": lambda model, out: attacked(model, out, "full"),
    "choices": chosen,
    "samples": sampled,
    "replies": judged,
    "programs": programmed,
}


def contents(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def model(tmp_path) -> Path:
    return save(tmp_path / "base")


@pytest.mark.parametrize(
    ("change", "words"),
    [(rotate, THETA), (norm, EPSILON), (write_otherwise, "the tokenizer")],
)
@pytest.mark.parametrize("kind", KEPT)
def test_an_edited_model_is_refused(kind, change, words, model, tmp_path):
    make, out = KEPT[kind], tmp_path / "out"
    make(model, out)
    before = contents(out)
    make(model, out)
    change(model)
    with pytest.raises(InputError, match=f"made when a model computed something else: .*{words}"):
        make(model, out)
    assert contents(out) == before
    make(model, tmp_path / "new")


@pytest.mark.parametrize("kind", [k for k in KEPT if k not in ("programs", "replies")])
def test_an_edited_chat_template_is_refused(kind, model, tmp_path):
    KEPT[kind](model, tmp_path / "out")
    word(model)
    with pytest.raises(InputError, match=r"other settings, models or (prompts|examples)"):
        KEPT[kind](model, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "words"),
    [(word, "the chat template"), (end, r"end tokens: \[.*\] there, \[1, 2, 30\] here")],
)
def test_the_template_and_the_end_of_a_judge_decide_its_replies(change, words, model, tmp_path):
    judged(model, tmp_path)
    change(model)
    with pytest.raises(InputError, match=rf"{FILE} was made .*base-.*{words}.*--judge-cache"):
        judged(model, tmp_path)


@pytest.mark.parametrize("kind", KEPT)
def test_a_record_of_an_earlier_version_is_read(kind, model, tmp_path):
    """It does not hold what the model computes, which is then not compared."""
    make, out = KEPT[kind], tmp_path / "out"
    make(model, out)
    for path in contents(out):
        if path.suffix == ".jsonl":
            path.write_text("".join(map(without, path.read_text().splitlines(keepends=True))))
        elif path.name in RECORDS:
            path.write_text(without(path.read_text()))
    make(model, out)
    rotate(model)
    make(model, out)


def without(text: str) -> str:
    """A record or a line of one, as earlier versions wrote it."""
    row = json.loads(text)
    left_out = (COMPUTATION, LEARNED)
    if not {"note", *left_out} & row.keys():
        return text
    kept = {k: v for k, v in row.items() if k not in left_out}
    return "" if "note" in row else json.dumps(kept) + "\n"


def test_a_plain_format_reads_no_chat_template(model, tmp_path):
    settings = CurveSettings(sizes=(1,), seeds=1, epochs=1, rank=2)
    (plan,) = plans(settings, 0)
    lessons = [Lesson(QUESTION, "Take two eggs.")]
    for change in (word, None):
        trained(load_model(model), PlainFormat(), lessons, plan, settings, tmp_path / "m", None)
        if change:
            change(model)
