"""A System under lm-evaluation-harness: its own loops, our numbers, the rows and the command."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from types import SimpleNamespace

import lm_eval
import pytest
import torch
from harness import sums, write_tasks
from lm_eval.tasks import TaskManager

from checkpoints import save
from edits import rotate, word
from pairs import prompts
from tiny import tiny
from veneer.adapters.lm_eval import VeneerLM
from veneer.adapters.lm_eval_rows import evaluate_with_lm_eval
from veneer.cli import main
from veneer.foundation.errors import InputError
from veneer.foundation.results import Results
from veneer.head.veneer import Veneer
from veneer.measures.choice import score_choices
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.load import load_model
from veneer.systems.in_context import in_context_format
from veneer.systems.likelihood import encode_pair
from veneer.systems.respond import respond
from veneer.systems.system import System
from veneer.tasks.task import Task


@pytest.fixture(scope="module")
def base() -> System:
    return System.of_model(load_model("lab:base"))


@pytest.fixture(scope="module")
def aligned() -> System:
    lm = load_model("lab:aligned")
    return System("aligned", lm, ChatFormat(), lm.stop_ids)


def evaluate(system: System, names: list[str], tasks, **words):
    how = {
        "task_manager": TaskManager(include_path=str(tasks), include_defaults=False),
        "bootstrap_iters": 0,
        **words,
    }
    return lm_eval.simple_evaluate(model=VeneerLM(system, batch_size=5), tasks=names, **how)


def instances(*args):
    return [SimpleNamespace(args=a) for a in args]


def test_the_harness_runs_and_agrees_with_its_own_model(base, tasks):
    """lm-eval's HFLM over the same model gives the same figures and, to rounding, the same
    log-likelihoods."""
    from lm_eval.models.huggingface import HFLM

    names = ["local_sums", "local_choice"]
    ours = evaluate(base, names, tasks)
    theirs = lm_eval.simple_evaluate(
        model=HFLM(pretrained=base.lm.model, tokenizer=base.lm.tokenizer, batch_size=1),
        tasks=names,
        bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
    )
    for name in names:
        for a, b in zip(ours["samples"][name], theirs["samples"][name], strict=True):
            if name == "local_sums":
                assert a["filtered_resps"] == b["filtered_resps"]
            elif name == "local_choice":
                for x, y in zip(a["filtered_resps"], b["filtered_resps"], strict=True):
                    assert x[0] == pytest.approx(y[0], abs=1e-3) and x[1] == y[1]
        keys = [k for k in ours["results"][name] if "," in k and "stderr" not in k]
        assert keys
        for key in keys:
            assert ours["results"][name][key] == pytest.approx(
                theirs["results"][name][key], rel=1e-4
            )
    # of a text by itself the harness' own model reads a second BOS, unless it is told not to
    ours = evaluate(base, ["local_text"], tasks)
    theirs = lm_eval.simple_evaluate(
        model=HFLM(
            pretrained=base.lm.model, tokenizer=base.lm.tokenizer, batch_size=1, add_bos_token=False
        ),
        tasks=["local_text"],
        bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
    )
    for key in ("word_perplexity,none", "bits_per_byte,none"):
        assert ours["results"]["local_text"][key] == pytest.approx(
            theirs["results"]["local_text"][key], rel=1e-4
        )


def test_the_harness_makes_the_model_from_its_name(base, tasks):
    """`--model veneer`: the same figures as of the object, and the harness' own names stay."""
    import veneer.adapters.lm_eval_named  # noqa: F401  # registers the name

    assert lm_eval.api.registry.get_model("hf").__name__ == "HFLM"
    how = {
        "task_manager": TaskManager(include_path=str(tasks), include_defaults=False),
        "bootstrap_iters": 0,
        "limit": 4,
    }
    named = lm_eval.simple_evaluate(
        model="veneer", model_args="pretrained=lab:base", tasks=["local_choice"], **how
    )
    ours = evaluate(base, ["local_choice"], tasks, limit=4)
    assert named["results"]["local_choice"] == ours["results"]["local_choice"]
    with pytest.raises(InputError, match="found the option 'pretraind' of --model veneer"):
        lm_eval.simple_evaluate(
            model="veneer",
            model_args="pretrained=lab:base,pretraind=x",
            tasks=["local_choice"],
            **how,
        )


@pytest.mark.parametrize(
    ("words", "rendered", "warned"),
    [({}, False, True), ({}, True, False), ({"template": "plain"}, False, False)],
)
def test_a_named_model_says_where_it_reads_plain_text(words, rendered, warned, caplog):
    from veneer.adapters.lm_eval_named import NamedVeneerLM

    caplog.set_level(logging.WARNING, "veneer")
    lm = NamedVeneerLM("lab:aligned", **words)
    text = lm.apply_chat_template([{"role": "user", "content": "Hi"}]) if rendered else "Hi"
    lm.loglikelihood(instances((text, " one"), (text, " two")))
    advice = "give template=chat for the template, or template=plain"
    assert caplog.text.count(advice) == warned


def test_the_same_prompts_give_veneers_own_numbers(base, tasks, tmp_path):
    """Answers and likelihoods through the harness are those of respond() and score_choices()."""
    questions = sums(12)
    own = respond(base, questions, Sampling(max_new_tokens=40), stop_strings=("Question:",))
    result = evaluate(base, ["local_sums", "local_choice"], tasks)
    assert [s["resps"][0][0] for s in result["samples"]["local_sums"]] == [r.text for r in own]
    right = [p.reference["answer"] == _last(r.text) for p, r in zip(questions, own, strict=True)]
    rows = evaluate_with_lm_eval([base], ["local_sums"], tasks)
    assert [(r.metric, r.value, r.n, r.unit) for r in rows] == [
        ("exact_match,last-number", sum(right) / 12, 12, "share")
    ]
    assert rows[0].low is not None and rows[0].high is not None and rows[0].low < rows[0].high
    choice = [json.loads(line) for line in (tasks / "rows.jsonl").read_text().splitlines()]
    given = [
        replace(p, reference={"choices": c["choices"], "answer": c["right"]})
        for p, c in zip(questions, choice, strict=True)
    ]

    class Choosing(Task):
        name = "choosing"

        def prompts(self, split):
            return given

    values = score_choices(base, Choosing(), given).values
    assert [s["acc"] for s in result["samples"]["local_choice"]] == values["accuracy"].tolist()
    assert [s["acc_norm"] for s in result["samples"]["local_choice"]] == values[
        "accuracy_norm"
    ].tolist()


def _last(text: str) -> str | None:
    import re

    matches = re.findall(r"-?[0-9]+", text)
    return matches[-1] if matches else None


def test_rows_of_three_systems_with_portions(base, aligned, tasks, tmp_path):
    lm = base.lm
    bias = torch.zeros(lm.head.rows).index_fill_(0, torch.tensor([7]), 9.0)
    veneer = System.of_model(lm, Veneer.of_bias(lm.head.hash(), lm.head.width, bias))
    out = tmp_path / "samples"
    rows = Results(
        evaluate_with_lm_eval(
            [base, veneer, aligned], ["local_group", "local_text", "local_sums"], tasks, 6, out
        )
    )
    for task in ("local_group", "local_choice"):
        assert len(rows.where(task=task, metric="acc")) == 3
        assert rows.where(task=task, metric="acc", system="base")[0].n == 6
        portion = rows.where(task=task, metric="portion", of="acc")
        assert [r.system for r in portion] == ["veneer"] and (
            portion[0].value is not None or portion[0].note
        )
    for metric in ("word_perplexity", "bits_per_byte"):
        row = rows.where(task="local_text", metric=metric, system="base")[0]
        assert row.low < row.value < row.high and "version 1.0" in row.note
    before = {p: p.stat().st_mtime_ns for p in out.iterdir()}
    assert {p.name for p in before} == {"base.jsonl", "veneer.jsonl", "aligned.jsonl"}
    again = evaluate_with_lm_eval(
        [base, veneer, aligned], ["local_group", "local_text", "local_sums"], tasks, 6, out
    )
    assert list(rows) == again and before == {p: p.stat().st_mtime_ns for p in out.iterdir()}
    with pytest.raises(InputError, match="other settings"):
        evaluate_with_lm_eval([base], ["local_choice"], tasks, 6, out)


def test_documents_of_one_text_are_one_cluster(base, tmp_path):
    tasks = write_tasks(tmp_path / "tasks", 4)
    data = tasks / "rows.jsonl"
    once = data.read_text(encoding="utf-8")
    alone = Results(evaluate_with_lm_eval([base], ["local_choice", "local_text"], tasks))
    # a repeated document may carry another number of its own
    again = [{**json.loads(line), "id": 1} for line in once.splitlines()]
    data.write_text(once * 2 + "".join(json.dumps(r) + "\n" for r in again), encoding="utf-8")
    out = tmp_path / "samples"
    rows = evaluate_with_lm_eval([base], ["local_choice", "local_text"], tasks, out=out)
    for row in rows:
        (one,) = alone.where(task=row.task, metric=row.metric)
        assert row.value == pytest.approx(one.value) and (row.n, one.n) == (12, 4)
        assert row.fact("estimate")["groups"] == 4, "the row says what its interval rests on"
        if row.task == "local_text":
            assert (row.low, row.high) == pytest.approx((one.low, one.high))
        else:
            assert row.high - row.low >= one.high - one.low - 1e-9
    kept = evaluate_with_lm_eval([base], ["local_choice", "local_text"], tasks, out=out)
    assert kept == rows, "read from the samples on disk"


def test_samples_of_an_edited_model_are_refused(tasks, tmp_path):
    model, out = save(tmp_path / "model"), tmp_path / "samples"

    def again(form):
        system = System.of_model(load_model(model), format=form)
        return evaluate_with_lm_eval([system], ["local_choice"], tasks, 3, out)

    assert again(ChatFormat()) == again(ChatFormat())
    rotate(model)
    with pytest.raises(InputError, match=r"something else: model \(.*10000.0 there, 500.0 here"):
        again(ChatFormat())
    word(model)
    with pytest.raises(InputError, match="other settings"):
        again(ChatFormat())


def test_contexts_stand_in_the_systems_own_format():
    system = System.of_model(tiny())
    chat = replace(system, format=ChatFormat())
    fenced = replace(system, format=in_context_format("system-prompt"))
    seen = []
    for one in (system, chat, fenced):
        lm = VeneerLM(one)
        pairs = [encode_pair(one, prompts(1)[0], "one" if one is chat else " one")]
        lm._loglikelihood_tokens = lambda requests, **k: (
            seen.append([r[1:] for r in requests]) or [(0.0, True)]
        )  # type: ignore[method-assign]
        lm.loglikelihood(instances((prompts(1)[0].plain, " one")))
        assert seen[-1] == pairs


def test_chat_templates_of_the_harness_are_rendered_once():
    """One BOS, and the same ids as the system's own chat format gives."""
    system = replace(System.of_model(tiny()), format=ChatFormat("help"))
    lm = VeneerLM(system)
    prompt = prompts(1)[0]
    text = lm.apply_chat_template(list(prompt.messages))
    reading = lm._reading(text)
    assert reading.format.encode(lm.tokenizer, replace(prompt, plain=text)) == system.format.encode(
        lm.tokenizer, prompt
    )
    assert lm._reading("another") is system
    one, other = lm.generate_until(
        instances((text, {"max_gen_toks": 5}), (prompt.plain, {"max_gen_toks": 5}))
    )
    assert one == other
    fenced = VeneerLM(replace(system, format=in_context_format("system-prompt")))
    open_fence = fenced.apply_chat_template(list(prompt.messages))
    assert open_fence.endswith("# Answer:\n```\n")
    begun = [*prompt.messages, {"role": "assistant", "content": "The sum is"}]  # a gen_prefix
    assert fenced.apply_chat_template(begun, False) == open_fence + "The sum is"
    assert (
        VeneerLM(replace(system, format=PlainFormat())).chat_template(True)
        == lm.tokenizer.chat_template
    )


def test_an_aligned_system_under_apply_chat_template(aligned, tasks):
    own, harness = (
        evaluate(aligned, ["local_sums"], tasks, limit=4, apply_chat_template=a)
        for a in (False, True)
    )
    one, other = ([s["resps"] for s in r["samples"]["local_sums"]] for r in (own, harness))
    assert one == other


def test_long_texts_are_read_in_windows_and_long_prompts_lose_their_beginning(caplog):
    system = System.of_model(tiny(max_position_embeddings=24))
    lm = VeneerLM(system)
    text = "The cat sat on the mat. " * 4
    ids = lm.tok_encode(text)
    assert len(ids) > 24
    scores = lm.loglikelihood_rolling(instances((text,), ("one",)))
    total, at = 0.0, 0
    first = [lm.prefix_token_id, *ids]
    # each token once, the first window from BOS, the later ones behind as much text as fits
    while at < len(ids):
        end = min(at + 24, len(ids))
        start = max(0, end - 24)
        with torch.inference_mode():
            logp = (
                system.lm.model(input_ids=torch.tensor([first[start:end]]))
                .logits[0]
                .double()
                .log_softmax(-1)
            )
        total += sum(float(logp[i - start, ids[i]]) for i in range(at, end))
        at = end
    assert scores[0] == pytest.approx(total, abs=2e-3)
    alone, cut = lm.loglikelihood(instances((text, " one"), ("x " * 50 + text, " one")))
    assert alone[0] == pytest.approx(cut[0], abs=1e-4)
    assert len(lm.generate_until(instances((text, {"max_gen_toks": 4})))) == 1
    assert sum("lose their beginning" in r.message for r in caplog.records) == 1


def test_generation_words():
    lm = VeneerLM(System.of_model(tiny()), seed=3)
    settings = lm._sampling({"until": "x", "max_new_tokens": 9, "temperature": 0.7})
    assert settings == (("x",), Sampling(9, 0.0, 1.0, 3))  # greedy unless do_sample says so
    assert lm._sampling(
        {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "until": ["a", ""]}
    ) == (("a",), Sampling(256, 0.7, 0.9, 3))
    assert lm._sampling({"do_sample": True})[1].temperature == 1.0
    with pytest.raises(InputError, match="beam search"):
        lm._sampling({"num_beams": 4})
    words = {
        "do_sample": True,
        "temperature": 0.5,
        "top_k": 5,
        "min_p": 0.1,
        "repetition_penalty": 1.1,
        "max_gen_toks": 4,
    }
    assert lm._sampling(words)[1] == Sampling(
        4, 0.5, 1.0, 3, top_k=5, min_p=0.1, repetition_penalty=1.1
    )
    assert lm._sampling({**words, "do_sample": False})[1] == Sampling(
        4, seed=3, repetition_penalty=1.1
    )
    with pytest.raises(InputError, match="typical_p"):
        lm._sampling({"do_sample": True, "typical_p": 0.5})
    first, second = (
        lm.generate_until(instances(("How", {"do_sample": True, "max_gen_toks": 6})))
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    ("names", "path", "message"), [([], None, "no task"), (["a"], "/none", "no folder /none")]
)
def test_bad_input(names, path, message, base):
    with pytest.raises(InputError, match=message):
        evaluate_with_lm_eval([base], names, path)


@pytest.mark.slow
def test_an_unknown_name(base):
    """Slow because the harness lists its thousands of tasks first."""
    with pytest.raises(InputError, match="knows no task 'unknown'"):
        evaluate_with_lm_eval([base], ["unknown"])


def test_the_command(tasks, tmp_path, capsys):
    out = tmp_path / "out"
    words = [
        "lm-eval",
        "--base",
        "lab:base",
        "--aligned",
        "lab:aligned",
        "--tasks",
        f"local_choice,{tasks / 'sums.yaml'}",
        "--include-path",
        str(tasks),
        "--limit",
        "4",
        "--out",
        str(out),
    ]
    assert main(words) == 0
    output = capsys.readouterr().out
    assert (
        "local_sums" in output
        and "exact_match,last-number" in output
        and (out / "report.html").is_file()
    )
    rows = Results.read(out / "results.jsonl")
    assert {r.system for r in rows} == {"base", "aligned"} and {r.study for r in rows} == {
        "lm-eval"
    }
    files = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    assert main(words) == 0 and files == {
        p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()
    }
    assert main([*words, "--seed", "1"]) == 2
    words[-1] = str(tmp_path / "other")
    words[6] = "unknown.yaml"
    assert main(words) == 2 and "there is no file unknown.yaml" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_names_that_stand_in_a_file_without_an_ending_are_names():
    """As tags that the files share through `include`: 28 of the harness' 14,683 names."""
    from veneer.adapters.lm_eval_rows import _unnamed

    assert _unnamed(["mgsm_cot_native", "no such task", "hellaswag"]) == ["no such task"]
