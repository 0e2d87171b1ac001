"""KL of any system at the aligned model's own answers, against the definition."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pairs import chat_pair, plain_pair, prompts, small_capture
from tiny import tiny
from veneer.capture.teacher_forcing import response_hidden
from veneer.foundation.errors import InputError
from veneer.foundation.results import Results
from veneer.head.veneer import Veneer
from veneer.measures.held_out import held_out
from veneer.measures.positions import kl_of_system, position_system_rows
from veneer.models.formats import PlainFormat
from veneer.systems.system import System, control_systems


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A pair that differs in its heads, and a capture with as many log-probabilities as there are
    tokens: nothing is lumped."""
    pair = plain_pair(change=0.3)
    questions = prompts(12)
    return (
        pair,
        questions,
        small_capture(tmp_path_factory.mktemp("capture") / "c", pair, n=12, k=pair.base.head.rows),
    )


def test_the_aligned_model_itself_has_no_kl(inputs):
    pair, questions, capture = inputs
    table = kl_of_system(
        capture,
        System("aligned-plain", pair.aligned, PlainFormat(), ()),
        questions,
        pair,
        [1, 4, 7],
    )
    assert sorted(set(table.prompt.tolist())) == [1, 4, 7]
    assert table.kl_veneer.max() < 1e-4 < table.kl_base.mean()
    np.testing.assert_array_equal(table.veneer_top, table.aligned_top)


def test_a_veneer_is_read_off_the_stored_states(inputs, monkeypatch):
    pair, questions, capture = inputs
    draw = torch.Generator().manual_seed(1)
    veneer = Veneer(
        capture.head.hash(),
        capture.head.rows,
        0.1 * torch.randn(capture.head.rows, capture.head.width, generator=draw),
    )
    system = replace(System.of_model(pair.base, veneer), format=pair.base_format)
    monkeypatch.setattr("veneer.measures.given_texts.response_hidden", None)  # not needed
    table, expected = (
        kl_of_system(capture, system, questions, pair, [0, 5]),
        held_out(capture, veneer, [0, 5]),
    )
    np.testing.assert_allclose(table.kl_veneer, expected.kl_veneer, atol=1e-6)
    np.testing.assert_array_equal(table.veneer_top, expected.veneer_top)


def test_another_model_with_the_same_weights_is_base(inputs):
    """As a LoRA of zeros: read by a forward pass, it gives what the stored states give."""
    pair, questions, capture = inputs
    table = kl_of_system(
        capture, System("lora-0", tiny("llama"), PlainFormat(), ()), questions, pair, [2, 3, 9]
    )
    np.testing.assert_allclose(table.kl_veneer, table.kl_base, atol=1e-4)


def test_base_in_another_format_by_definition(inputs):
    pair, questions, capture = inputs
    chat = next(s for s in control_systems(pair, None) if s.name == "base-chat")
    table = kl_of_system(capture, chat, questions, pair, [6])
    (block,) = capture.blocks(("token", "hidden", "position"), [6])
    (hidden,) = response_hidden(
        pair.base,
        [chat.format.encode(pair.base.tokenizer, questions[6])],
        [block["token"].tolist()],
    )
    p = pair.aligned.head.logits(block["hidden"]).double().log_softmax(-1)
    q = pair.base.head.logits(hidden).double().log_softmax(-1)
    np.testing.assert_allclose(table.kl_veneer, (p.exp() * (p - q)).sum(-1), atol=2e-4)


def test_rows_of_all_systems(inputs):
    pair, questions, capture = inputs
    # unique keys, or it raises
    rows = Results(position_system_rows(capture, pair, control_systems(pair, None), questions))
    # base-no-empty has base's distributions
    assert {r.system for r in rows} == {"base-chat", "aligned-plain"}
    kl = {r.system: r.value for r in rows.where(study="extract", metric="kl")}
    assert kl["aligned-plain"] == pytest.approx(0, abs=1e-4) and kl["base-chat"] > 0.1
    share = rows.where(metric="kl_recovered", system="aligned-plain")[0]
    assert share.value == pytest.approx(1, abs=1e-3) and share.n == 1
    at = rows.where(study="position", metric="kl", system="base-chat")
    assert at[0].position == (1, 1) and all(r.split == "report" for r in rows)
    assert rows.where(metric="early_kl_share", system="base-chat")[0].position == (1, 10)


def test_prompts_of_another_capture_are_refused(inputs):
    pair, questions, capture = inputs
    with pytest.raises(InputError, match="not those of the capture"):
        kl_of_system(
            capture, System("base", pair.base, PlainFormat(), ()), questions[1:], pair, [0]
        )


def test_two_formats_and_weights(tmp_path):
    """Base plain, aligned in its chat template: the aligned system reads its own format."""
    pair = chat_pair()
    capture = small_capture(tmp_path / "c", pair, n=5)
    table = kl_of_system(
        capture,
        System("again", pair.aligned, pair.aligned_format, ()),
        prompts(5),
        pair,
        [0, 1, 2, 3, 4],
    )
    assert table.kl_veneer.max() < 1e-3 < table.kl_base.mean()
