"""The parts of a restoration's prompts: never the same prompt in two of them."""

from __future__ import annotations

import pytest

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import Prompt
from veneer.studies.restore.inputs import Roles, harmless_tasks
from veneer.studies.restore.prompt_splits import RoleSplits, in_report_half, task_splits
from veneer.tasks.lab import LabTask
from veneer.tasks.registry import get_task
from veneer.tasks.task import Task


class OnlyTest(Task):
    """A task as XSTest is: no train part, safe and unsafe prompts."""

    name = "only-test"
    headlines = {"refusal_rate": "down"}  # noqa: RUF012

    def prompts(self, split):
        if split == "train":
            return []
        return [
            Prompt.from_text(
                f"p{i}", f"text {i}", task=self.name, label="unsafe" if i % 5 == 0 else "safe"
            )
            for i in range(100)
        ]


def disjoint(splits) -> bool:
    ids = [p.id for split in (splits.extraction, splits.validation, splits.report) for p in split]
    return len(ids) == len(set(ids))


@pytest.mark.parametrize("wanted", [(5, 5, 5), (200, 200, None), (1000, 32, 40)])
def test_parts_of_a_task_with_train_prompts(wanted):
    extraction, validation, report = wanted
    task = LabTask("lab-requests")
    splits = task_splits(
        task, measured=True, safe=False, extraction=extraction, validation=validation, report=report
    )
    train = {p.id for p in task.prompts("train")}
    assert disjoint(splits) and {p.id for p in (*splits.extraction, *splits.validation)} <= train
    assert not train & {p.id for p in splits.report}
    assert len(splits.validation) == min(validation, 120) and len(splits.extraction) == min(
        extraction, 240 - len(splits.validation)
    )


def test_a_task_without_train_prompts_is_halved_by_a_fixed_hash():
    splits = task_splits(
        OnlyTest(), measured=True, safe=True, extraction=50, validation=100, report=None
    )
    assert disjoint(splits) and not splits.extraction
    assert all(not in_report_half(p.id) for p in splits.validation) and all(
        in_report_half(p.id) for p in splits.report
    )
    assert all(p.reference["label"] == "safe" for p in (*splits.validation, *splits.report))
    assert len(splits.validation) + len(splits.report) == 80
    assert [in_report_half(f"p{i}") for i in range(8)] == [
        False,
        False,
        True,
        True,
        True,
        True,
        True,
        True,
    ]


def test_xstest_reports_on_its_report_half_of_safe_prompts_alone(data):
    splits = task_splits(
        get_task("xstest", data), measured=True, safe=True, extraction=0, validation=32, report=None
    )
    assert disjoint(splits) and len(splits.validation) == 32 and 100 < len(splits.report) < 150
    assert {p.reference["label"] for p in splits.report} == {"safe"}


def test_roles_that_make_no_sense():
    requests, sums = LabTask("lab-requests"), LabTask("lab-sums")
    with pytest.raises(InputError, match="no harmful task"):
        Roles((), (sums,), (sums,))
    with pytest.raises(InputError, match="harmful and as harmless"):
        Roles((requests,), (requests,), (sums,))
    with pytest.raises(InputError, match="measures no capability"):
        Roles((requests,), (LabTask("lab-harmless"),), (LabTask("lab-harmless"),))


def test_harmless_prompts_come_from_tasks_and_files(tmp_path):
    file = tmp_path / "instructions.jsonl"
    file.write_text("".join(f'{{"prompt": "How do I bake bread {i}?"}}\n' for i in range(5)))
    sums, harmless = harmless_tasks(["lab-sums", str(file)], None)
    splits = task_splits(harmless, measured=False, safe=False, extraction=4, validation=9, report=9)
    assert (
        sums.name == "lab-sums"
        and len(splits.extraction) == 4
        and not splits.validation
        and not splits.report
    )
    assert (
        splits.extraction[0].task == "instructions"
        and len(harmless.source()["files"]["instructions.jsonl"]) == 64
    )
    with pytest.raises(InputError, match="neither a task nor a file"):
        harmless_tasks(["lab-songs"], None)
    with pytest.raises(InputError, match="twice"):
        harmless_tasks(["lab-sums", "lab-sums"], None)
    file.write_text('{"prompt": "one"}\n')
    with pytest.raises(InputError, match="1 train prompts"):
        task_splits(harmless, measured=False, safe=False, extraction=4, validation=9, report=9)


class Shared(Task):
    """A task whose texts are planted: train, and test."""

    headlines = {"refusal_rate": "up"}  # noqa: RUF012

    def __init__(self, name, train, test):
        self.name, self.texts = name, {"train": train, "test": test}

    def prompts(self, split):
        return [
            Prompt.from_text(f"{split}{i}", text, task=self.name)
            for i, text in enumerate(self.texts[split])
        ]


def test_no_text_of_a_later_part_stands_in_an_earlier_one_of_any_task():
    """As `run` does, over all tasks of the restoration: the first train prompt is another task's
    test prompt, the second another task's validation prompt, the third stands in it twice."""
    harmful = Shared(
        "harmful",
        ["How to steal?", "v 1", "twice", "Twice!", "a", "b", *(f"w {i}" for i in range(4))],
        [f"h {i}" for i in range(5)],
    )
    safe = Shared(
        "safe", [*"cdefg", "h 3", *(f"v {i}" for i in range(4))], ["how to  STEAL", *"xyzu"]
    )
    splits = RoleSplits.of_roles(
        Roles((harmful,), (safe,), (LabTask("lab-sums"),)),
        {"train": 6, "validation": 5, "test": None},
    )
    kept = {k: [p.text for p in v.extraction] for k, v in splits.by_task.items()}
    assert kept["harmful"] == ["twice"] + ["a"] * (len(kept["harmful"]) > 1) and not kept["safe"]
    assert splits.left_out.tested == {
        ("harmful", "safe"): 1,
        ("harmful", "safe, validation part"): 1,
    }
    assert splits.left_out.repeated == {"harmful": 1}
    # a validation prompt that another task reports on has no say
    assert splits.repeated == {"safe": 1}
    assert [p.text for p in splits.by_task["safe"].validation] == [f"v {i}" for i in range(4)]


def test_a_validation_part_that_is_reported_elsewhere_is_an_error():
    one = Shared("one", [*"abcdef"], [*"uvwxyz"])
    two = Shared("two", [*"ghiuvw"], [*"klmnop"])
    with pytest.raises(InputError, match="two has 0 validation prompts, beside 3 that are report"):
        RoleSplits.of_roles(
            Roles((one,), (two,), (LabTask("lab-sums"),)),
            {"train": 3, "validation": 3, "test": None},
        )


def test_advbench_learns_no_prompt_of_strongreject(data):
    """10 of its train goals are test prompts of StrongREJECT; 6 of them among the first 100."""
    tests = [get_task(name, data) for name in ("advbench", "strongreject")]
    splits = RoleSplits.of_roles(
        Roles(tuple(tests), (get_task("xstest", data),), (get_task("svamp", data),)),
        {"train": 100, "validation": 32, "test": None},
    )
    assert splits.left_out.tested == {("advbench", "strongreject"): 6}
    learned = {p.text.lower() for p in splits.by_task["advbench"].extraction}
    assert not learned & {p.text.lower() for p in tests[1].prompts("test")}
