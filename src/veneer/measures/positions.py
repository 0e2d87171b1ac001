"""Where each system differs from the aligned model: KL(aligned || system) by response position, on
the capture's report prompts.

Every system reads the aligned model's stored answers (teacher forcing), behind the prompt in its
own format and through its own head. Its distributions are compared with the stored ones of the
aligned model, tail lumped, as those of base and veneer are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from veneer.capture.artefact import Capture
from veneer.foundation.errors import InputError
from veneer.foundation.results import Measurement
from veneer.head.extract import split_of
from veneer.measures.given_texts import TextModel, texts_of_block
from veneer.measures.held_out import HeldOut, held_out_of
from veneer.measures.kl import early_share_rows, kl_rows, position_rows
from veneer.models.head import Head
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.systems.system import Answering, System

AT_ONCE = 64  # prompts whose hidden states are held together
ELSEWHERE = ("base", "veneer", "aligned", "shuffled")  # their rows come with the extraction


def kl_of_system(
    capture: Capture, system: System, prompts: Sequence[Prompt], pair: Pair, numbers: Sequence[int]
) -> HeldOut:
    """The held-out table with `system` in the place of the veneer (`kl_veneer`, `veneer_top`).

    prompts: the capture's, in its order. numbers: which of them. A system that is base with another
    head in base's format is read off the stored hidden states; any other needs one forward pass.
    Raises InputError where the prompts are not the capture's, or it was made from responses alone.
    """
    capture.need_distributions("KL by position")
    if [(p.task, p.id) for p in prompts] != [(r["task"], r["id"]) for r in capture.prompts]:
        raise InputError(
            f"found {len(prompts)} prompts that are not those of the capture {capture.folder}; "
            "expected its own, in its order"
        )
    head = system.head or system.lm.head
    foreign = system.lm is pair.aligned
    if not foreign:
        head = head.first_rows(pair.vocabulary.size)
    model = TextModel(system.lm, head, pair.vocabulary if foreign else None)
    if system.lm is pair.base and system.format == pair.base_format:
        return held_out_of(capture, _as_stored(head), numbers, device=system.lm.device)

    def read(block: dict[str, torch.Tensor]) -> torch.Tensor:
        """(N, d) in the block's order."""
        answers = texts_of_block(block)
        order = list(answers)
        parts: list[torch.Tensor] = []
        for at in range(0, len(order), AT_ONCE):
            batch = order[at : at + AT_ONCE]
            before = [system.format.encode(system.lm.tokenizer, prompts[n]) for n in batch]
            parts += model.states(before, [answers[n] for n in batch])
        return torch.cat(parts)

    with torch.inference_mode():
        mapped = pair.vocabulary.from_other if foreign else None
        return held_out_of(
            capture, head, numbers, read=read, map_logits=mapped, device=system.lm.device
        )


def _as_stored(head: Head) -> Head:
    """In float32, as the capture's own head is."""
    return Head(
        head.weight.float(),
        None if head.bias is None else head.bias.float(),
        head.scale,
        head.softcap,
    )


def position_system_rows(
    capture: Capture,
    pair: Pair,
    systems: Sequence[Answering],
    prompts: Sequence[Prompt],
    *,
    seed: int = 0,
    tasks: Sequence[str] | None = None,
) -> Iterator[Measurement]:
    """KL, what is recovered of it, top-1 agreement, KL by position and its early share of every
    local system that is not in `ELSEWHERE`, on the report prompts, jointly and by task. A system
    that only bars tokens has base's own distributions and no rows."""
    split = split_of(capture, seed, tuple(tasks) if tasks else None)
    for system in systems:
        if not isinstance(system, System) or system.name in ELSEWHERE or system.barred:
            continue
        table = kl_of_system(capture, system, prompts, pair, split.report)
        names = sorted(set(table.task.values()))
        for task in ("joint", *(names if len(names) > 1 else ())):
            yield from kl_rows(table, task=task, system=system.name, with_base=False, seed=seed)
            yield from position_rows(
                table, task=task, system=system.name, with_base=False, seed=seed
            )
        yield from early_share_rows(
            table, names if len(names) > 1 else (), system=system.name, seed=seed
        )
