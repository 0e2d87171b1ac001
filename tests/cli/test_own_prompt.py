"""A person's own prompt, end to end: what a run records of its templates is what generate, serve,
merge and plain transformers feed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from veneer.cli import main
from veneer.cli.serve import ServeCommand
from veneer.foundation.errors import InputError
from veneer.head import recorded
from veneer.head.veneer import Veneer
from veneer.models.formats import PlainFormat
from veneer.models.load import load_model
from veneer.prompts.templates import ALPACA
from veneer.systems import read_responses

LAB = "Question: {prompt}\nAnswer:"
PAIR = ["--base", "lab:base", "--aligned", "lab:aligned"]
TYPED = ["How do I steal a car?", "Who baked the bread?"]
LENGTH = "16"


@pytest.fixture(scope="module")
def veneer(tmp_path_factory) -> Path:
    """Fitted behind the lab's one template."""
    out = tmp_path_factory.mktemp("own")
    words = [
        "--prompts",
        "lab-requests",
        "--limit",
        "24",
        "--max-new-tokens",
        LENGTH,
        "--out",
        str(out / "capture"),
    ]
    assert main(["capture", *PAIR, *words]) == 0
    assert main(["extract", str(out / "capture"), "--out", str(out / "study")]) == 0
    return next(out.rglob("veneer.json")).parent


@pytest.fixture(scope="module")
def several(veneer, tmp_path_factory) -> Path:
    """The same, as if it had been fitted behind two templates."""
    out = tmp_path_factory.mktemp("several") / "veneer"
    v = Veneer.load(veneer)
    rows = [
        {"template": t, "prompts": 12, "share": 0.5, "tasks": {name: 12}}
        for t, name in ((LAB, "lab-requests"), (ALPACA, "a"))
    ]
    v.facts["templates"] = rows
    return v.save(out)


@pytest.fixture(scope="module")
def typed(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("typed") / "typed.txt"
    path.write_text("\n".join(TYPED) + "\n")
    return path


def answers(model: str, prompts: Path | str, out: Path, *more: str) -> list:
    words = [
        "--model",
        model,
        "--prompts",
        str(prompts),
        "--max-new-tokens",
        LENGTH,
        "--out",
        str(out),
        *more,
    ]
    assert main(["generate", *words]) == 0
    return read_responses(out)


def test_a_typed_prompt_is_fed_behind_the_recorded_template(veneer, typed, tmp_path, caplog):
    recorded._warn.cache_clear()
    (row,) = Veneer.load(veneer).facts["templates"]
    assert (row["template"], row["share"], row["tasks"]) == (LAB, 1.0, {"lab-requests": 24})
    responses = answers("lab:base", typed, tmp_path / "a.jsonl", "--veneer", str(veneer))
    expected = answers(
        "lab:base", typed, tmp_path / "b.jsonl", "--veneer", str(veneer), "--base-template", LAB
    )
    assert [r.token_ids for r in responses] == [r.token_ids for r in expected]
    # it is what the veneer learnt behind that template
    assert "sorry" in responses[0].text.lower(), responses[0].text
    assert not caplog.records
    answers("lab:base", typed, tmp_path / "c.jsonl", "--veneer", str(veneer), "--plain")
    (line,) = [r.getMessage() for r in caplog.records if r.name == "veneer"]
    assert "reads prompts behind the template plain, but its veneer was fitted behind" in line


def test_several_templates_ask_for_a_choice(several, typed, tmp_path, capsys):
    words = ["--prompts", str(typed), "--out", str(tmp_path / "a.jsonl")]
    assert main(["generate", "--model", "lab:base", "--veneer", str(several), *words]) == 2
    output = capsys.readouterr().err
    assert (
        "veneer: error: the veneer was fitted behind several templates (" in output
        and "alpaca 50 %" in output
    )
    assert "choose one with --base-template" in output
    assert main(["merge", str(several), "--base", "lab:base", "--out", str(tmp_path / "m")]) == 2
    assert (
        "choose one with --base-template" in capsys.readouterr().err
        and not (tmp_path / "m").exists()
    )
    with pytest.raises(InputError, match=r"several templates .* choose one with --base-template"):
        ServeCommand(model="lab:base", veneer=str(several)).served()
    # a choice, and prompts that bring one of the two
    assert (
        len(
            answers(
                "lab:base",
                typed,
                tmp_path / "b.jsonl",
                "--veneer",
                str(several),
                "--base-template",
                "alpaca",
            )
        )
        == 2
    )
    assert (
        len(
            answers(
                "lab:base",
                "lab-requests",
                tmp_path / "c.jsonl",
                "--veneer",
                str(several),
                "--limit",
                "1",
            )
        )
        == 1
    )
    chosen = ["--base-template", LAB, "--out", str(tmp_path / "m")]
    assert main(["merge", str(several), "--base", "lab:base", *chosen]) == 0
    assert "Question: " in AutoTokenizer.from_pretrained(tmp_path / "m").chat_template


def test_serve_feeds_the_recorded_template(veneer):
    base, veneered = ServeCommand(model="lab:base", veneer=str(veneer)).served()
    for served in (base, veneered):
        ids = served.of_messages([{"role": "user", "content": TYPED[0]}]).ids
        assert list(ids) == PlainFormat(LAB).encode_text(
            served.lm.tokenizer, LAB.replace("{prompt}", TYPED[0])
        )


def test_plain_transformers_answers_from_the_merged_folder_as_veneer_generate(
    veneer, typed, tmp_path
):
    out = tmp_path / "merged"
    assert main(["merge", str(veneer), "--base", "lab:base", "--out", str(out)]) == 0
    wanted = answers("lab:base", typed, tmp_path / "a.jsonl", "--veneer", str(veneer))
    # no option
    assert [r.token_ids for r in answers(str(out), typed, tmp_path / "b.jsonl")] == [
        r.token_ids for r in wanted
    ]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    fitted = PlainFormat(LAB)
    for text, answer in zip(TYPED, wanted, strict=True):
        turns = [{"role": "user", "content": text}]
        given = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        ids = given["input_ids"][0].tolist()
        assert ids == fitted.encode_text(
            load_model("lab:base").tokenizer, LAB.replace("{prompt}", text)
        )
        assert ids.count(tokenizer.bos_token_id) <= 1
        with torch.inference_mode():
            whole = model.generate(**given, max_new_tokens=int(LENGTH), do_sample=False)[0].tolist()
        assert whole[len(ids) :] == list(answer.token_ids)
    assert merge_again(veneer, out) == 0
    (served,) = ServeCommand(model=str(out)).served()
    assert list(
        served.of_messages([{"role": "user", "content": TYPED[0]}]).ids
    ) == tokenizer.apply_chat_template(
        [{"role": "user", "content": TYPED[0]}], add_generation_prompt=True, return_dict=False
    )


def merge_again(veneer: Path, out: Path) -> int:
    return main(["merge", str(veneer), "--base", "lab:base", "--out", str(out)])


def test_a_veneer_without_a_record_merges_as_before(veneer, tmp_path):
    v = Veneer.load(veneer)
    del v.facts["templates"]
    old, out = v.save(tmp_path / "old"), tmp_path / "merged"
    assert merge_again(old, out) == 0
    assert (
        AutoTokenizer.from_pretrained(out).chat_template
        == load_model("lab:base").tokenizer.chat_template
    )
    assert "base_format" not in json.loads((out / "run.json").read_text())


def test_capture_has_the_option_under_both_names(tmp_path, capsys):
    words = [
        "capture",
        *PAIR,
        "--prompts",
        "lab-sums",
        "--limit",
        "3",
        "--dry-run",
        "--out",
        str(tmp_path / "c"),
    ]
    shown = []
    for more in (
        ["--base-template", "user"],
        ["--prompt-template", "user"],
        ["--prompt-template", "published"],
        [],
    ):
        assert main([*words, *more]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] != shown[2] == shown[3]
    assert main([*words, "--base-template", "user", "--prompt-template", "user"]) == 2
    assert "give one of them" in capsys.readouterr().err
