"""Where two models' weights differ, and by how much: embeddings, each layer's attention and MLP,
the rest, and the head."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from veneer.foundation.files import json_lines, read_json_lines, write_text
from veneer.foundation.results import Measurement
from veneer.models.computation import changes, computation
from veneer.models.language_model import LanguageModel
from veneer.models.layers import layers_name
from veneer.models.split import need_one_device
from veneer.studies.audit.folders_0_1 import part_of_0_1
from veneer.studies.audit.names import AUDITED, STUDY, WEIGHTS
from veneer.studies.audit.words import rank_note, weights_note

ENERGY = 0.9  # share of the squared singular values of a difference that its effective rank holds
ROWS = 8192  # rows of a matrix that are read at a time, in float64
# what mixes tokens, attention or another kind of it
ATTENTION = ("attn", "attention", "mixer", "mamba", "mlstm", "temporal_block")
NORM = re.compile(r"norm|(^|[._])ln(_|\d|\.|$)")
EMBEDDINGS, HEAD, TIED, REST = (
    "embeddings",
    "head",
    "embeddings and head (tied)",
    "final norm and rest",
)
HEAD_BIAS = f"{HEAD} bias"
NARROW = {"bfloat16": torch.bfloat16, "float16": torch.float16}  # what checkpoints are rounded to


@dataclass(frozen=True)
class Change:
    """One group of weights.

    kind: EMBEDDINGS, HEAD, TIED, REST, or of a layer "attention", "MLP" or "norms". layer: its
    number, or None. relative: |C - A| / |A| in Frobenius norm. rank: the largest effective rank of
    its matrices' differences, the number of singular values that hold `ENERGY` of the squares;
    full: the most that it could be. rounded: the type of NARROW where the weights of one model are
    the other's rounded to it and both have the same config and tokenizer; "" otherwise.
    """

    kind: str
    layer: int | None
    relative: float
    rank: int
    full: int
    tensors: int
    parameters: int
    rounded: str = ""

    @property
    def group(self) -> str:
        """Its name, such as "layer 3 MLP"."""
        return self.kind if self.layer is None else f"layer {self.layer} {self.kind}"

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Change:
        """A line of weights.jsonl; those of Veneer 0.1 name the group alone."""
        values = {k: v for k, v in row.items() if k not in ("group", "part")}
        kind = row["part"] if "part" in row else part_of_0_1(str(row.get("group")))
        return cls(kind, **values)

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        return {"group": self.group, "part": values.pop("kind"), **values}


def weight_changes(
    reference: LanguageModel, audited: LanguageModel, out: Path
) -> tuple[list[Change], list[dict[str, Any]]]:
    """Every group's change, in the order of the model, and what could not be compared, as
    `AuditVerdict.left_out` has it. Kept in `out`.

    Tied embeddings are one group where both models tie them; where one model has a head of its own,
    its head is compared with the other's embeddings, which are the other's head.
    """
    for lm in (reference, audited):
        need_one_device(lm.model, "a comparison of weights")
    old, new = _weights(reference), _weights(audited)
    left_out: list[dict[str, Any]] = []
    alone = sorted(set(old) ^ set(new))
    if alone:
        left_out.append({"reason": "weights_of_one", "count": len(alone), "example": alone[0]})
    shapes = [name for name in old if name in new and old[name].shape != new[name].shape]
    if shapes:
        left_out.append({"reason": "weights_shape", "count": len(shapes), "example": shapes[0]})
    if out.is_file():
        rows = read_json_lines(out, "the changes of weights of an audit")
        return [Change.from_json(row) for _, row in rows], left_out
    groups: dict[tuple[str, int | None], list[tuple[Tensor, Tensor]]] = {}
    tied = _is_tied(reference) and _is_tied(audited)
    for name in (n for n in old if n in new and n not in shapes):
        key = _group(name, _layers_prefix(reference), tied)
        if not (tied and name == HEAD):  # the same tensor as the embeddings
            groups.setdefault(key, []).append((old[name], new[name]))
    # a copy computes what the other does: a config that differs moves the model by itself
    may_be_copy = not changes(computation(reference), computation(audited))
    by_group = [
        _change(kind, layer, pairs, may_be_copy)
        for (kind, layer), pairs in sorted(groups.items(), key=lambda item: _place(*item[0]))
    ]
    write_text(out, json_lines(c.to_json() for c in by_group))
    return by_group, left_out


def weight_rows(changes: Iterable[Change]) -> Iterator[Measurement]:
    """A row of each group, and its effective rank where it changed; no prompts stand behind
    them, so n is 0."""
    for c in changes:
        task = f"{WEIGHTS}{c.group}"
        facts: dict[str, Any] = {
            "part": c.kind,
            "layer": c.layer,
            "tensors": c.tensors,
            "parameters": c.parameters,
            **({"rounded": c.rounded} if c.rounded else {}),
        }
        yield Measurement(
            STUDY,
            task,
            "weight_change",
            AUDITED,
            c.relative,
            0,
            unit="of |A|",
            note=weights_note(facts),
            facts=facts,
        )
        if c.relative and c.full:
            facts = {"part": c.kind, "layer": c.layer, "full": c.full, "energy": ENERGY}
            yield Measurement(
                STUDY,
                task,
                "effective_rank",
                AUDITED,
                float(c.rank),
                0,
                unit="rank",
                note=rank_note(facts),
                facts=facts,
            )


def changed_layers(changes: Iterable[Change]) -> list[int]:
    """Numbers of the layers with any change, ascending."""
    return sorted({c.layer for c in changes if c.layer is not None and c.relative > 0})


def _weights(lm: LanguageModel) -> dict[str, Tensor]:
    """Every parameter once by its name; input embeddings and head under names of their own,
    whatever the architecture calls them."""
    embeddings, head = (
        lm.model.get_input_embeddings().weight,
        lm.model.get_output_embeddings().weight,
    )
    ends = {EMBEDDINGS: embeddings.detach(), HEAD: head.detach()}
    pointers = {embeddings.data_ptr(), head.data_ptr()}
    if (bias := getattr(lm.model.get_output_embeddings(), "bias", None)) is not None:
        ends[HEAD_BIAS] = bias.detach()
        pointers.add(bias.data_ptr())
    return ends | {
        name: p.detach() for name, p in lm.model.named_parameters() if p.data_ptr() not in pointers
    }


def _is_tied(lm: LanguageModel) -> bool:
    return (
        lm.model.get_input_embeddings().weight.data_ptr()
        == lm.model.get_output_embeddings().weight.data_ptr()
    )


def _layers_prefix(lm: LanguageModel) -> str:
    return layers_name(lm) + "."


def _group(name: str, prefix: str, tied: bool) -> tuple[str, int | None]:
    """The kind and the layer that a parameter belongs to, by its name in the model."""
    if name in (EMBEDDINGS, HEAD):
        return (TIED if tied else name), None
    if name == HEAD_BIAS:
        return HEAD, None
    if not name.startswith(prefix):
        return REST, None
    number, _, rest = name.removeprefix(prefix).partition(".")
    low = rest.lower()
    if NORM.search(low):
        return "norms", int(number)
    mixes = any(word in low for word in ATTENTION) or low.startswith("conv.")
    return ("attention" if mixes else "MLP"), int(number)


def _place(kind: str, layer: int | None) -> tuple[int, int, str]:
    if layer is not None:
        return (1, layer, kind)
    return ({EMBEDDINGS: 0, TIED: 0, REST: 2}.get(kind, 3), 0, kind)


def _change(
    kind: str, layer: int | None, pairs: Sequence[tuple[Tensor, Tensor]], may_be_copy: bool
) -> Change:
    before = sum(_square(a) for a, _ in pairs)
    after = sum(_square(a, c) for a, c in pairs)
    changed = [(a, c) for a, c in pairs if a.ndim == 2 and not torch.equal(a, c.to(a))]
    ranks = [effective_rank(a, c) for a, c in changed]
    full = max((min(a.shape) for a, _ in (changed or pairs) if a.ndim == 2), default=0)
    relative = (after / before) ** 0.5 if before else 0.0
    return Change(
        kind,
        layer,
        relative,
        max(ranks, default=0),
        full,
        len(pairs),
        sum(a.numel() for a, _ in pairs),
        _rounding(pairs) if relative and may_be_copy else "",
    )


def _rounding(pairs: Sequence[tuple[Tensor, Tensor]]) -> str:
    """The type of NARROW that one model's weights are the other's rounded to; "" where none."""

    def is_copy(a: Tensor, c: Tensor, dtype: torch.dtype) -> bool:
        own, other = a.to(dtype), c.to(a.device, dtype)
        return torch.equal(own, other) and (
            torch.equal(own.to(a), a) or torch.equal(other.to(c), c)
        )

    fits = (n for n, dtype in NARROW.items() if all(is_copy(a, c, dtype) for a, c in pairs))
    return next(fits, "")


def _square(a: Tensor, c: Tensor | None = None) -> float:
    """Sum of squares of a, or of c - a."""
    total = 0.0
    for at in range(0, len(a), ROWS):
        rows = a[at : at + ROWS].double()
        total += float((rows if c is None else c[at : at + ROWS].to(rows) - rows).square().sum())
    return total


def effective_rank(a: Tensor, c: Tensor, energy: float = ENERGY) -> int:
    """Number of singular values of c - a that hold `energy` of their squares, from the smaller Gram
    matrix in float64."""
    if a.shape[0] < a.shape[1]:
        a, c = a.t(), c.t()
    gram = torch.zeros(a.shape[1], a.shape[1], dtype=torch.float64, device=a.device)
    for at in range(0, len(a), ROWS):
        difference = c[at : at + ROWS].to(gram) - a[at : at + ROWS].to(gram)
        gram += difference.t() @ difference
    squares = torch.linalg.eigvalsh(gram).clamp(min=0).flip(0)
    return int((squares.cumsum(0) < energy * squares.sum()).sum()) + 1
