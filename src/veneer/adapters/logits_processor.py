"""A small model's veneer in anybody's `generate` call: a transformers LogitsProcessor that shifts a
large model's logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor

from veneer.foundation.errors import InputError
from veneer.head.veneer import Veneer
from veneer.models.formats import Format, encode_text
from veneer.models.language_model import LanguageModel
from veneer.models.load import load_model
from veneer.models.stepper import Reader
from veneer.prompts.given import PromptLike, as_prompts
from veneer.systems.alpha import Alpha
from veneer.systems.shifted import ShiftedSystem

# nats; how far the sum of probabilities may be from 1 in scores that are log-probabilities
NORMALISED = 1e-3
# nats; logits that are no log-probabilities and negative throughout sum to less
MOST_MISSING = -20.0


class VeneerLogitsProcessor(LogitsProcessor):
    """Adds alpha(t) dW h_s to the scores of each step, as `ShiftedSystem` does (Chen et al., NAACL
    2025, arXiv 2502.04602).

        shift = VeneerLogitsProcessor.of(model, tokenizer, small="SMALL", veneer="VENEER")
        model.generate(**inputs, logits_processor=[shift], eos_token_id=shift.stop_ids)

    The small model keeps its cache from call to call. Batches padded on the left, greedy search,
    sampling, `num_return_sequences` and beam search are understood: rows that change places are
    recognised by their tokens. Beam search passes log-probabilities, and gets log-probabilities
    back. For another answer to the same prompts, or without `prompts`, the same processor serves
    again.

    The processors that `generate` itself makes of `repetition_penalty` and `sequence_bias` run
    before this one, so on the logits of the large model alone; to penalise the shifted ones, give
    those processors in the list behind this one. Temperature, top-k, top-p and min-p run after it.
    Assisted decoding, whose calls go back, is refused (InputError), and so is beam search with a
    model that soft-caps its logits or with tokens barred before: log-probabilities do not show the
    original logits.
    """

    supports_continuous_batching = False

    def __init__(
        self,
        system: ShiftedSystem,
        prompts: Sequence[PromptLike] | None = None,
        *,
        attention_mask: Tensor | None = None,
        prompt_length: int | None = None,
    ):
        """Build the processor from a system.

        prompts: the small model's prompts, in its own format, one for each row of `generate`'s
        input (texts, messages or Prompt); None: the large model's own token ids without the padding
        on the left. attention_mask: `generate`'s own, (B, T), which distinguishes padding from a
        prompt that begins with the same token. prompt_length: number of input columns that are
        prompt; the rest is the beginning of the answer. Default: all.
        """
        self.system = system
        self._given_prompts = None if prompts is None else as_prompts(prompts)
        if self._given_prompts is not None and not self._given_prompts:
            raise InputError(
                "there are no prompts for the small model; give one for each row of the input, or "
                "leave them out"
            )
        self._attention, self._prompt_length = attention_mask, prompt_length
        self.reset()

    @classmethod
    def of(
        cls,
        model: Any,
        tokenizer: Any,
        small: str | LanguageModel,
        veneer: str | Path | Veneer,
        *,
        alpha: Alpha | float | str = 1.0,
        small_format: Format | None = None,
        prompts: Sequence[PromptLike] | None = None,
        attention_mask: Tensor | None = None,
        prompt_length: int | None = None,
    ) -> VeneerLogitsProcessor:
        """Build the processor for a transformers `model` and its tokenizer, from names or objects.

        small: the veneer's base, by name or loaded; small_format: its format for `prompts`, by
        default the one that the veneer recorded. Raises InputError where veneer and small model, or
        the vocabularies, do not fit.
        """
        large = LanguageModel.of(model, tokenizer)
        if isinstance(small, str):
            small = load_model(small, device=str(large.device))
        system = ShiftedSystem.of_models(
            large, small, Veneer.of(veneer), alpha=alpha, small_format=small_format
        )
        return cls(system, prompts, attention_mask=attention_mask, prompt_length=prompt_length)

    @property
    def stop_ids(self) -> list[int]:
        """The ids for generate's `eos_token_id`: the large model's end tokens and the aligned
        model's end of turn."""
        return list(self.system.stop_ids)

    def reset(self) -> None:
        """Forget the prompts and answers so far: the next call begins a new answer."""
        self._reader: Reader | None = None
        self._seen: Tensor | None = None  # (N, T) of the last call
        self._first = torch.empty(0)  # of the call that began the answer
        self._width = 0  # columns that are prompt

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids: (N, T) prompts and answers so far. scores: (N, V) of the next token; they are
        left unchanged."""
        self._check(input_ids, scores)
        with torch.inference_mode():
            self._read(input_ids)
            if self._reader is None:
                return scores
            moved = self.system.alpha.at(self._position) * self.system.shift.of(
                self._reader.hidden()
            )
        with torch.no_grad():
            return self._shifted(scores, moved.to(scores.device, scores.dtype))

    # reading

    @property
    def _position(self) -> int:
        """Return the position in the answer of the token that is scored; 1 for the first."""
        return (0 if self._seen is None else self._seen.shape[1]) - self._width + 1

    def _read(self, ids: Tensor) -> None:
        seen = self._seen
        if seen is None or not self._goes_on(seen, ids):
            self._begin(ids)
        elif self._reader is not None:
            self._go_on(self._reader, seen, ids)
        self._seen = ids.clone()
        last = self.system.alpha.last
        if last is not None and self._position > last:
            self._reader = None  # alpha is 0 from here on

    def _goes_on(self, seen: Tensor, ids: Tensor) -> bool:
        """Return whether the call continues the last one, rather than beginning a new answer."""
        same = ids.shape[0] == seen.shape[0] and ids.shape[1] > self._width
        same = same and torch.equal(ids[:, : self._width], seen[:, : self._width])
        if same and ids.shape[1] == seen.shape[1] + 1:
            return True
        if same and not torch.equal(ids, self._first):
            raise InputError(
                f"`generate` went from {seen.shape[1]} to {ids.shape[1]} tokens, expected one "
                "more; leave assisted decoding out (assistant_model, prompt_lookup_num_tokens), "
                "or call reset() before another generate call"
            )
        return False

    def _begin(self, ids: Tensor) -> None:
        width = ids.shape[1] if self._prompt_length is None else self._prompt_length
        if not ids.shape[1] and self._given_prompts is None:
            raise InputError(
                "`generate` passes no token ids of the prompt, as with inputs_embeds alone; give "
                "it input_ids beside them, or give the small model its own `prompts`"
            )
        if ids.shape[1] and not 0 < width <= ids.shape[1]:
            raise InputError(
                f"prompt_length is {width}, but the input has {ids.shape[1]} columns; expected 1 "
                "to that many"
            )
        self._width, self._first = width, ids.clone()
        self._reader = None if self.system.alpha.last == 0 else self._reread(ids)

    def _go_on(self, reader: Reader, seen: Tensor, ids: Tensor) -> None:
        places = self._places(seen, ids)
        if places is None:
            self._reader = self._reread(ids)
            return
        if places != list(range(len(ids))):
            reader.keep(torch.tensor(places, device=self.system.small.device))
        reader.feed(self._small_ids(ids[:, -1]))

    def _reread(self, ids: Tensor) -> Reader:
        """Read prompts and answers again from the start."""
        answers = self._small_ids(ids[:, self._width :]).tolist()
        return Reader(
            self.system.small,
            [[*p, *a] for p, a in zip(self._prompts(ids[:, : self._width]), answers, strict=True)],
        )

    def _places(self, seen: Tensor, ids: Tensor) -> list[int] | None:
        """Return the row of the last call that each row continues, its own where possible; None
        where one continues no row."""
        before = ids[:, :-1]
        if torch.equal(before, seen):
            return list(range(len(ids)))
        # rows of one prompt stay together
        group = 1 if self._given_prompts is None else len(ids) // len(self._given_prompts)
        rows: dict[tuple[int, ...], int] = {}

        def row_key(place: int, row: list[int]) -> tuple[int, ...]:
            return (place // group if self._given_prompts is not None else 0, *row)

        old = [row_key(i, r) for i, r in enumerate(seen.tolist())]
        for place, row in enumerate(old):
            rows.setdefault(row, place)
        wanted = [row_key(i, r) for i, r in enumerate(before.tolist())]
        places = [i if old[i] == row else rows.get(row, -1) for i, row in enumerate(wanted)]
        return None if -1 in places else places

    def _prompts(self, ids: Tensor) -> list[list[int]]:
        """Return the small model's token ids for each row of prompts (N, width)."""
        if self._given_prompts is not None:
            own = [
                self.system.small_format.encode(self.system.small.tokenizer, p)
                for p in self._given_prompts
            ]
            return [own[i // (len(ids) // len(own))] for i in range(len(ids))]
        starts = self._starts(ids)
        return [row[at:] for row, at in zip(self._small_ids(ids).tolist(), starts, strict=True)]

    def _starts(self, ids: Tensor) -> list[int]:
        """Return the columns of padding on the left of each row."""
        if self._attention is not None:
            mask = self._attention[:, : ids.shape[1]].bool()
            padded = mask.int().argmax(-1).tolist()
            return [padded[i // (len(ids) // len(padded))] for i in range(len(ids))]
        tokenizer = self.system.large.tokenizer
        pad = tokenizer.pad_token_id
        if pad is None:
            return [0] * len(ids)
        begins = encode_text(tokenizer, "")[:1] == [
            pad
        ]  # the tokenizer's BOS is its padding too: one of them belongs to the text
        real = (ids != pad).int()
        starts = torch.where(real.any(-1), real.argmax(-1), ids.shape[1] - 1).tolist()
        return [max(0, s - 1) if begins else s for s in starts]

    def _small_ids(self, ids: Tensor) -> Tensor:
        return self.system.shift.small_ids(ids.to(self.system.small.device))

    # scores

    def _check(self, ids: Tensor, scores: Tensor) -> None:
        rows = self.system.large.head.rows
        if ids.ndim != 2 or scores.shape != (len(ids), rows):
            raise InputError(
                f"`generate` gave ids of shape {tuple(ids.shape)} and scores of shape "
                f"{tuple(scores.shape)}; expected (rows, tokens) and (rows, {rows}): one row of "
                f"scores of {self.system.large.name} for each answer"
            )
        for what, given in (
            ("prompts for the small model", self._given_prompts),
            ("rows of attention_mask", self._attention),
        ):
            if given is not None and (len(ids) % len(given) or not len(given)):
                raise InputError(
                    f"there are {len(given)} {what}, but `generate` has {len(ids)} rows; expected "
                    "one for each row of its input"
                )

    def _shifted(self, scores: Tensor, moved: Tensor) -> Tensor:
        head, rows = self.system.large.head, self.system.shift.rows.to(scores.device)
        normalised = _are_log_probabilities(scores)
        if normalised:
            self._check_beams(scores)
        out = scores.clone()
        if head.softcap is None:
            out.index_add_(1, rows, head.scale * moved)
        else:
            before = head.softcap * torch.atanh(scores[:, rows] / head.softcap)
            capped = head.softcap * torch.tanh((before + head.scale * moved) / head.softcap)
            # barred tokens stay barred
            out[:, rows] = torch.where(scores[:, rows].isneginf(), scores[:, rows], capped)
        return out.log_softmax(-1) if normalised else out

    def _check_beams(self, scores: Tensor) -> None:
        """Raise InputError where the logits cannot be recovered from the log-probabilities that
        beam search passes."""
        if self.system.large.head.softcap is not None:
            raise InputError(
                f"{self.system.large.name} soft-caps its logits, and beam search shows "
                "log-probabilities only, from which the cap cannot be undone; use greedy search "
                "or sampling (num_beams=1), or `veneer generate --large`"
            )
        if scores.isneginf().any():
            raise InputError(
                "a processor before this one bars tokens (min_new_tokens, bad_words_ids, ...), "
                "and in beam search their share is lost then; leave that option out and give its "
                "processor in the list behind this one"
            )


def _are_log_probabilities(scores: Tensor) -> bool:
    """Return whether each row sums to one, as in beam search; where tokens are barred, their share
    may be missing."""
    total = scores.logsumexp(-1)
    missing = scores.isneginf().any(-1) & (total > MOST_MISSING)
    return bool(((total <= NORMALISED) & ((total >= -NORMALISED) | missing)).all())
