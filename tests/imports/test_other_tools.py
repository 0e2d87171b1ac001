"""Results of garak, promptfoo and HELM as these tools write them, and the files beside them that
hold no system's answers."""

from __future__ import annotations

import json

import pytest

from veneer.foundation.errors import InputError
from veneer.imports import read_stored
from veneer.imports.registry import guess
from veneer.prompts.files import read_prompts


def message(text, **more):
    return {"text": text, "lang": "en", "data_path": None, **more}


def talk(*turns):
    return {"turns": [{"role": r, "content": message(t)} for r, t in turns], "notes": {}}


def attempt(uuid, status, prompt, outputs, **more):
    """A row of garak 0.13; of an older one where the prompt is a text."""
    old = isinstance(prompt, str)
    return {
        "entry_type": "attempt",
        "uuid": uuid,
        "seq": 0,
        "status": status,
        "probe_classname": "dan.Dan_11_0",
        "prompt": prompt,
        "outputs": [o if old or o is None else message(o) for o in outputs],
        "detector_results": {"dan.DAN": [0.0]} if status == 2 else {},
        **more,
    }


def lines(path, *rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    return path


def whole(path, value):
    path.write_text(json.dumps(value, indent=2), "utf-8")
    return path


def answers(path):
    stored = read_stored(path)
    return [(r.prompt_id, r.sample_id, r.system, r.text) for r in stored.responses], stored


def test_a_report_of_garak_holds_each_attempt_twice(tmp_path):
    head = [
        {"entry_type": "start_run setup", "plugins.target_name": "gpt2"},
        {"entry_type": "init", "garak_version": "0.13"},
    ]
    question = talk(("system", "Be kind."), ("user", "Q0"))
    rows = [
        attempt(u, status, prompt, outputs)
        for status in (1, 2)
        for u, prompt, outputs in (
            ("a", question, ["A0", "A1"]),
            ("b", talk(("user", "Q1")), ["B0", None]),
        )
    ]
    tail = {"entry_type": "eval", "probe": "dan.Dan_11_0", "passed": 3, "total": 4}
    path = lines(tmp_path / "x.report.jsonl", *head, *rows, tail)
    given, stored = answers(path)
    assert given == [("0", 0, "gpt2", "A0"), ("0", 1, "gpt2", "A1"), ("1", 0, "gpt2", "B0")]
    assert [[m["content"] for m in p.messages] for p in stored.prompts] == [
        ["Be kind.", "Q0"],
        ["Q1"],
    ]
    assert stored.dropped == {"error: no answer": 1}


@pytest.mark.parametrize("prompt", ["Q0", {"text": "Q0", "lang": "en"}])
def test_older_reports_of_garak_without_their_head(tmp_path, prompt):
    """They were taken for the answers of another paper's models (overton-open)."""
    path = lines(tmp_path / "x.jsonl", attempt("a", 1, prompt, ["A0"]))
    assert guess(path) == "garak"
    given, stored = answers(path)
    assert given == [("0", 0, "x", "A0")] and stored.prompts[0].plain == "Q0"


def test_attempts_that_are_no_prompt_and_answer_are_refused(tmp_path):
    turns = talk(("user", "Q0"), ("assistant", "A0"), ("user", "Q1"), ("assistant", "A1"))
    row = attempt("a", 2, talk(("user", "Q0")), ["A1"], conversations=[turns])
    with pytest.raises(InputError, match="line 1 holds an attempt of several turns"):
        read_stored(lines(tmp_path / "turns.jsonl", row))
    seen = {"turns": [{"role": "user", "content": message("Q0", data_path="cat.png")}]}
    with pytest.raises(InputError, match="is more than text"):
        read_stored(lines(tmp_path / "seen.jsonl", attempt("a", 2, seen, ["A"])))
    with pytest.raises(InputError, match="holds no attempts"):
        read_stored(lines(tmp_path / "none.jsonl", {"entry_type": "init"}))


def result(number, text, **more):
    return {
        "promptIdx": 0,
        "testIdx": number,
        "provider": {"id": "openai:gpt-4o", "label": ""},
        "prompt": {"raw": f"Answer: Q{number}", "label": "Answer: {{q}}"},
        "vars": {"q": f"Q{number}"},
        "success": True,
        "response": {"output": text, "cached": False},
        **more,
    }


RESULTS = [
    result(0, "A0"),
    # promptfoo gives the reason of a failed assertion as the row's error
    result(1, "A1", success=False, failureReason=1, error='Expected output to contain "x"'),
    result(2, None, success=False, failureReason=2, error="API error: 500"),
    result(0, "B0", provider={"id": "openai:gpt-4o", "label": "other"}),
]


@pytest.mark.parametrize("form", ["whole", "summary", "lines"])
def test_results_of_promptfoo(tmp_path, form):
    head = {"version": 3, "prompts": [{"raw": "Answer: {{q}}"}], "stats": {}}
    summary = {**head, "results": RESULTS}
    path = {
        "whole": lambda: whole(tmp_path / "r.json", {"evalId": "eval-1", "results": summary}),
        "summary": lambda: whole(tmp_path / "r.json", summary),
        "lines": lambda: lines(tmp_path / "r.jsonl", *RESULTS),
    }[form]()
    given, stored = answers(path)
    assert given == [
        ("0", 0, "openai:gpt-4o", "A0"),
        ("1", 0, "openai:gpt-4o", "A1"),
        ("0", 0, "other", "B0"),
    ]
    assert [p.plain for p in stored.prompts] == ["Answer: Q0", "Answer: Q1", "Answer: Q2"]
    assert stored.dropped == {"error: the request failed": 1}


def test_the_prompt_that_a_provider_of_promptfoo_reports_is_the_one_it_sent(tmp_path):
    chat = json.dumps([{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}])
    rows = [
        result(0, "A0", prompt={"raw": chat, "label": "chat"}),
        result(1, "A1", response={"output": "A1", "prompt": "sent"}),
    ]
    _, stored = answers(lines(tmp_path / "r.jsonl", *rows))
    assert [p.messages[-1]["content"] for p in stored.prompts] == ["Q", "sent"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"metadata": {"redteamHistory": [{"prompt": "x"}]}}, "comes from an attack in several"),
        ({"response": {"output": {"answer": 1}}}, "has an output that is no text but dict"),
    ],
)
def test_results_of_promptfoo_that_are_no_prompt_and_answer(tmp_path, more, why):
    with pytest.raises(InputError, match=why):
        read_stored(lines(tmp_path / "r.jsonl", result(0, "A", **more)))


def test_systems_of_one_file_are_never_mixed_into_one(tmp_path):
    path = lines(tmp_path / "r.jsonl", *RESULTS, result(0, "A0 again"))
    with pytest.raises(InputError, match=r"2 systems \('openai:gpt-4o', 'other'\), and none is"):
        read_stored(path, system="mine")
    kept = read_stored(path, system="other")
    assert [(r.system, r.text) for r in kept.responses] == [("other", "B0")]
    assert kept.dropped["another system's answer"] == 3
    alone = read_stored(lines(tmp_path / "one.jsonl", *RESULTS[:2]), system="mine")
    assert [(r.system, r.text) for r in alone.responses] == [("mine", "A0"), ("mine", "A1")]
    rows = [{"id": "1", "prompt": "Q", "text": t, "system": t} for t in "AB"]
    with pytest.raises(InputError, match="holds answers of 2 systems"):
        read_stored(lines(tmp_path / "plain.jsonl", *rows), system="mine")


def test_two_providers_of_one_name_are_no_samples_of_one_system(tmp_path):
    repeats = lines(tmp_path / "r.jsonl", result(0, "A"), result(0, "B"))
    assert [r.sample_id for r in read_stored(repeats).responses] == [0, 1]
    twice = lines(tmp_path / "two.jsonl", result(0, "A"), result(0, "B", promptIdx=1))
    with pytest.raises(InputError, match="another provider of the same name"):
        read_stored(twice)


def state(number, text="A", **more):
    request = {"model": "openai/gpt2", "prompt": f"Q{number}", "temperature": 0}
    done = {"text": text, "finish_reason": {"reason": "length" if text == "cut" else "stop"}}
    return {
        "instance": {"input": {"text": "Q"}, "id": f"id{number}"},
        "train_trial_index": 0,
        "request": request,
        "result": {"success": True, "completions": [done]},
        **more,
    }


def run_of_helm(path, *states):
    spec = {"method": "generation", "model": "openai/gpt2"}
    return whole(path, {"adapter_spec": spec, "request_states": list(states)})


def test_a_run_of_helm(tmp_path):
    again = {"prompt": "Shots. Q0"}
    typos = {"input": {"text": "Q"}, "id": "id0", "perturbation": {"name": "typos", "seed": 1}}
    path = run_of_helm(
        tmp_path / "scenario_state.json",
        state(0),
        state(0, train_trial_index=1, request=again),
        state(0, instance=typos, request={"prompt": "Qo"}),
        state(1, "cut"),
        state(2, result={"success": False, "completions": [], "error": "500"}),
    )
    given, stored = answers(path)
    assert given == [
        ("id0", 0, "openai/gpt2", "A"),
        ("id0/trial 1", 0, "openai/gpt2", "A"),
        ("id0/typos/1", 0, "openai/gpt2", "A"),
    ]
    assert [p.plain for p in stored.prompts] == ["Q0", "Shots. Q0", "Qo", "Q1", "Q2"]
    assert [p.cluster for p in stored.prompts] == ["id0", "id0", "id0", "id1", "id2"]
    assert stored.dropped == {"truncated at the token limit": 1, "error: the request failed": 1}


@pytest.mark.parametrize("more", [{"reference_index": 1}, {"request": {"echo_prompt": True}}])
def test_scores_of_given_texts_are_no_answers_of_helm(tmp_path, more):
    with pytest.raises(InputError, match="request 1 scores a given text"):
        read_stored(run_of_helm(tmp_path / "s.json", state(0, **more)))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (
            # a file of one system's answers by its keys, but only of those that an attack hit
            {
                "prompt": "Q",
                "output": "A",
                "attempt_id": "u",
                "generator": "gpt2",
                "detector": "d",
            },
            "is a hit log of garak.*give the run's report.jsonl",
        ),
        (
            {"instance_id": "id0", "predicted_text": "A", "train_trial_index": 0},
            "display_predictions.json, which holds no prompts; give scenario_state.json",
        ),
        ({"results": {}, "configs": {}, "versions": {}}, "give samples_TASK_DATE.jsonl"),
        ({"instruction": "Q", "output_1": "A", "output_2": "B"}, "comparison of two systems"),
        ({"prompt": "Q", "chosen": "A", "rejected": "B"}, "is a set of preferences"),
        ({"prompt": "Q", "completion": "B", "label": False}, "marks an unwanted answer"),
        ({"query": "Q", "response": "A"}, "rename the key that holds the prompt"),
    ],
)
def test_files_that_hold_no_systems_answers_name_the_one_to_give(tmp_path, row, why):
    with pytest.raises(InputError, match=why):
        read_stored(lines(tmp_path / "x.jsonl", row))


@pytest.mark.parametrize("head", ["text,[openai:gpt-4o] Say {{text}},Status", "prompt,__expected1"])
def test_tables_of_promptfoo_are_refused(tmp_path, head):
    """A variable named text was read as the answer."""
    path = tmp_path / "r.csv"
    path.write_text(head + "\n" + ",".join("abc"[: head.count(",") + 1]) + "\n")
    with pytest.raises(InputError, match=r"promptfoo eval --output results\.json"):
        read_stored(path)


def test_yaml_is_refused_by_name(tmp_path):
    path = tmp_path / "promptfooconfig.yaml"
    path.write_text("prompts: [Q]\n")
    for read in (read_stored, lambda p: read_prompts(str(p))):
        with pytest.raises(InputError, match="is YAML, which is not read; save it as JSON"):
            read(path)


@pytest.mark.parametrize(
    "row",
    [
        # TRL's prompt and completion, as turns
        {
            "prompt": [{"role": "user", "content": "Q"}],
            "completion": [{"role": "assistant", "content": "A"}],
        },
        # Arena-Hard since its second version
        {
            "uid": "u",
            "ans_id": "a",
            "model": "m",
            "messages": [
                {"role": "user", "content": "Q"},
                {"role": "assistant", "content": {"answer": "A"}},
            ],
        },
        # a set for SFT and for preferences: the chat is the answer to learn
        {
            "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],
            "chosen": [],
            "rejected": [],
        },
        {"prompt": "Q", "completion": "A", "label": True},
    ],
)
def test_training_sets_and_arenas_whose_answer_is_a_turn(tmp_path, row):
    given, stored = answers(lines(tmp_path / "x.jsonl", row))
    assert (
        given == [("0", 0, row.get("model", "x"), "A")]
        and stored.prompts[0].messages[-1]["content"] == "Q"
    )
