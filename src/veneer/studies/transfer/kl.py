"""How far the large base, shifted by the small one's veneer, is from the large aligned model, on
that model's stored answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.foundation.results import Measurement
from veneer.head.veneer import Veneer
from veneer.measures.given_texts import TextModel, texts_of_block
from veneer.measures.held_out import HeldOut, held_out_of
from veneer.measures.kl import NATS, early_share_rows, kl_rows, noise_rows, position_rows
from veneer.models.head import Head
from veneer.models.shift import LogitShift
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.studies.transfer.models import TransferModels
from veneer.studies.transfer.names import STUDY
from veneer.studies.transfer.words import report_part_note
from veneer.systems.alpha import Alpha
from veneer.systems.shifted import shift_of

AT_ONCE = 64  # answers that the small base reads together


class ShiftedReading:
    """What the large base shifted by alpha says at the tokens of a capture's
    answers, for any alpha.

    capture: the large pair's (the large base's hidden states h_L, the large aligned model's
    distributions). prompts: the capture's, in its order. numbers: those whose answers the small
    base reads, once.

    logits_L + alpha * dW h_s (arXiv 2502.04602, transfer) is one linear map of [h_L, alpha h_s,
    alpha]: its matrix is [W_L, dW, b], with the rows of dW (and of a bias-only veneer's b) in the
    large model's ids. The large head's scale and cap come behind it, as in decoding.
    """

    def __init__(
        self,
        capture: Capture,
        models: TransferModels,
        veneer: Veneer,
        prompts: Sequence[Prompt],
        numbers: Sequence[int],
    ):
        self.capture, self.device = capture, models.large.device
        head = capture.head
        shift, _ = shift_of(models.large, models.small, veneer)
        parts = [head.weight, *shift_columns(shift, head.rows)]
        self._head = Head(torch.cat(parts, dim=1), head.bias, head.scale, head.softcap)
        answers = _answers(capture, numbers)
        small = TextModel(models.small, models.small.head, models.vocabulary)
        self._small: dict[int, Tensor] = {}
        for at in range(0, len(numbers), AT_ONCE):
            batch = list(numbers[at : at + AT_ONCE])
            before = [models.small_format.encode(models.small.tokenizer, prompts[n]) for n in batch]
            states = small.states(before, [answers[n] for n in batch])
            self._small |= {n: h.float().cpu() for n, h in zip(batch, states, strict=True)}

    def held_out(self, alpha: Alpha, numbers: Sequence[int]) -> HeldOut:
        """The held-out table with the shifted system in the veneer's place."""

        def read(block: dict[str, Tensor]) -> Tensor:
            # a prompt's tokens stand together, by position
            order = list(dict.fromkeys(block["prompt"].tolist()))
            shift = torch.cat([self._small[n] for n in order])  # (N, d_small)
            share = torch.tensor(
                [alpha.at(p) for p in block["position"].tolist()], dtype=shift.dtype
            )[:, None]
            return torch.cat([block["hidden"].float(), share * shift, share], dim=1)

        return held_out_of(self.capture, self._head, numbers, read=read, device=self.device)


def shift_columns(shift: LogitShift, rows: int) -> tuple[Tensor, Tensor]:
    """dW (rows, d_small) and bias (rows, 1) of a shift on the first `rows` of the large model's
    vocabulary; zero where it changes none."""
    values = (
        shift.A @ shift.B  # type: ignore[operator]
        if shift.values is None
        else shift.values
    )
    inside = shift.rows < rows
    dW, bias = torch.zeros(rows, values.shape[1]), torch.zeros(rows, 1)
    dW[shift.rows[inside].cpu()] = values[inside].float().cpu()
    if shift.bias is not None:
        bias[shift.rows[inside].cpu(), 0] = shift.bias[inside].float().cpu()
    return dW, bias


def _answers(capture: Capture, numbers: Sequence[int]) -> dict[int, list[int]]:
    """The tokens of the answers to these prompts, by prompt number."""
    answers: dict[int, list[int]] = {n: [] for n in numbers}
    for block in capture.blocks(("prompt", "token"), numbers):
        for n, tokens in texts_of_block(block).items():
            answers[n] += tokens
    return answers


def mean_kl(table: HeldOut) -> intervals.Estimate:
    """KL in nats per token of the system in the veneer's place; the interval
    resamples prompts."""
    return table.ratio(table.kl_veneer, seed=0)


def distance_rows(
    capture: Capture,
    tables: Iterable[tuple[str, Callable[[], HeldOut]]],
    *,
    seed: int,
    facts: Mapping[str, Any] | None = None,
) -> Iterator[Measurement]:
    """Rows of study "transfer": KL, what is recovered of base's, top-1 agreement and KL by position
    of every system, base's and the noise floor with them; jointly and by task. tables: (system, its
    held-out table, made when it is needed). facts: of the rows of what comes of the small veneer,
    so not of base and the large model's own; "report_part" is "unknown" where nobody knows whether
    that veneer saw these prompts."""
    yield from noise_rows(capture, study=STUDY)
    for place, (system, make) in enumerate(tables):
        table, first = make(), place == 0
        names = sorted(set(table.task.values()))
        tasks = names if len(names) > 1 else []
        rows: list[Measurement] = []
        for task in ("joint", *tasks):
            rows += kl_rows(table, task=task, system=system, with_base=first, seed=seed)
            rows += position_rows(table, task=task, system=system, with_base=first, seed=seed)
        rows += early_share_rows(table, tasks, seed=seed) if first else ()
        rows += early_share_rows(table, tasks, system=system, seed=seed)
        for row in rows:
            more = facts if facts and row.system not in ("base", "veneer") else {}
            notes = (row.note, report_part_note(more))
            yield replace(
                row,
                study=STUDY,
                note="; ".join(n for n in notes if n) or None,
                facts={**(row.facts or {}), **more} or None,
            )


def select_rows(tables: dict[str, HeldOut]) -> Iterator[Measurement]:
    """KL on the select part, on which alpha is chosen; and base's."""
    for place, (system, table) in enumerate(tables.items()):
        if place == 0:
            base = table.ratio(table.kl_base, seed=0)
            yield Measurement.estimated(
                base, STUDY, "joint", "kl", "base", split="select", unit=NATS
            )
        yield Measurement.estimated(
            mean_kl(table), STUDY, "joint", "kl", system, split="select", unit=NATS
        )


def baked_rows(rows: Iterable[Measurement]) -> Iterator[Measurement]:
    """What baking keeps of the shift, from the rows of `bake.bake_rows`: KL of base and of
    the baked head from the shifted system that was its teacher, and the share recovered;
    jointly and by task."""
    names = {"kl": "kl_from_shifted", "kl_recovered": "kl_from_shifted_recovered"}
    for row in rows:
        if row.study == "extract" and row.metric in names and row.split == "report":
            yield replace(row, study=STUDY, metric=names[row.metric])
