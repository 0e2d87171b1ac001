"""Answers: their order, going on after a cut, memory that runs out, stop strings, barred end
tokens, and text that survives a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pairs import chat_pair, plain_pair, prompts
from tiny import tiny
from veneer.foundation.errors import InputError, VeneerError
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.head import Head
from veneer.prompts.prompt import Prompt
from veneer.systems import Response, System, read_responses, write_responses
from veneer.systems.respond import respond
from veneer.systems.system import NO_EMPTY_STEPS, control_systems

LIMIT = Sampling(max_new_tokens=8)


@pytest.fixture(scope="module")
def base() -> System:
    return System.of_model(tiny())


def count_batches(monkeypatch, fail: int | None = None) -> list[int]:
    """Sizes of the batches that were decoded; memory runs out for more than `fail` prompts."""
    real, sizes = System.decode, []

    def decode(self, prompts, *args):
        if fail is not None and len(prompts) > fail:
            raise torch.OutOfMemoryError("out of memory")
        sizes.append(len(prompts))
        return real(self, prompts, *args)

    monkeypatch.setattr(System, "decode", decode)
    return sizes


def test_a_model_with_a_chat_template_that_reads_plain_text_says_so(caplog):
    pair = chat_pair()
    System.of_model(pair.aligned)
    assert [r.getMessage() for r in caplog.records] == [
        f"veneer: {pair.aligned.name} has a chat template, but it reads these prompts as plain "
        "text; give format=ChatFormat() for the template, or format=PlainFormat() where plain "
        "text is meant"
    ]
    caplog.clear()
    for form in (ChatFormat(), PlainFormat()):
        System.of_model(pair.aligned, format=form)
    assert not caplog.records


def test_answers_stand_in_the_order_of_the_prompts(base, tmp_path):
    questions = prompts(9)
    alone = [respond(base, [p], LIMIT)[0] for p in questions]
    together = respond(base, questions, LIMIT, batch_size=4, out=tmp_path / "deep" / "o.jsonl")
    assert [r.prompt_id for r in together] == [p.id for p in questions]
    assert together == alone == read_responses(tmp_path / "deep" / "o.jsonl")
    assert {r.system for r in together} == {"base"}
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    "keep",
    ["header", "one batch", "half a line", "half a character", "nothing", "half a header", "all"],
)
def test_a_cut_file_is_completed(keep, base, tmp_path, monkeypatch):
    questions = prompts(10)
    whole = tmp_path / "whole.jsonl"
    expected = respond(base, questions, LIMIT, batch_size=4, out=whole)
    cut, part = tmp_path / "cut.jsonl", tmp_path / "cut.jsonl.part"
    real = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda self, **words: None)
    respond(base, questions, LIMIT, batch_size=4, out=cut)
    monkeypatch.setattr(Path, "unlink", real)
    lines = part.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    cut.unlink()
    new = lines[2].replace(b'"text": "', '"text": "ü'.encode(), 1)
    part.write_bytes(
        {
            "header": lines[0],
            "one batch": b"".join(lines[:2]),
            "half a line": b"".join(lines[:2]) + lines[2][: len(lines[2]) // 2],
            "half a character": b"".join(lines[:2]) + new[: new.index("ü".encode()) + 1],
            "nothing": b"",
            "half a header": lines[0][:9],
            "all": b"".join(lines),
        }[keep]
    )
    sizes = count_batches(monkeypatch)
    assert respond(base, questions, LIMIT, batch_size=4, out=cut) == expected
    assert cut.read_bytes() == whole.read_bytes()
    left = {"one batch": 2, "half a line": 2, "half a character": 2, "all": 0}.get(keep, 3)
    assert len(sizes) == left
    assert not part.exists()


def test_other_settings_are_refused_and_nothing_is_changed(base, tmp_path):
    out = tmp_path / "o.jsonl"
    respond(base, prompts(4), LIMIT, out=out)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    for other in (
        {"sampling": Sampling(9)},
        {"prompts": prompts(5)},
        {"stop_strings": ("x",)},
        {"batch_size": 2},
    ):
        words = {"prompts": prompts(4), "sampling": LIMIT, **other}
        with pytest.raises(InputError, match="other settings"):
            respond(base, words.pop("prompts"), words.pop("sampling"), out=out, **words)
    with pytest.raises(InputError, match="other settings"):
        respond(System.of_model(tiny(seed=3)), prompts(4), LIMIT, out=out)
    (tmp_path / "o.jsonl").rename(tmp_path / "x")
    (tmp_path / "o.jsonl.part").write_text(json.dumps({"settings": "of another"}) + "\n")
    with pytest.raises(InputError, match="other settings"):
        respond(base, prompts(4), LIMIT, out=out)
    assert (tmp_path / "x").read_bytes() == before[out]


def test_where_memory_runs_out_the_batch_is_halved(base, monkeypatch):
    questions = prompts(9)
    expected = respond(base, questions, LIMIT, batch_size=8)
    sizes = count_batches(monkeypatch, fail=3)
    assert respond(base, questions, LIMIT, batch_size=8) == expected
    assert sizes == [2, 2, 2, 2, 1]
    count_batches(monkeypatch, fail=0)
    with pytest.raises(VeneerError, match="memory ran out for a single prompt"):
        respond(base, questions, LIMIT)


def test_an_error_that_is_not_of_memory_is_not_tried_again(base, monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(System, "decode", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        respond(base, prompts(4), LIMIT)


def test_a_stop_string_ends_an_answer_and_is_not_in_it(base):
    questions = prompts(6)
    whole = respond(base, questions, LIMIT)
    source = next(r for r in whole if len(r.text) > 6)
    stop = source.text[3:5]
    cut = {r.prompt_id: r for r in respond(base, questions, LIMIT, stop_strings=[stop])}
    for r in whole:
        assert cut[r.prompt_id].text == r.text.partition(stop)[0]
        if stop in r.text:
            assert cut[r.prompt_id].finish_reason == "stop"
            assert len(cut[r.prompt_id].token_ids) <= len(r.token_ids)


class Eager(Head):
    """Says that the token `END` is likelier than every other."""

    END: int

    def logits(self, hidden):
        out = super().logits(hidden)
        out[..., self.END] = out.max() + 1
        return out


def test_an_end_token_at_once_is_an_empty_answer_unless_it_is_barred():
    """A base that would always end: empty; the control base-no-empty speaks for twelve
    tokens, and then ends."""
    pair = plain_pair()
    end = Eager.END = pair.base.tokenizer.eos_token_id
    head = Eager(pair.base.head.weight)
    (control,) = [s for s in control_systems(pair, None) if s.name == "base-no-empty"]
    control = replace(control, head=head)
    questions = prompts(4)
    for r in respond(
        System("base", pair.base, pair.base_format, pair.stop_ids, head), questions, Sampling(20)
    ):
        assert r.text == "" and r.token_ids == (end,) and r.finish_reason == "stop"
    for r in respond(control, questions, Sampling(20)):
        assert len(r.token_ids) == NO_EMPTY_STEPS + 1 and r.token_ids[-1] == end
        assert not set(r.token_ids[:-1]) & set(pair.stop_ids)
    for r in respond(control, questions, Sampling(5)):
        assert r.finish_reason == "length" and len(r.token_ids) == 5
    usual = {r.prompt_id: r.token_ids[0] for r in respond(control, questions, Sampling(1))}
    barred = Sampling(1, barred=tuple(set(usual.values())), barred_steps=1)
    for r in respond(control, questions, barred):
        assert r.token_ids[0] not in {*usual.values(), end}, (
            "the caller's bars stand beside its own"
        )


def test_controls_read_what_they_should():
    pair = chat_pair()
    controls = {s.name: s for s in control_systems(pair, None)}
    assert set(controls) == {"base-chat", "aligned-plain", "base-no-empty"}
    assert (
        controls["base-chat"].lm is pair.base
        and controls["base-chat"].format == pair.aligned_format
    )
    assert (
        controls["aligned-plain"].lm is pair.aligned
        and controls["aligned-plain"].format == pair.base_format
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\u2028b\u2029c\x85d",
        "\x00\x1f\x7f\x1b[0m",
        "line\r\nline\rline\n",
        "\x0b\x0c\x1c\x1d\x1e",
        "🙂 ü ﷽ \u202e",
        '"\\',
    ],
)
def test_any_text_survives_the_file_and_the_part(text, tmp_path, base, monkeypatch):
    row = Response("p\u2028", 0, "base", "t", text, (1, 2), "stop", 0)
    write_responses(tmp_path / "o.jsonl", [row, row])
    assert read_responses(tmp_path / "o.jsonl") == [row, row]
    assert (tmp_path / "o.jsonl").read_bytes().count(b"\n") == 2
    real, calls = System.decode, []

    def decode(self, prompts, *args):
        calls.append(len(prompts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return [type(d)(d.token_ids, text, d.finish_reason) for d in real(self, prompts, *args)]

    monkeypatch.setattr(System, "decode", decode)
    out = tmp_path / "cut.jsonl"
    questions = [Prompt.from_text(f"p{i}", "cat") for i in range(4)]
    with pytest.raises(KeyboardInterrupt):
        respond(base, questions, LIMIT, batch_size=2, out=out)
    responses = respond(base, questions, LIMIT, batch_size=2, out=out)
    assert len(calls) == 3, "a finished batch was answered again"
    assert [r.text for r in responses] == [text] * 4
    assert read_responses(out) == responses


def test_samples_and_batches_of_none_are_refused(base, tmp_path):
    for words in ({"batch_size": 0}, {"samples": 0}):
        with pytest.raises(InputError, match="expected 1 or more"):
            respond(base, prompts(2), LIMIT, out=tmp_path / "x" / "o", **words)
    with pytest.raises(InputError, match="no prompts"):
        respond(base, [], LIMIT, out=tmp_path / "x" / "o")
    with pytest.raises(InputError, match="context holds"):
        respond(base, [Prompt.from_text("long", "cat " * 4000)], LIMIT, out=tmp_path / "x" / "o")
    assert not (tmp_path / "x").exists()


def test_two_prompts_of_one_id_are_refused(base):
    """Answers are matched to prompts by id, so that the answers of both would be mixed up."""
    two = [Prompt.from_text("7", "A cat"), Prompt.from_text("7", "A dog")]
    with pytest.raises(InputError, match="two prompts have the id '7'"):
        respond(base, two, LIMIT)
