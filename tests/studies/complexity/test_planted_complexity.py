"""Programs for pairs whose truth is known, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tools.lab.planted import PlantedPair, planted_blind, planted_identity

from veneer.foundation.results import Results
from veneer.models.formats import PlainFormat
from veneer.models.load import load_model
from veneer.models.pair import Pair
from veneer.studies.complexity.settings import ComplexityConfig, ProgramSettings
from veneer.studies.complexity.study import complexity
from veneer.tasks.registry import chosen_tasks


def studied(planted: PlantedPair, folder: Path, programs: ProgramSettings) -> Results:
    """The pair's own prompts as a task: an answer is right where it contains the reference."""
    for name in ("base", "aligned"):
        getattr(planted, name).save_pretrained(folder / name)
        planted.tokenizer.save_pretrained(folder / name)
    head = {"name": "planted", "scorer": "contains", "max_new_tokens": planted.most_new}
    rows = [
        {
            "id": p.id,
            "prompt": p.text,
            "answer": p.reference["answer"],
            "split": split,
        }
        for split, prompts in (("train", planted.train), ("test", planted.test[:40]))
        for p in prompts
    ]
    task = folder / "planted.jsonl"
    task.write_text("".join(json.dumps(line) + "\n" for line in [{"task": head}, *rows]))

    def load() -> Pair:
        base, aligned = (load_model(str(folder / n)) for n in ("base", "aligned"))
        return Pair(base, aligned, PlainFormat(), PlainFormat())

    config = ComplexityConfig(
        train_prompts=len(planted.train),
        test_prompts=40,
        max_new_tokens=planted.most_new,
        controls=False,
    )
    return complexity(load, chosen_tasks(str(task), None), folder / "out", programs, config)


def test_what_the_head_cannot_carry_is_in_no_head_program(tmp_path):
    """No head on base's hidden states scores above 1/8, at any rank and length."""
    programs = ProgramSettings(
        programs=("head",), ranks=(1, 4), steps=(-2,), prices=(0.0,), levels=(0.5,)
    )
    results = studied(planted_blind(0), tmp_path, programs)
    scores = {
        r.system: r.value for r in results.where(study="measure", task="planted", metric="accuracy")
    }
    heads = [v for s, v in scores.items() if s.startswith("program-head")]
    assert heads and max(heads) <= 1 / 8 and scores["aligned"] > 0.9
    (least,) = results.where(metric="complexity_bits", of="accuracy>=0.5", system="programs")
    assert least.value is None


def test_a_model_that_learned_nothing_needs_no_program(tmp_path):
    """aligned := base: no head program pays for its bits, and base scores as the aligned model."""
    programs = ProgramSettings(programs=("head",), ranks=(1,), steps=(0,), levels=(0.5,))
    results = studied(planted_identity(0), tmp_path, programs)
    assert {r.system for r in results.where(metric="program_bits")} == {"base"}
    (base,) = results.where(study="measure", metric="accuracy", system="base")
    (aligned,) = results.where(study="measure", metric="accuracy", system="aligned")
    assert base.value == pytest.approx(aligned.value)
