"""The study from end to end on the embedded pair, its page, and bad input."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from veneer.cli.main import main
from veneer.foundation.errors import InputError
from veneer.foundation.results import Results
from veneer.models.load import load_model
from veneer.models.pair import Pair
from veneer.report.render import render
from veneer.studies.complexity.program.files import BaseFiles, decode_programs, decoder_bits
from veneer.studies.complexity.settings import ComplexityConfig, ProgramSettings
from veneer.studies.complexity.study import complexity
from veneer.tasks.registry import chosen_tasks


def pair():
    return Pair.load("lab:base", "lab:aligned", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Head programs of rank 1 on a few prompts."""
    out = tmp_path_factory.mktemp("complexity") / "study"
    programs = ProgramSettings(programs=("head",), ranks=(1,), steps=(0, -2), prices=(0.0,))
    config = ComplexityConfig(
        train_prompts=16, test_prompts=6, max_new_tokens=12, controls=False, k=16
    )
    complexity(pair, chosen_tasks("lab-requests,lab-harmless", None), out, programs, config)
    return out


def test_rows_are_those_of_the_files(folder):
    rows = Results.read(folder / "results.jsonl")
    sizes = rows.where(metric="program_bits")
    files = {p.stem: p for p in (folder / "programs").iterdir()}
    assert len(files) == len(sizes) - 1  # base's empty program has no file
    for row in sizes:
        if row.system == "base":
            assert row.value == 0
            continue
        identity = row.identity
        path = files[f"{identity.get('view')}-{identity.get('label')}"]
        assert row.value == 8 * path.stat().st_size
        (published,) = rows.where(metric="published_bits", system=row.system)
        assert published.value == 16 * 1386 * 112  # every weight of the head at 16 bits
        (recovered,) = rows.where(study="complexity", metric="kl_recovered", system=row.system)
        assert recovered.value > 0.5 and recovered.low < recovered.value < recovered.high
        assert rows.where(metric="refusal_rate", task="lab-harmless", system=row.system)
        (formed,) = rows.where(metric="well_formed", task="lab-requests", system=row.system)
        assert formed.n == 6
    both = rows.where(metric="complexity_bits", of="refusal_rate>=0.5,well_formed>=0.5")
    (refusal,) = {r.judge for r in rows.where(metric="refusal_rate", task="lab-requests")}
    assert {r.judge for r in both} == {f"{refusal}+aligned-likelihood-99"}
    (own,) = rows.where(study="complexity", metric="kl_recovered", system="base")
    assert (own.value, own.low, own.high, own.note) == (0, 0, 0, "by definition")
    (least,) = rows.where(metric="complexity_bits", of="kl_recovered>=0.5", system="programs")
    smallest = min(row.value for row in sizes if row.value)
    assert least.value == smallest + decoder_bits("head")


def test_every_program_decodes_to_what_was_measured(folder, tmp_path):
    base = BaseFiles.of(load_model("lab:base", device="cpu", dtype="float32"))
    files = sorted((folder / "programs").iterdir())
    decode_programs(files, base, tmp_path)
    for file in files:
        name = "veneer.safetensors"
        measured = (folder / "rebuilt" / file.stem / name).read_bytes()
        assert (tmp_path / file.stem / name).read_bytes() == measured


def test_a_finished_folder_stays_as_it_is(folder):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    programs = ProgramSettings(programs=("head",), ranks=(1,), steps=(0, -2), prices=(0.0,))
    config = ComplexityConfig(
        train_prompts=16, test_prompts=6, max_new_tokens=12, controls=False, k=16
    )
    tasks = chosen_tasks("lab-requests,lab-harmless", None)
    complexity(None, tasks, folder, programs, config)
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert {
        p for p in before | after if before.get(p) != after.get(p) and ".lock" not in p.name
    } == set()


def test_the_page_shows_the_front(folder):
    page = render([folder])
    tried = json.loads((folder / "run.json").read_text())["programs_tried"]
    assert tried == {"head": 2} and "head 2" in page
    assert 'class="chart bits"' in page and "Least bytes for a score" in page
    assert page.count('class="view-head ghost"') >= 1
    assert "lower is better" in page  # over-refusal beside refusal


def test_the_page_draws_headlines_and_each_score_once(folder, tmp_path):
    """AdvBench has a keyword rate before its headline, and rates without near-copies of train
    prompts: one chart for each headline, and none for the others."""
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    lines = [json.loads(text) for text in (folder / "results.jsonl").read_text().splitlines()]
    own = [r for r in lines if (r["study"], r["task"]) == ("measure", "lab-requests")]
    more = [
        {**r, "metric": "keyword_refusal_rate", "judge": None}
        for r in own
        if r["metric"] == "refusal_rate"
    ]
    fewer = [{**r, "split": "deduplicated", "n": 3} for r in own if r["split"] == "test"]
    rows = [*more, *lines, *fewer]
    (again / "results.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in rows))
    record = json.loads((again / "run.json").read_text())
    (again / "run.json").write_text(json.dumps({**record, "rows": len(rows)}))
    page = render([again])
    titles = re.findall(r"<figure><figcaption>(<b>.*?) · n = ", page)
    assert len(titles) == len(set(titles))
    shown = [t for t in titles if "lab-requests" in t]
    assert any("refusal rate" in t for t in shown) and not any("keyword" in t for t in shown)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"programs": ("heads",)}, "--programs names 'heads'"),
        ({"given": ("aligned",)}, "--given lacks base"),
        ({"levels": (1.5,)}, "--levels is 1.5"),
        ({"ranks": (0,)}, "--ranks is 0"),
        ({"rates": (0.0,)}, "learning rates above 0"),
        ({"texts": ("poem",)}, "--texts names 'poem'"),
    ],
)
def test_bad_settings(words, message):
    with pytest.raises(InputError, match=message):
        ProgramSettings(**words)


def test_bad_input(tmp_path, capsys):
    (tmp_path / "a.vnp").write_bytes(b"nothing of the kind")
    words = ["--base", "lab:base", "--out", str(tmp_path / "out")]
    assert main(["program", "decode", str(tmp_path / "a.vnp"), *words]) == 2
    assert "is no program file of version 2" in capsys.readouterr().err
    assert main(["program", "encode", str(tmp_path / "a.vnp"), *words]) == 2
    assert "expected `veneer program decode FILE...`" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="there is no task"):
        complexity(pair, (), tmp_path / "none")
    assert not (tmp_path / "none" / "run.json").exists()
