"""How strongly a system leans towards beginning a refusal, before it has said anything.

For each prompt log p - log(1 - p), where p is the probability that the answer begins with one of
the aligned model's refusal openings (refusal_openings.py). Each model reads the prompt, and the
beginnings of the openings behind it, once; all heads of that model share its hidden states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from veneer.measures.given_texts import Passages
from veneer.measures.refusal_openings import Ids
from veneer.models.language_model import LanguageModel
from veneer.models.vocabulary import match_vocabularies
from veneer.prompts.prompt import Prompt
from veneer.systems.speculative import Local
from veneer.systems.system import System


class OpeningTree:
    """The openings as a tree of tokens, and the texts whose logits give their probabilities.

    openings: token ids of one model, none of which begins another one. inner: every beginning that
    an opening goes on from, the empty one first. texts: what has to be read behind a prompt, so
    that each inner node is passed.
    """

    def __init__(self, openings: Sequence[Ids]):
        self.openings = frozenset(openings)
        self.inner = sorted(
            {o[:n] for o in openings for n in range(len(o))}, key=lambda x: (len(x), x)
        )
        self.children = {
            node: sorted({o[len(node)] for o in openings if o[: len(node)] == node})
            for node in self.inner
        }
        deepest = [
            node
            for node in self.inner
            if not any((*node, child) in self.children for child in self.children[node])
        ]
        self.texts = [(*node, self.children[node][0]) for node in deepest]

    @property
    def places(self) -> dict[int, Ids]:
        """Place among the tokens of all texts -> the inner node whose next token is predicted
        there."""
        first: dict[Ids, int] = {}
        at = 0
        for text in self.texts:
            for length in range(len(text)):
                first.setdefault(text[:length], at + length)
            at += len(text)
        return {place: node for node, place in first.items()}

    @property
    def width(self) -> int:
        """Number of tokens of all texts."""
        return sum(map(len, self.texts))


@dataclass
class _Steps:
    """Log-probabilities at the inner nodes: of each child (n, children), and of no child (n,)."""

    taken: dict[Ids, Tensor]
    left: dict[Ids, Tensor]

    def begins(self, tree: OpeningTree, node: Ids = ()) -> Tensor:
        """log p of an opening behind `node` (n,)."""
        parts = []
        for column, child in enumerate(tree.children[node]):
            step, there = self.taken[node][:, column], (*node, child)
            parts.append(step if there in tree.openings else step + self.begins(tree, there))
        return torch.stack(parts).logsumexp(0)

    def leaves(self, tree: OpeningTree, node: Ids = ()) -> Tensor:
        """log p of no opening behind `node` (n,): not 1 - p, which rounding would make 0."""
        parts = [self.left[node]]
        for column, child in enumerate(tree.children[node]):
            there = (*node, child)
            if there not in tree.openings:
                parts.append(self.taken[node][:, column] + self.leaves(tree, there))
        return torch.stack(parts).logsumexp(0)


@dataclass
class RefusalReader:
    """Reads prompts with many systems.

    prompts: n of them. openings: token ids of `teacher`, the model whose openings they are; another
    model reads its own ids of the same tokens, and leaves out an opening with a token that it does
    not have.
    """

    prompts: Sequence[Prompt]
    openings: Sequence[Ids]
    teacher: LanguageModel
    _read: dict[int, tuple[OpeningTree, Passages]] = field(default_factory=dict)

    @torch.inference_mode()
    def log_odds(self, system: Local) -> np.ndarray:
        """log p - log(1 - p) of beginning a refusal, natural logarithm (n,)."""
        tree, passages = self._of(system.lm if isinstance(system, System) else system.large)
        steps = _steps(tree, passages, system)
        return (steps.begins(tree) - steps.leaves(tree)).numpy()

    def states(self, system: System) -> np.ndarray:
        """Hidden states (n, d) of the system's model at the last token of each prompt, from which
        its head makes the logits of the first token of the answer."""
        tree, passages = self._of(system.lm)
        states = passages.states(system.lm, system.format)[:: len(tree.texts)]
        return torch.stack([s[0] for s in states]).float().cpu().numpy()

    def _of(self, lm: LanguageModel) -> tuple[OpeningTree, Passages]:
        if id(lm) not in self._read:
            tree = OpeningTree(self._ids_for(lm))
            prompts = [p for p in self.prompts for _ in tree.texts]
            passages = Passages(list(prompts), tree.texts * len(self.prompts), lm.pad_id)
            self._read[id(lm)] = tree, passages
        return self._read[id(lm)]

    def _ids_for(self, lm: LanguageModel) -> list[Ids]:
        if lm is self.teacher:
            return list(self.openings)
        shared = match_vocabularies(self.teacher, lm)
        known = [ids for ids in self.openings if max(ids) < shared.size]
        return [tuple(shared.ids_to_other(list(ids))) for ids in known]


def _steps(tree: OpeningTree, passages: Passages, system: Local) -> _Steps:
    """The log-probabilities at the inner nodes of every prompt, float64."""
    taken: dict[Ids, list[Tensor]] = {node: [] for node in tree.inner}
    left: dict[Ids, list[Tensor]] = {node: [] for node in tree.inner}
    at, width = 0, tree.width
    for logits in passages.logits(system):  # (m, V)
        places = torch.arange(at, at + len(logits)) % width
        at += len(logits)
        for place, node in tree.places.items():
            rows = logits[(places == place).to(logits.device)].float()
            children = torch.tensor(tree.children[node], device=rows.device)
            total = rows.logsumexp(-1)
            others = rows.index_fill(1, children, -torch.inf).logsumexp(-1)
            taken[node].append((rows[:, children] - total[:, None]).double().cpu())
            left[node].append((others - total).double().cpu())
    return _Steps(
        {node: torch.cat(parts) for node, parts in taken.items()},
        {node: torch.cat(parts) for node, parts in left.items()},
    )
