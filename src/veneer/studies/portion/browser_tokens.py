"""The response browser's data: a choice of prompts, the systems' answers token by token, and
what base, veneer and aligned make of each token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from veneer.head.veneer import Veneer
from veneer.measures.given_texts import TextModel, exact_kl
from veneer.measures.shift_groups import CONTEXT_TOKENS, shift_group
from veneer.measures.shifts import CLASSES, shift_classes
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.systems.responses import Response

SHOWN = 5  # most likely tokens per system
WRITES_ALIGNED_IDS = ("aligned", "aligned-plain")  # systems whose token ids are the aligned model's


@torch.inference_mode()
def token_rows(
    pair: Pair,
    veneer: Veneer,
    prompts: Sequence[Prompt],
    responses: Sequence[Response],
    progress: Callable[[int, int, str], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """A row of tokens.jsonl a response (docs/architecture.md): KL(aligned || base) and KL(aligned
    || veneer) in nats over the whole shared vocabulary at each position of the answer, whichever
    system wrote it. A thought in front of the answer is read, but not shown."""
    by_id = {p.id: p for p in prompts}
    base, aligned = TextModel.base_of(pair), TextModel.aligned_of(pair)
    veneered = replace(base, head=veneer.apply(base.head))
    for number, response in enumerate(responses):
        prompt = by_id[response.prompt_id]
        ids = list(response.token_ids)
        if not ids and response.text:  # the system does not give its tokens
            ids = list(pair.base.tokenizer(response.text, add_special_tokens=False)["input_ids"])
        elif response.system in WRITES_ALIGNED_IDS:
            ids = pair.vocabulary.ids_from_other(ids)
        (states,) = base.states([pair.base_format.encode(pair.base.tokenizer, prompt)], [ids])
        (aligned_states,) = aligned.states(
            [pair.aligned_format.encode(pair.aligned.tokenizer, prompt)], [ids]
        )
        logs = {
            "base": base.logits(states).log_softmax(-1),
            "veneer": veneered.logits(states).log_softmax(-1),
            "aligned": aligned.logits(aligned_states).log_softmax(-1),
        }
        start = _answer_start(pair, ids, response)
        ids, logs = ids[start:], {name: log[start:] for name, log in logs.items()}
        yield {
            "prompt_id": response.prompt_id,
            "task": response.task,
            "prompt": prompt.messages[-1]["content"],
            "system": response.system,
            "text": response.text,
            "finish_reason": response.finish_reason,
            **({"reasoning": response.reasoning} if response.reasoning is not None else {}),
            "tokens": [_name(pair, i) for i in ids],
            "kl_base": _kl(logs["aligned"], logs["base"]),
            "kl_veneer": _kl(logs["aligned"], logs["veneer"]),
            "shift": _classes(logs["aligned"], logs["base"]),
            "group": _groups(pair, ids, logs),
            "top": {name: _top(pair, log) for name, log in logs.items()},
        }
        if progress:
            progress(number + 1, len(responses), "tokens")


def _answer_start(pair: Pair, ids: Sequence[int], response: Response) -> int:
    """The place of the answer's first token: 0 without a thought, behind the last token where a
    thought is all there is."""
    answer = response.text.strip()
    if response.reasoning is None or not answer:
        return 0 if response.reasoning is None else len(ids)
    tails = (
        t
        for t in range(len(ids) - 1, -1, -1)
        if answer in pair.base.tokenizer.decode(ids[t:], skip_special_tokens=True)
    )
    return next(tails, 0)


def _name(pair: Pair, token: int) -> str:
    return pair.base.tokenizer.decode([token])


def _kl(p: Tensor, q: Tensor) -> list[float]:
    """(T,) from log-probabilities (T, V), rounded to what a reader can use."""
    return [round(x, 4) for x in exact_kl(p, q).clamp(min=0).tolist()]


def _classes(aligned: Tensor, base: Tensor) -> list[str]:
    three = base.topk(3, dim=-1).indices.cpu().numpy()
    return [
        CLASSES[k]
        for k in shift_classes(
            np.asarray(aligned.argmax(-1).cpu()), three[:, 0], three[:, 1], three[:, 2]
        )
    ]


def _groups(pair: Pair, ids: Sequence[int], logs: dict[str, Tensor]) -> list[str | None]:
    """The group of the shift at each position (shift_groups.shift_group), None where neither veneer
    nor aligned model moves."""
    tops = [logs[name].argmax(-1).tolist() for name in ("base", "veneer", "aligned")]
    out: list[str | None] = []
    for at, (base, veneer, aligned) in enumerate(zip(*tops, strict=True)):
        if base == veneer == aligned:
            out.append(None)
            continue
        context = pair.base.tokenizer.decode(ids[max(0, at - CONTEXT_TOKENS) : at])
        group = shift_group(_name(pair, base), _name(pair, veneer), _name(pair, aligned), context)
        out.append(group and group.value)
    return out


def _top(pair: Pair, log: Tensor) -> list[list[list[Any]]]:
    values, ids = log.topk(SHOWN, dim=-1)
    return [
        [[_name(pair, i), round(p, 3)] for i, p in zip(row, probabilities, strict=True)]
        for row, probabilities in zip(ids.tolist(), values.exp().tolist(), strict=True)
    ]
