"""How similar a system's answers are to the teacher's: words in common, embeddings, BERTScore,
or a judge model's verdict; the mean and the best of an answer's candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike

from veneer.embed import Embedder
from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file
from veneer.foundation.progress import Progress
from veneer.foundation.text import clean, jaccard, tok
from veneer.judges.asker import Asker
from veneer.judges.llm import judge_items
from veneer.judges.rubrics.reading import one_score
from veneer.judges.rubrics.rubric import ONE_TO_FIVE, TEXT, Rubric, Values, object_of


def expected_best(values: ArrayLike, m: int) -> float:
    """The mean, over all subsets of `m` of the n values, of the subset's largest: what the best of
    m candidates is worth.

    By order statistics: the j-th smallest value is the largest of C(j - 1, m - 1) of the C(n, m)
    subsets. Systems with different numbers of candidates are compared at one m; m = n is the plain
    maximum and m = 1 the mean. Raises ValueError where m is not in 1..n.
    """
    x = np.sort(np.asarray(values, float))
    n = len(x)
    if not 1 <= m <= n:
        raise ValueError(f"best of {m} of {n} values")
    if not np.all(np.isfinite(x)):
        raise ValueError("expected finite similarities")
    # C(j - 1, m - 1) with j from 1
    weights = np.array([comb(j, m - 1) / comb(n, m) for j in range(n)])
    return float(weights @ x)


def means(found: list[np.ndarray]) -> np.ndarray:
    """(n,) mean similarity of each prompt's candidates; NaN for a prompt without any."""
    return np.array([x.mean() if len(x) else np.nan for x in found])


def bests(found: list[np.ndarray], m: int) -> np.ndarray:
    """(n,) expected best of m of each prompt's candidates; NaN for a prompt that
    has fewer than m."""
    return np.array([expected_best(x, m) if len(x) >= m else np.nan for x in found])


def common_count(counts: list[list[int]]) -> int:
    """The number of candidates at which the best of all systems is compared: the least of any
    system's usual (median) number.

    counts: of each system, its candidates at each prompt. A few prompts with fewer candidates
    (errors) are left out rather than drawing every system down to them; 0 where a system has none.
    """
    return min(
        (int(np.median([c for c in row if c])) if any(row) else 0 for row in counts), default=0
    )


# Similarities of answers to a reference, one prompt at a time: words in common, and embeddings.

WINDOW = 256  # prompts whose texts are embedded together, so that memory does not grow with prompts


class Measure(Protocol):
    """name: as in results ("lexical", ...). judge: who decides (a model's id), or None where
    arithmetic does. note: what a reader must know of it, or None."""

    @property
    def name(self) -> str: ...
    @property
    def judge(self) -> str | None: ...
    @property
    def note(self) -> str | None: ...

    def similarities(
        self,
        references: Sequence[str],
        candidates: Sequence[Sequence[str]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        """Of each prompt the similarity of each candidate to the prompt's reference,
        (candidates,) in their order."""
        ...


class Lexical:
    """Jaccard similarity of the sets of words; 1 of two texts without words."""

    name = "lexical"
    judge = None
    note = None

    def similarities(
        self,
        references: Sequence[str],
        candidates: Sequence[Sequence[str]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        out = []
        for reference, texts in zip(references, candidates, strict=True):
            words = tok(reference)
            out.append(np.array([jaccard(words, tok(c)) for c in texts], float))
        return out


class Embedded:
    """Cosine of embeddings of the cleaned texts; 0 where exactly one of the two is empty,
    1 where both are."""

    name = "embedding"
    note = None

    def __init__(self, embedder: Embedder):
        self._embedder = embedder
        self.judge = embedder.id
        self._known: tuple[list[str], np.ndarray] | None = None

    def similarities(
        self,
        references: Sequence[str],
        candidates: Sequence[Sequence[str]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        out: list[np.ndarray] = []
        known = self._references([clean(r) for r in references])
        for at in range(0, len(references), WINDOW):
            window = [[clean(c) for c in texts] for texts in candidates[at : at + WINDOW]]
            vectors = (
                self._embedder.embed([c for texts in window for c in texts])
                if any(window)
                else known[:0]
            )
            place = 0
            for row, texts in enumerate(window, at):
                found = vectors[place : place + len(texts)].astype(float) @ known[row].astype(float)
                both_empty = np.array([not clean(references[row]) and not c for c in texts], bool)
                out.append(np.where(both_empty, 1.0, np.clip(found, -1.0, 1.0)))
                place += len(texts)
            if progress:
                progress(min(at + WINDOW, len(references)), len(references), "embeddings")
        return out

    def _references(self, texts: list[str]) -> np.ndarray:
        """(n, d), embedded once for all the systems that are compared with them."""
        if self._known is None or self._known[0] != texts:
            self._known = (texts, self._embedder.embed(texts))
        return self._known[1]


# BERTScore (Zhang et al. 2020, arXiv 1904.09675)
#
# Each token of one text is matched with the nearest of the other. Precision is the mean, over the
# candidate's tokens, of the largest cosine with a token of the reference; recall the other way
# round; F1 their harmonic mean. No idf weights, no rescaling with a baseline. The published figures
# use layer 17 of roberta-large.

TOKENS = 4096  # in one pass, padding counted


def greedy_f1(candidate: np.ndarray, reference: np.ndarray) -> float:
    """F1 of token vectors (n, d) and (m, d) of unit length; 0 where one side has no tokens, 1
    where both have none."""
    if not len(candidate) or not len(reference):
        return float(len(candidate) == len(reference))
    similarity = candidate @ reference.T
    precision, recall = float(similarity.max(1).mean()), float(similarity.max(0).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


class BertScore:
    """BERTScore F1 with an encoder from a folder (config.json, safetensors, tokenizer). layer:
    whose hidden states are compared, from 1; by default the last. The start and end tokens count
    for matching as in the reference code, where weights are equal.

    Encoders read so many tokens and no more: a longer text is cut there, as the published
    computation does, and `cut` counts such texts.
    """

    name = "bertscore"

    def __init__(self, folder: str | Path, layer: int | None = None, device: str = "cpu"):
        from transformers import AutoModel, AutoTokenizer

        path = Path(folder)
        weights = sorted(path.glob("*.safetensors")) if path.is_dir() else []
        if not weights or not (path / "config.json").is_file():
            raise InputError(
                f"{folder} is no encoder's folder; expected one with config.json, *.safetensors "
                "and a tokenizer"
            )
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
            self._model = AutoModel.from_pretrained(
                path, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{folder} cannot be loaded as an encoder ({str(error).splitlines()[0][:200]}); "
                "check the folder"
            ) from None
        layers = self._model.config.num_hidden_layers
        if layer is not None and not 1 <= layer <= layers:
            raise InputError(
                f"layer {layer} was asked for; {path.name} has the layers 1 to {layers}"
            )
        self._layer = layers if layer is None else layer
        self._model.to(device).eval()
        self._device = device
        known = [
            n
            for n in (getattr(self._tokenizer, "model_max_length", 0), _positions(self._model))
            if n and n < 10**6
        ]
        self.longest = min(known, default=512)
        self.judge = (
            f"bertscore-{path.resolve().name}-{sha256_file(weights[0])[:8]}-layer{self._layer}"
        )
        self.cut = 0

    @property
    def note(self) -> str | None:
        return f"{self.cut} texts cut at {self.longest} tokens" if self.cut else None

    def similarities(
        self,
        references: Sequence[str],
        candidates: Sequence[Sequence[str]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        out = []
        for row, (reference, texts) in enumerate(zip(references, candidates, strict=True)):
            first, *rest = self._vectors([clean(reference), *(clean(c) for c in texts)])
            out.append(np.array([greedy_f1(v, first) for v in rest], float))
            if progress:
                progress(row + 1, len(references), "BERTScore")
        return out

    @torch.inference_mode()
    def _vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Of each text its tokens' vectors (n, d) of unit length; none for an empty text."""
        ids = [
            self._tokenizer(t, truncation=False, verbose=False)["input_ids"] if t else []
            for t in texts
        ]
        self.cut += sum(len(row) > self.longest for row in ids)
        ids = [
            row if len(row) <= self.longest else [*row[: self.longest - 1], row[-1]] for row in ids
        ]
        order = sorted((i for i in range(len(ids)) if ids[i]), key=lambda i: (len(ids[i]), i))
        out = [np.zeros((0, 1))] * len(ids)
        while order:
            most = max(1, TOKENS // len(ids[order[-1]]))
            batch, order = order[-most:], order[:-most]
            width = max(len(ids[i]) for i in batch)
            pad = self._tokenizer.pad_token_id or 0
            # (B, T)
            tokens = torch.tensor(
                [[*ids[i], *[pad] * (width - len(ids[i]))] for i in batch], device=self._device
            )
            mask = torch.tensor(
                [[1] * len(ids[i]) + [0] * (width - len(ids[i])) for i in batch],
                device=self._device,
            )
            states = self._model(
                input_ids=tokens, attention_mask=mask, output_hidden_states=True
            ).hidden_states[self._layer]
            # (B, T, d)
            states = torch.nn.functional.normalize(states.float(), dim=-1).cpu().numpy()
            for place, i in enumerate(batch):
                out[i] = states[place, : len(ids[i])]
        return out


def _positions(model: torch.nn.Module) -> int:
    """Positions that the encoder knows; RoBERTa's first two are taken by padding."""
    config = model.config
    given = int(getattr(config, "max_position_embeddings", 0) or 0)
    return given - 2 if given and "roberta" in str(getattr(config, "model_type", "")) else given


# A judge model's verdict: how much two answers to one question say the same

CRITERIA = """\
Compare by content, not by wording, order, or length:
1 - the two answers have nothing in common;
2 - a few points are the same, most are not;
3 - about half of the points are the same;
4 - most points are the same;
5 - they say the same throughout.
Which of the two is better does not matter."""


def _by_rule(fields: Mapping[str, str]) -> Values | None:
    """An empty answer has nothing in common with another, and all with an empty one."""
    empty = [not fields[f].strip() for f in ("answer_a", "answer_b")]
    return {"score": 5.0 if all(empty) else 1.0} if any(empty) else None


RUBRIC = Rubric(
    name="similarity",
    fields=("query", "answer_a", "answer_b"),
    task="You judge how much two answers to the same query say the same.",
    criteria=CRITERIA,
    form='{"reason": "one or two sentences", "score": a whole number from 1 to 5}',
    schema=object_of(reason=TEXT, score=ONE_TO_FIVE),
    read=one_score,
    by_rule=_by_rule,
)


class JudgedSimilarity:
    """(score - 1) / 4 of the judge's scale of 1 to 5. A pair without a verdict has no similarity
    and is counted, never scored."""

    name = "judge"

    def __init__(self, asker: Asker, queries: Sequence[str]):
        """queries: of the prompts, in the order in which similarities are asked for."""
        self._asker, self._queries = asker, list(queries)
        self.judge = f"{RUBRIC.id}@{asker.model}"
        self._asked = self._without = 0

    @property
    def note(self) -> str | None:
        known = "the judgement of a language model, not checked against people"
        return (
            f"{known}; {self._without} of {self._asked} pairs without a verdict"
            if self._without
            else known
        )

    def similarities(
        self,
        references: Sequence[str],
        candidates: Sequence[Sequence[str]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        items = [
            {"query": query, "answer_a": clean(reference), "answer_b": clean(c)}
            for query, reference, texts in zip(self._queries, references, candidates, strict=True)
            for c in texts
        ]
        verdicts = iter([j.verdict for j in judge_items(RUBRIC, items, self._asker, progress)])
        out = []
        for texts in candidates:
            answered = [next(verdicts) for _ in texts]
            self._asked += len(answered)
            self._without += sum(v is None for v in answered)
            out.append(
                np.array([(v.values["score"] - 1) / 4 for v in answered if v is not None], float)
            )
        return out
