"""The rows of tokens.jsonl: lists of one length, groups where a model moves, and answers whose
tokens are not known."""

import torch

from pairs import plain_pair, prompts
from veneer.head.veneer import Veneer
from veneer.measures.shift_groups import ShiftGroup
from veneer.studies.portion.browser_tokens import token_rows
from veneer.systems.responses import Response


def test_rows_of_a_local_system_and_of_one_without_tokens():
    pair = plain_pair(change=0.3)
    draw = torch.Generator().manual_seed(1)
    veneer = Veneer(
        pair.base.head.hash(),
        pair.base.head.rows,
        0.2 * torch.randn(pair.base.head.weight.shape, generator=draw),
    )
    ids = pair.base.tokenizer("one two three", add_special_tokens=False)["input_ids"]
    said = [
        Response("p0", 0, "base", "prompts", "one two three", tuple(ids), "stop", 0),
        Response("p0", 0, "endpoint", "prompts", "one two three", (), "stop", 0),
        Response("p1", 0, "endpoint", "prompts", "", (), "stop", 0),
    ]
    local, remote, empty = token_rows(pair, veneer, prompts(2), said)
    assert remote["tokens"] == local["tokens"] and remote["group"] == local["group"]
    for row in (local, remote, empty):
        sizes = {len(row[k]) for k in ("tokens", "kl_base", "kl_veneer", "shift", "group")}
        assert sizes == {len(row["top"]["base"])}
    assert empty["tokens"] == []
    for at, group in enumerate(local["group"]):
        tops = {local["top"][name][at][0][0] for name in ("base", "veneer", "aligned")}
        assert (group is None) == (len(tops) == 1) and (group is None or group in set(ShiftGroup))
    assert any(local["group"])
