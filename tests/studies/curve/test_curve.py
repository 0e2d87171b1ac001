"""The study from end to end on the embedded base, its page, resuming, and bad input."""

from __future__ import annotations

import json
import shutil

import pytest

from veneer.cli.main import main
from veneer.foundation.errors import InputError
from veneer.foundation.results import Results
from veneer.imports.examples import Example
from veneer.models.formats import ChatFormat
from veneer.models.load import load_model
from veneer.report.render import render
from veneer.studies.curve.lessons import Lessons, shuffled
from veneer.studies.curve.settings import CurveConfig, CurveSettings
from veneer.studies.curve.study import CurveModels, curve
from veneer.studies.curve.training import plans
from veneer.studies.curve.words import finding
from veneer.systems.respond import respond
from veneer.systems.system import System
from veneer.tasks.registry import chosen_tasks, get_task

SETTINGS = CurveSettings(sizes=(0, 4, 12), seeds=2, rate=3e-3, rank=4, epochs=1, veneers=True)
CONFIG = CurveConfig(test_prompts=12, train_prompts=12, max_new_tokens=16, k=16)


def models():
    return CurveModels(load_model("lab:base", device="cpu", dtype="float32"))


def run(out, settings=SETTINGS, config=CONFIG):
    return curve(models, chosen_tasks("lab-sums", None), out, settings, config)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("curve") / "study"
    run(out)
    return out


def test_size_0_is_base(folder):
    base = models().base
    task = get_task("lab-sums")
    answers = respond(
        System("base", base, ChatFormat(), base.stop_ids),
        task.prompts("test")[:12],
        CONFIG.sampling(task),
        stop_strings=task.stop,
    )
    path = folder / "runs" / "tuned-0.seed-0" / "lab-sums.jsonl"
    stored = [json.loads(line) for line in path.read_text().splitlines()]
    assert [r["token_ids"] for r in stored] == [list(a.token_ids) for a in answers]
    assert not (folder / "runs" / "tuned-0.seed-0" / "model").exists()


def test_rows_hold_every_size_seed_and_class(folder):
    rows = Results.read(folder / "results.jsonl")
    classes = [r for r in rows if r.metric.startswith("class_") and r.split == "test"]
    for size in (0, 4, 12):
        own = [r for r in classes if r.system == f"tuned-{size}"]
        assert len(own) == 8 and sum(r.value for r in own) == pytest.approx(1)
        (style,) = rows.where(metric="style_rate", system=f"tuned-{size}", split="test")
        (wrong,) = rows.where(metric="style_error_rate", system=f"tuned-{size}", split="test")
        assert style.value + wrong.value == pytest.approx(1) and style.n == 12
        assert style.low < style.high and style.system_id.get("examples") == size
    seeds = [r.value for s in (0, 1) for r in rows.where(split=f"seed:{s}", metric="style_rate")]
    (mean,) = rows.where(metric="style_rate", system="tuned-12", split="test")
    assert len(seeds) == 4 and mean.value == pytest.approx((seeds[1] + seeds[3]) / 2)
    (family,) = rows.where(metric="curve_family", of="style_rate")
    assert family.value is None and family.fact("held_out") == {} and family.note


def test_one_reason_of_all_curves_is_said_once(folder):
    sentences = finding(Results.read(folder / "results.jsonl"))
    reasons = [s for s in sentences if "too few sizes" in s]
    assert len(sentences) > 2 and reasons == [
        "The shape of no curve is determined: there are too few sizes."
    ]


def test_the_surface_by_number_of_examples(folder):
    rows = Results.read(folder / "results.jsonl")
    for size in (4, 12):
        (share,) = rows.where(metric="kl_recovered", system=f"veneer-of-tuned-{size}")
        assert share.value <= 1 and share.fact("seeds") == 2
        assert share.n == 1 and share.low is None  # one report prompt has no interval
        assert rows.where(metric="portion", of="style_rate", system=f"veneer-of-tuned-{size}")


def test_a_killed_run_ends_with_the_same_rows_and_bytes(folder, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    adapter = again / "runs" / "tuned-12.seed-1" / "model"
    before = (adapter / "adapter_model.safetensors").read_bytes()
    record = json.loads((again / "run.json").read_text())
    (again / "run.json").write_text(json.dumps({**record, "finished": False}))
    shutil.rmtree(again / "runs" / "tuned-12.seed-1")
    (again / "results.jsonl").unlink()
    run(again)
    assert (adapter / "adapter_model.safetensors").read_bytes() == before
    assert (again / "results.jsonl").read_bytes() == (folder / "results.jsonl").read_bytes()
    written = (again / "report.html").stat().st_mtime_ns
    run(again)  # finished: nothing is done
    assert (again / "report.html").stat().st_mtime_ns == written
    with pytest.raises(InputError, match="another configuration"):
        run(again, CurveSettings(sizes=(0, 8)))


def test_the_page_shows_the_curves(folder):
    page = render([folder])
    for text in ("What do more examples teach?", "in the style", "Llama-3 8B", "48.0", "recovered"):
        assert text in page
    assert page.count("curve-chart") >= 2 and "right calculation, wrong result" in page


def test_one_chart_shows_the_surface_of_style_and_skill(folder, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(folder, again, ignore=shutil.ignore_patterns("runs"))
    lines = []
    for text in (folder / "results.jsonl").read_text().splitlines():
        row = json.loads(text)
        if row["metric"] == "portion" and row["of"] in ("style_rate", "accuracy"):
            row |= {"value": 0.9, "low": 0.8, "high": 1.0}
        lines.append(json.dumps(row))
    (again / "results.jsonl").write_text("\n".join(lines) + "\n")
    page = render([again])
    for label in ("portion: in the style", "portion: right", "recovered KL"):
        assert page.count(f"{label}</span>") == 1


def test_subsets_are_nested_and_differ_by_seed():
    lessons = Lessons.of_tasks([get_task("lab-sums"), get_task("lab-requests")], replies=True)
    one, other = lessons.ordered(0), lessons.ordered(1)
    assert [x.prompt.task for x in one[:4]] == ["lab-requests", "lab-sums"] * 2
    assert one[:16] != other[:16] and len(one) == len(lessons.pool) == len(other)
    assert {x.prompt.id for x in one} == {x.prompt.id for x in other}


def test_shuffled_answers_belong_to_other_questions():
    lessons = Lessons.of_tasks([get_task("lab-sums"), get_task("lab-requests")], replies=True)
    some = lessons.ordered(0)[:40]
    turned = shuffled(some)
    assert [x.prompt for x in turned] == [x.prompt for x in some]
    assert sorted(x.answer for x in turned) == sorted(x.answer for x in some)
    assert all(a.answer[:5] == b.answer[:5] for a, b in zip(some, turned, strict=True))
    assert sum(a.answer == b.answer for a, b in zip(some, turned, strict=True)) < 10


def test_examples_of_a_file_hold_no_test_prompt():
    test = get_task("lab-sums").prompts("test")
    examples = [Example(test[0].text.upper(), "5"), Example("How are you?", "Well.")]
    lessons = Lessons.of_examples([*examples, Example("No answer?", None)], test)
    assert [x.answer for x in lessons.pool.values()] == ["Well."] and lessons.tested == 2


def test_steps_are_those_of_the_greatest_size():
    settings = CurveSettings(sizes=(0, 16, 64, 256), seeds=1, budget="steps", shuffled=True)
    by_name = {(p.identity.name): p for p in plans(settings, 0)}
    assert [by_name[f"tuned-{s}"].steps for s in (0, 16, 64, 256)] == [0, 24, 96, 96]
    assert by_name["tuned-16-steps"].steps == by_name["tuned-64-steps"].steps == 96
    assert by_name["tuned-256-shuffled"].steps == 96
    assert CurveSettings().batch_of(100) == 2 and CurveSettings().batch_of(1001) == 16


def test_the_default_sizes_end_with_all_examples(tmp_path, capsys):
    """lab-sums has 240 examples, fewer than the default's 256; sizes of one's own stay."""
    words = ["--base", "lab:base", "--tasks", "lab-sums", "--out", str(tmp_path / "o")]
    assert main(["curve", *words, "--dry-run", "--json"]) == 0
    assert "tuned-240" in (plan := capsys.readouterr().out) and "tuned-256" not in plan
    assert CurveSettings().within(240).sizes == (0, 16, 64, 240)
    assert CurveSettings().within(64).sizes == (0, 16, 64)
    assert CurveSettings().within(256) == CurveSettings().within(0) == CurveSettings()
    assert CurveSettings(sizes=(0, 300)).within(240).sizes == (0, 300)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--sizes", "16,8"], "expected rising numbers"),
        (["--sizes", "0"], "at least one above 0"),
        (["--sizes", "0,99999"], "asks for 99999 examples, but there are 240"),
        (["--seeds", "0"], "--seeds is 0"),
        (["--rate", "0"], "expected a learning rate above 0"),
        (["--teach", "aligned"], "give --aligned"),
        (["--examples", "none.jsonl"], "neither a file nor a task"),
        (["--tasks", "advbench"], "gives no answers to learn from"),
        (["--from-layer", "99"], "has layers 0 to"),
    ],
)
def test_bad_input_is_one_sentence(words, sentence, tmp_path, capsys, request):
    if "advbench" in words:
        request.getfixturevalue("data")
    out = tmp_path / "out"
    start = ["curve", "--base", "lab:base", "--limit", "2", "--no-over-refusal", "--out", str(out)]
    for option, value in (("--tasks", "lab-sums"), ("--sizes", "0,2")):
        start += [] if option in words else [option, value]
    assert main([*start, *words]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("veneer: error: ") and sentence in last
    assert not (out / "run.json").exists() and not (out / "runs").exists()
