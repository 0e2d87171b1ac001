"""The rows of tokens.jsonl: lists of one length, the KL recomputed, groups where a model moves, and
answers whose tokens are not known."""

import math

import pytest
import torch

from pairs import plain_pair, prompts
from shifting import some_veneer
from tiny import tiny
from veneer.foundation.errors import VeneerError
from veneer.head.veneer import Veneer
from veneer.measures.answer_tokens import ShownAnswer, TokenReader, text_row, token_rows
from veneer.measures.shift_groups import ShiftGroup
from veneer.models.formats import PlainFormat
from veneer.models.pair import Pair
from veneer.systems.responses import Response
from veneer.systems.system import pair_systems

TEXT = "one two three"


@pytest.fixture(scope="module")
def reader():
    pair = plain_pair(change=0.3)
    draw = torch.Generator().manual_seed(1)
    change = 0.2 * torch.randn(pair.base.head.weight.shape, generator=draw)
    veneer = Veneer(pair.base.head.hash(), pair.base.head.rows, change)
    return TokenReader.of_pair(pair, pair_systems(pair, veneer))


def answers(reader):
    ids = reader.lm.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    first, second = prompts(2)
    pairs = [
        (first, Response("p0", 0, "base", "prompts", TEXT, tuple(ids), "stop", 0)),
        (first, Response("p0", 0, "endpoint", "prompts", TEXT, (), "stop", 0)),
        (second, Response("p1", 0, "endpoint", "prompts", "", (), "stop", 0)),
    ]
    return [ShownAnswer(prompt, response) for prompt, response in pairs]


def test_rows_of_a_local_system_and_of_one_without_tokens(reader):
    local, remote, empty = token_rows(reader, answers(reader))
    assert remote["tokens"] == local["tokens"] and remote["group"] == local["group"]
    for row in (local, remote, empty):
        sizes = {len(row[k]) for k in ("tokens", "kl_base", "kl_veneer", "shift", "group")}
        assert sizes == {len(row["top"]["base"])}
    assert empty["tokens"] == [] and "scores" not in empty
    for at, group in enumerate(local["group"]):
        tops = {local["top"][name][at][0][0] for name in ("base", "veneer", "aligned")}
        assert (group is None) == (len(tops) == 1) and (group is None or group in set(ShiftGroup))
    assert any(local["group"])


def test_kl_is_that_of_whole_distributions(reader):
    """Recomputed with plain transformers calls, one forward pass of each model."""
    answer = answers(reader)[0]
    (row,) = reader.rows([answer])
    logs = {}
    for name, system in reader.systems.items():
        before = system.format.encode(system.lm.tokenizer, answer.prompt)
        ids = torch.tensor([[*before, *answer.response.token_ids]])
        hidden = system.lm.model(ids, output_hidden_states=True).hidden_states[-1][0]
        weight = (system.head or system.lm.head).weight
        logits = hidden[len(before) - 1 : -1].double() @ weight.double().T
        logs[name] = logits.log_softmax(-1)
    for name in ("base", "veneer"):
        kl = (logs["aligned"].exp() * (logs["aligned"] - logs[name])).sum(-1)
        assert row[f"kl_{name}"] == pytest.approx(kl.tolist(), abs=2e-4)
    assert max(row["kl_base"]) > 0.01 and all(map(math.isfinite, row["kl_veneer"]))


def test_answers_to_one_prompt_are_read_together(reader):
    """Whatever their order; a row is that of its answer read alone."""
    ids = reader.lm.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    mixed = [
        ShownAnswer(prompt, Response(prompt.id, 0, system, "prompts", TEXT, own, "stop", 0))
        for system, own in (("base", tuple(ids)), ("veneer", (*ids, *ids)), ("other", ids[1:]))
        for prompt in prompts(2)
    ]
    lengths = []
    rows = list(token_rows(reader, mixed, lambda done, *_: lengths.append(done)))
    assert lengths == [3, 6]
    for answer, row in zip(mixed, rows, strict=True):
        (alone,) = reader.rows([answer])
        assert (row["prompt_id"], row["system"]) == (answer.prompt.id, answer.response.system)
        assert row["tokens"] == alone["tokens"] and row["shift"] == alone["shift"]
        for name in ("kl_base", "kl_veneer"):
            assert row[name] == pytest.approx(alone[name], abs=2e-4)


def test_a_row_without_models_holds_the_text(reader):
    answer = ShownAnswer(
        answers(reader)[0].prompt, answers(reader)[0].response, {"refusal_rate": 1}
    )
    row = text_row(answer)
    assert row["text"] == TEXT and row["scores"] == {"refusal_rate": 1} and "tokens" not in row


@pytest.mark.parametrize("fewer", ["aligned", "base"])
def test_an_answer_is_read_up_to_a_padding_row_that_one_model_lacks(fewer):
    """A base whose padding rows are zeros gives them where all its other logits are negative."""
    rows = {"base": 400, "aligned": 400, fewer: 390}
    base, aligned = (tiny(rows=rows[name], seed=i) for i, name in enumerate(("base", "aligned")))
    pair = Pair(base, aligned, PlainFormat(), PlainFormat())
    veneer = some_veneer(base)
    reader = TokenReader.of_pair(pair, pair_systems(pair, veneer))
    system = "base" if fewer == "aligned" else "aligned"
    ids = base.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    answers = [
        ShownAnswer(
            prompts(1)[0], Response("p0", 0, system, "prompts", TEXT, token_ids, "length", 0)
        )
        for token_ids in (tuple(ids), (*ids, 395, *ids), (395, 395))
    ]
    whole, cut, empty = token_rows(reader, answers)
    assert cut == whole and empty["tokens"] == []
    with pytest.raises(VeneerError, match="the first model produced the id 395, which is not in"):
        pair.vocabulary.ids_to_other([3, 395])
