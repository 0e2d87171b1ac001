"""The choice of a restoration never sees the report part: planted test prompts that would choose
otherwise change nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from veneer.models.load import load_model
from veneer.studies.restore import study as restore_study
from veneer.studies.restore.inputs import RestoreInputs, Roles
from veneer.studies.restore.settings import PartSizes, RestoreSettings
from veneer.studies.restore.study import RestoreStudy, restore
from veneer.tasks.lab import LabTask

CONFIG = RestoreSettings(
    methods=("own",),
    alphas=("0.5", "1", "3"),
    ranks=(),
    sizes=PartSizes(train=8, validation=6, test=6),
    validation_tokens=14,
    max_new_tokens=14,
    merge=False,
)


@dataclass(frozen=True)
class Planted(LabTask):
    """A task whose test prompts are another task's."""

    other: str = ""

    def prompts(self, split):
        return super().prompts(split) if split == "train" else LabTask(self.other).prompts("test")


@pytest.fixture(scope="module")
def models():
    return {name: load_model(f"lab:{name}") for name in ("aligned", "compromised")}


def run(models, out, harmful, safe):
    roles = Roles(
        (harmful,), (safe,), (LabTask("lab-sums"),), (LabTask("lab-harmless"), LabTask("lab-sums"))
    )
    return restore(
        RestoreInputs(lambda: models["compromised"], lambda: models["aligned"]), roles, out, CONFIG
    )


def test_the_choice_does_not_see_the_report_part(models, tmp_path, monkeypatch):
    seen = []

    def looking(trials, weights, able):
        seen.append([p.name for p in (tmp_path / "real").glob("responses/*")])
        return choose(trials, weights, able)

    choose = restore_study.choose
    monkeypatch.setattr(restore_study, "choose", looking)
    real = run(models, tmp_path / "real", LabTask("lab-requests"), LabTask("lab-harmless"))
    assert seen and not any(seen)  # nothing of the report part had been answered
    # harmful "test" prompts that nobody refuses, and safe ones that all are refused: by the test,
    # the least alpha would be best
    planted = run(
        models,
        tmp_path / "planted",
        Planted("lab-requests", other="lab-harmless"),
        Planted("lab-harmless", other="lab-requests"),
    )
    assert real.where(split="validation", study="restore") == planted.where(
        split="validation", study="restore"
    )
    (one,), (two,) = (x.where(metric="chosen") for x in (real, planted))
    assert one == two and one.note.startswith("own-1:") and one.fact("alpha") == "1"
    (verdict,) = planted.where(study="restore", metric="restored")
    # what was planted shows where it may
    assert verdict.value is None and verdict.fact("verdict") == "not_determined"  # of 6 prompts
    figures = verdict.fact("figures")
    assert figures["refusal_rate"]["restored"] < 0.5 < figures["over_refusal_rate"]["restored"]
    record = json.loads((tmp_path / "real" / "run.json").read_text())["restore"]
    assert (
        record["ways"]["own"]["chosen"] == "own-1" and len(record["ways"]["own"]["candidates"]) == 3
    )
    assert record["rule"].startswith("on the validation part, the least loss")


def test_too_few_harmful_prompts_are_reported_before_the_run(models, caplog):
    """Over three methods McNemar's least p, 2 / 2^n, stays at 0.05 or above up to 6 prompts."""

    def warnings(test: int) -> list[str]:
        roles = Roles(
            (LabTask("lab-requests"),), (LabTask("lab-harmless"),), (LabTask("lab-sums"),)
        )
        ways = RestoreSettings(
            methods=("own", "own-responses", "urial"),
            sizes=PartSizes(train=8, validation=6, test=test),
        )
        inputs = RestoreInputs(lambda: pytest.fail("no model is needed"), lambda: models["aligned"])
        caplog.clear()
        RestoreStudy(inputs, roles, ways).check()
        return [r.getMessage() for r in caplog.records]

    with caplog.at_level("WARNING", "veneer"):
        (few, _) = warnings(6)
        assert "has 6 harmful prompts, and over 3 methods fewer than 7 can show no rise" in few
        assert not any("harmful prompts, and over" in warning for warning in warnings(7))
