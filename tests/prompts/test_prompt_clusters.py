"""Prompts that are not independent: of one cluster, or of one text."""

import json
import logging

import pytest

from veneer.capture.artefact import Capture
from veneer.cli.main import main
from veneer.foundation.errors import InputError
from veneer.head.extract import split_of
from veneer.head.split import Split
from veneer.measures.clusters import task_clusters
from veneer.prompts.clusters import each_text_once, groups_of, prompt_clusters, same_text
from veneer.prompts.files import read_prompts
from veneer.prompts.prompt import Prompt
from veneer.tasks.given import make_task
from veneer.tasks.registry import chosen_tasks
from veneer.tasks.source import load_prompts


def prompts(*texts):
    return [Prompt.from_text(str(i), text) for i, text in enumerate(texts)]


def test_equal_texts_are_one_cluster_and_different_texts_have_none():
    assert prompt_clusters(prompts("a", "b", "c")) is None
    assert prompt_clusters(prompts("a b", "c", " A  b!", "d", "c")) == [0, 1, 0, 2, 1]


def test_case_and_marks_make_no_other_text_but_signs_between_numbers_do():
    assert same_text("Is  it “so”?") == same_text("is it so")
    assert same_text("?!") == "?!", "a text without letters is itself"
    assert len({same_text(f"What is 3{sign}4?") for sign in (" + ", "*", "-", "/", "")}) == 5
    assert same_text("3 + 4") == same_text("3+4")


def test_a_text_in_two_named_clusters_makes_them_one():
    assert groups_of([["a"], ["b", "c"], [], ["c"], ["a", "d"], []]) == [0, 1, 2, 1, 0, 3]
    assert groups_of([["a"], ["b"], ["a", "b"]]) == [0, 0, 0]
    assert groups_of([]) == []


def test_a_split_holds_one_text_in_one_part_whatever_its_task():
    twice = prompts(*(f"text {i % 30}" for i in range(60)))
    tasks = ["a" if i < 45 else "b" for i in range(60)]
    for seed in range(5):
        split = Split.by_prompt(range(60), tasks, seed, prompt_clusters(twice))
        parts = [{n % 30 for n in part} for part in (split.train, split.select, split.report)]
        assert sum(map(len, parts)) == 30 and all(parts), "no text stands in two parts"
        assert len(split.train) + len(split.select) + len(split.report) == 60


def test_a_capture_of_repeated_lines_has_no_text_in_train_and_report(tmp_path):
    rows = [{"id": str(i), "task": "prompts", "plain": f"text {i % 10}"} for i in range(20)]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    capture = Capture(tmp_path, {"plan": [[list(range(20))]]}, (0,), 20)
    assert capture.clusters == [*range(10)] * 2
    for seed in range(5):
        split = split_of(capture, seed)
        assert not {n % 10 for n in split.report} & {n % 10 for n in (*split.train, *split.select)}
    rows[0]["cluster"] = rows[1]["cluster"] = "a"
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    again = Capture(tmp_path, {"plan": [[list(range(20))]]}, (0,), 20)
    assert again.clusters == [0, 0, *range(1, 9)] * 2, "its text joins a line to a named cluster"


def test_a_task_of_ones_own_keeps_its_prompts_clusters_and_texts():
    task = make_task("mine", ["a", "b", "A", Prompt.from_text("x", "c")])
    assert task_clusters(task, task.prompts("test")).tolist() == [0, 1, 0, 2]


def test_a_warning_counts_the_lines_that_repeat_a_text(tmp_path, caplog):
    file, task = tmp_path / "p.jsonl", tmp_path / "t.jsonl"
    lines = [json.dumps({"prompt": f"text {i % 3}"}) for i in range(5)]
    file.write_text("\n".join(lines))
    header = {"task": {"name": "mine", "scorer": "judge:refusal", "metric": "refusal_rate"}}
    task.write_text("\n".join([json.dumps(header), *lines]))
    for load in (
        lambda: load_prompts(str(file)),
        lambda: load_prompts(str(task), split="test"),
        lambda: chosen_tasks(str(task)),
        lambda: each_text_once(prompts("a", "b", "a", "b", "c")),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="veneer"):
            load()
        (record,) = caplog.records
        assert "2 of 5 prompts repeat the text of an earlier one; " in record.getMessage()
    caplog.clear()
    load_prompts(str(file), measured=False)
    load_prompts(str(file), limit=3)
    assert not caplog.records
    assert [p.text for p in each_text_once(prompts("b", "a", "B"))] == ["b", "a"]


@pytest.mark.parametrize("texts", [2, 1])
def test_too_few_texts_are_refused(texts):
    from veneer.foundation.errors import InputError

    four = prompts(*(f"text {i % texts}" for i in range(4)))
    with pytest.raises(InputError, match=f"found {texts} clusters or different texts in the 4"):
        Split.by_prompt(range(4), ["a"] * 4, 0, prompt_clusters(four))


def test_a_prompt_file_and_an_import_name_clusters(tmp_path):
    """A cluster that an import found would otherwise be lost between two commands."""
    path = tmp_path / "prompts.jsonl"
    named = [{"prompt": "a", "cluster": "x"}, {"prompt": "b", "cluster": 7}, {"prompt": "c"}]
    path.write_text("".join(json.dumps(r) + "\n" for r in named), encoding="utf-8")
    assert [p.cluster for p in read_prompts(str(path))] == ["x", "7", None]
    path.write_text('{"prompt": "a", "cluster": [1]}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"line 1 has the cluster \[1\]; expected a text"):
        read_prompts(str(path))
    state = {
        "adapter_spec": {"model": "m", "method": "generation"},
        "request_states": [
            {
                "instance": {"id": "i", "input": {"text": t}, "perturbation": {"name": t}},
                "train_trial_index": 0,
                "request": {"prompt": t},
                "result": {"success": True, "completions": [{"text": "A"}]},
            }
            for t in ("Q", "Qo")
        ],
    }
    source, out = tmp_path / "scenario_state.json", tmp_path / "answers.jsonl"
    source.write_text(json.dumps(state), encoding="utf-8")
    assert main(["import", str(source), "--out", str(out)]) == 0
    assert [p.cluster for p in read_prompts(f"{out}.prompts.jsonl")] == ["i", "i"]
