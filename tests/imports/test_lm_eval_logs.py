"""Answers in the sample logs of lm-evaluation-harness."""

from __future__ import annotations

import pytest
from stored_files import chat_sample, put, texts

from veneer.foundation.errors import InputError
from veneer.imports import read_stored


def test_lm_eval(tmp_path):
    row = {
        "doc_id": 3,
        "arguments": {"gen_args_0": {"arg_0": "Q?", "arg_1": {}}},
        "resps": [["a ", "b"]],
        "filter": "none",
    }
    path = put(
        tmp_path, "model/samples_gsm8k_2026-01-01T00.jsonl", row, {**row, "filter": "strict"}
    )
    replies = read_stored(path)
    assert replies.format == "lm-eval" and texts(replies) == [("3", 0, "a"), ("3", 1, "b")]
    assert replies.responses[0].task == "gsm8k" and replies.prompts[0].plain == "Q?"
    scored = put(tmp_path, "samples_mmlu.jsonl", {"doc_id": 0, "resps": [[["-1.2", "False"]]]})
    with pytest.raises(InputError, match="line 1 holds log-likelihoods, not answers"):
        read_stored(scored)


def test_lm_eval_logs_of_chat_models(tmp_path):
    """The prompt is the messages that were sent, in whatever order the documents are logged."""
    path = put(
        tmp_path,
        "m/samples_mini_2026-01-01T00.jsonl",
        chat_sample(1, "Sum?", ["5."]),
        chat_sample(0, "Story?", ["Once.", "Twice."]),
        chat_sample(1, "Sum?", ["5."], filter="strict"),
        chat_sample(2, "Now?", ["Yes."], system="Be brief."),
    )
    replies = read_stored(path)
    assert texts(replies) == [
        ("1", 0, "5."),
        ("0", 0, "Once."),
        ("0", 1, "Twice."),
        ("2", 0, "Yes."),
    ]
    assert [p.messages[-1]["content"] for p in replies.prompts] == ["Sum?", "Story?", "Now?"]
    assert replies.prompts[2].messages[0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"doc_id": 0, "resps": [["a"]]}, 'has no "arguments", so that its prompt is unknown'),
        ({"doc_id": 0, "arguments": [["text"]], "resps": [["-12.5"]]}, "holds log-likelihoods"),
        (
            {
                "doc_id": 0,
                "arguments": {"gen_args_0": {"arg_0": "Q", "arg_1": " yes"}},
                "resps": [["-1.5"]],
            },
            "holds log-likelihoods",
        ),
        (
            {"doc_id": 0, "arguments": [["Q", {}], ["R", {}]], "resps": [["a"], ["b"]]},
            "2 requests with different prompts",
        ),
        (chat_sample(1, "Another?", ["x"]), "has the id '1' and another prompt than"),
        (chat_sample(1, "Sum?", ["6."]), "has other answers to document 1 than"),
    ],
)
def test_lm_eval_logs_that_cannot_be_matched(tmp_path, row, reason):
    with pytest.raises(InputError, match=reason):
        read_stored(put(tmp_path, "samples_x.jsonl", chat_sample(1, "Sum?", ["5."]), row))


def test_older_lm_eval_logs(tmp_path):
    replies = read_stored(
        put(
            tmp_path,
            "samples_x.jsonl",
            {"doc_id": 0, "arguments": [["Q?", {"until": []}]], "resps": [["a"]]},
        )
    )
    assert texts(replies) == [("0", 0, "a")] and replies.prompts[0].plain == "Q?"
