"""Log-probabilities of a prompt's own tokens, exact over the whole vocabulary, and of the one token
that follows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from veneer.foundation.errors import VeneerError
from veneer.models.decode import Row, Token
from veneer.models.sampling import NO_TOKEN, Answer, choose
from veneer.serve.answers import ScoredToken
from veneer.serve.served import PromptIds, Served

# one token: its log-probability, and the most likely ones
Position = tuple[float, tuple[tuple[int, float], ...]]


@torch.inference_mode()
def score_prompts(
    served: Served, prompts: Sequence[PromptIds], top: int
) -> list[tuple[list[ScoredToken], Tensor]]:
    """Return for each prompt its scored tokens, the first without a log-probability, and the logits
    (V,) of the next token."""
    # 0 is a placeholder behind the last token: its log-probability is not returned
    wanted = [i for a in prompts for i in (*a.ids[1:], 0)]
    lasts = {at for at in _ends(prompts)}
    positions: list[Position] = []
    following: list[Tensor] = []
    for logits in served.positions(prompts):
        at = len(positions)
        following += [logits[i].clone() for i in range(len(logits)) if at + i in lasts]
        positions += log_probabilities(served, logits, wanted[at : at + len(logits)], top)
    out, at = [], 0
    for a, logits in zip(prompts, following, strict=True):
        own = positions[at : at + len(a.ids) - 1]
        scored = [
            ScoredToken(a.ids[0], None),
            *(ScoredToken(i, p, t) for i, (p, t) in zip(a.ids[1:], own, strict=True)),
        ]
        out.append((scored, logits))
        at += len(a.ids)
    return out


def _ends(prompts: Sequence[PromptIds]) -> list[int]:
    ends, at = [], -1
    for a in prompts:
        ends.append(at := at + len(a.ids))
    return ends


def log_probabilities(
    served: Served, logits: Tensor, ids: Sequence[int], top: int
) -> list[Position]:
    """Return the log-probability of the token of each row of logits (n, V), in nats. Raises
    VeneerError where logits are not finite."""
    if not torch.isfinite(logits).all():
        raise VeneerError(
            f"{served.lm.name} gives logits that are not finite; its weights may be damaged"
        )
    logz = logits.double().logsumexp(-1, keepdim=True)
    own = (logits.gather(-1, torch.tensor(ids, device=logits.device)[:, None]) - logz)[
        :, 0
    ].tolist()
    if not top:
        return [(p, ()) for p in own]
    values, best = logits.topk(min(top, logits.shape[-1]), dim=-1)
    tops = zip(best.tolist(), (values - logz).tolist(), strict=True)
    return [
        (p, tuple(zip(*likeliest, strict=True))) for p, likeliest in zip(own, tops, strict=True)
    ]


@torch.inference_mode()
def first_token(served: Served, row: Row, prompt: PromptIds, logits: Tensor, top: int) -> Token:
    """Return the only token of an answer that may have one, drawn from the logits (V,) behind its
    prompt. Raises VeneerError where there is none to draw."""
    stops = set(served.system.stop_ids)
    id = int(choose(logits[None], [Answer(row.sampling, prompt.ids, row.key)], stops))
    if id == NO_TOKEN:
        raise VeneerError(f"the settings of a request leave {served.lm.name} no token to choose")
    ((logprob, best),) = log_probabilities(served, logits[None], [id], top)
    text = served.tokens.text_bytes(id).decode("utf-8", "ignore")
    stopped = id in stops or any(s in text for s in row.stop_strings)
    return Token(0, id, logprob, best, "stop" if stopped else "length")
