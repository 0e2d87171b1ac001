"""A large model whose logits a small model's veneer shifts while it decodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from veneer.capture.teacher_forcing import response_hidden
from veneer.foundation.errors import InputError
from veneer.head.recorded import chosen_format, fitted_formats, warn_of_formats
from veneer.head.veneer import Veneer
from veneer.models.decode import Decoded, Sampling, decode_with
from veneer.models.formats import ChatFormat, Format, PlainFormat, forced_ids
from veneer.models.language_model import LanguageModel
from veneer.models.shift import LogitShift
from veneer.models.stepper import ShiftedStepper
from veneer.models.vocabulary import Worded, match_vocabularies
from veneer.prompts.prompt import Prompt
from veneer.systems.alpha import Alpha
from veneer.systems.system import check_forced

# how to go on where the small base's veneer was fitted behind several templates
SMALL_MEND = (
    "give a veneer that was fitted behind one (`veneer run` without --published makes one), or "
    "prompts of its tasks"
)


@dataclass(frozen=True)
class ShiftedSystem:
    """logits_L + alpha(t) dW h_s, before the large model's own cap (Chen et al., NAACL 2025, arXiv
    2502.04602). The shift is that of the small model's logits, behind its scale: a model that
    divides its logits by 8 moves one that divides them by 16 by as much as itself.

    Serves transfer (a large base with a small base's veneer), restoring a broken model that is only
    decoded (large = that model in its chat format, small = its base with the veneer), and as the
    teacher of a capture. Each model reads the prompt in its own format; token ids of answers are
    the large model's. stop: strings that end its answers beside the task's own.
    """

    name: str
    large: LanguageModel
    small: LanguageModel
    format: Format
    small_format: Format
    stop_ids: tuple[int, ...]
    shift: LogitShift
    alpha: Alpha
    veneer: str
    stop: tuple[str, ...] = ()
    fitted: tuple[str | None, ...] = ()

    @classmethod
    def of_models(
        cls,
        large: LanguageModel,
        small: LanguageModel,
        veneer: Veneer,
        *,
        alpha: Alpha | float | str = 1.0,
        format: Format | None = None,
        small_format: Format | None = None,
        name: str | None = None,
    ) -> ShiftedSystem:
        """A large model with the veneer of `small`, its base. format: the large one's format, plain
        by default; small_format: the small one's, by default the one that the veneer recorded for
        base. name: by default "shifted-" and alpha.

        Answers end at the aligned model's end of turn, which the veneer recorded, a token or a
        text, and at the large model's own end tokens, or the text that its chat template ends an
        answer with. Raises InputError where the veneer is not of `small`, or the two
        vocabularies differ.
        """
        veneer.check_fits(small)
        if large.device != small.device:
            raise InputError(
                f"{large.name} is on {large.device} and {small.name} on {small.device}; load both "
                "on one device"
            )
        alpha = Alpha.parse(alpha)
        small_format = small_format or chosen_format(veneer.facts, mend=SMALL_MEND)
        shift, ends = shift_of(large, small, veneer)
        form = format or PlainFormat()
        closing = large.turn.text if isinstance(form, ChatFormat) else None
        return cls(
            name or f"shifted-{alpha}",
            large,
            small,
            form,
            small_format,
            tuple(sorted({*large.stop_ids, *ends})),
            shift,
            alpha,
            veneer.identity(),
            tuple(dict.fromkeys([*veneer.facts.get("stop", ()), *([closing] if closing else [])])),
            fitted_formats(veneer.facts),
        )

    @property
    def models(self) -> dict[str, LanguageModel]:
        """The models that answer, by the part that each plays."""
        return {"large": self.large, "small": self.small}

    def encode(self, prompts: Sequence[Prompt]) -> tuple[list[list[int]], list[list[int]]]:
        """Token ids of the prompts as the large model reads them, and as the small one does."""
        return (
            [self.format.encode(self.large.tokenizer, p) for p in prompts],
            [self.small_format.encode(self.small.tokenizer, p) for p in prompts],
        )

    def prompt_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        warn_of_formats(self.name, self.small_format, self.fitted, prompts)
        check_forced(prompts, self.large.tokenizer, self.stop_ids)
        begun = [len(forced_ids(self.large.tokenizer, p)) for p in prompts]
        own, small = self.encode(prompts)
        return [max(len(a), len(b)) + n for a, b, n in zip(own, small, begun, strict=True)]

    def longest(self) -> int | None:
        lengths = [lm.longest for lm in (self.large, self.small)]
        return min((n for n in lengths if n is not None), default=None)

    def stepper(self, prompts: Sequence[Prompt]) -> ShiftedStepper:
        """The batch of these prompts for `decode_with` and `decode_steps` (models/decode.py)."""
        return self.stepper_of_ids(*self.encode(prompts))

    def stepper_of_ids(
        self,
        prompts: Sequence[Sequence[int]],
        small_prompts: Sequence[Sequence[int]],
        begun: Sequence[Sequence[int]] | None = None,
    ) -> ShiftedStepper:
        """The same for prompts that are token ids already, the large model's and the small one's.
        begun: the large model's ids that are forced as the beginning of each answer."""
        begun = begun or [()] * len(prompts)
        to_small = self.shift.to_small.tolist()
        with torch.inference_mode():
            return ShiftedStepper(
                self.large,
                self.small,
                [[*p, *b] for p, b in zip(prompts, begun, strict=True)],
                [
                    [*p, *(to_small[i] for i in b)]
                    for p, b in zip(small_prompts, begun, strict=True)
                ],
                self.shift,
                self.alpha.at,
                self.alpha.last,
                begun=[len(b) for b in begun],
            )

    def decode(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        stop_strings: Sequence[str],
        keys: Sequence[str],
    ) -> list[Decoded]:
        """Answer one batch."""
        begun = [forced_ids(self.large.tokenizer, p) for p in prompts]
        return decode_with(
            self.stepper_of_ids(*self.encode(prompts), begun),
            sampling,
            stop_ids=self.stop_ids,
            stop_strings=(*stop_strings, *self.stop),
            keys=keys,
            begun=begun,
        )

    def forced_logits(
        self,
        prompts: Sequence[Prompt],
        responses: Sequence[Sequence[int]],
        *,
        chunk: int | None = None,
    ) -> Iterator[Tensor]:
        """Logits from which each response's tokens are predicted, teacher-forced: chunks (n, V), n
        <= chunk (None: Head.at_once), that go through the responses' tokens in the order given.
        responses: the large model's token ids."""
        yield from self.forced_logits_of_ids(*self.encode(prompts), responses, chunk=chunk)

    @torch.inference_mode()
    def forced_logits_of_ids(
        self,
        prompts: Sequence[Sequence[int]],
        small_prompts: Sequence[Sequence[int]],
        responses: Sequence[Sequence[int]],
        *,
        chunk: int | None = None,
    ) -> Iterator[Tensor]:
        """The same for prompts that are token ids already."""
        if not any(responses):
            return
        to_small = self.shift.to_small.tolist()
        own = torch.cat(response_hidden(self.large, prompts, responses))  # (N, d_L)
        # (N, d_s)
        small = torch.cat(
            response_hidden(
                self.small, small_prompts, [[to_small[i] for i in r] for r in responses]
            )
        )
        alphas = torch.tensor(
            [self.alpha.at(t) for r in responses for t in range(1, len(r) + 1)], device=own.device
        )
        chunk = chunk or self.large.head.at_once
        for at in range(0, len(own), chunk):
            rows = slice(at, at + chunk)
            yield self.shift.logits(self.large.head, own[rows], small[rows], alphas[rows, None])

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": "shifted",
            "large": _model(self.large),
            "small": _model(self.small),
            "veneer": self.veneer,
            "alpha": str(self.alpha),
            **({} if (ratio := shift_scale(self.large, self.small)) == 1 else {"scale": ratio}),
            "format": self.format.facts(),
            "small_format": self.small_format.facts(),
            "stop_ids": list(self.stop_ids),
            **({"stop": list(self.stop)} if self.stop else {}),
        }


def shift_scale(large: Worded, small: LanguageModel) -> float:
    """The factor of dW h_s before the large model's own scale: the small one's scale divided by
    it. Both are measured, so a ratio within a thousandth of 1 is 1."""
    ratio = float(small.head.scale / large.head.scale)
    return 1.0 if abs(ratio - 1) < 1e-3 else ratio


class Placed(Worded, Protocol):
    """A large model's vocabulary, and the device of its logits."""

    @property
    def device(self) -> Any: ...


def shift_of(
    large: Placed, small: LanguageModel, veneer: Veneer
) -> tuple[LogitShift, tuple[int, ...]]:
    """The veneer of `small` as a shift of the large model's logits, and the large model's ids of
    the end tokens that it recorded.

    Rows are matched by token string. A row that no tokenizer names is padding and gets no shift,
    but for an end token for which the aligned model took a spare row. The values hold
    `shift_scale`. Raises InputError where the vocabularies differ.
    """
    vocabulary = match_vocabularies(small, large)
    # (size,)
    to_large = torch.arange(vocabulary.size) if vocabulary.to_other is None else vocabulary.to_other
    # a padding row has no text: the small model reads its own padding
    to_small = torch.full((large.head.rows,), small.pad_id)
    to_small[to_large] = torch.arange(vocabulary.size)
    ends = [i for i in veneer.facts.get("stop_ids", ()) if i < vocabulary.size]
    named = torch.zeros(small.head.rows, dtype=torch.bool)
    named_ids = [*small.tokenizer.get_vocab().values(), *ends]
    named[[i for i in named_ids if i < vocabulary.size]] = True
    named[to_small[[i for i in large.tokenizer.get_vocab().values() if i < large.head.rows]]] = True
    rows = veneer.changed_rows().cpu()
    kept = named[rows]
    dtype, device = small.head.weight.dtype, large.device
    scale = shift_scale(large, small)

    def scaled(values: Tensor) -> Tensor:
        return (values.cpu()[kept] * scale).to(device, dtype)

    bias = None if veneer.bias is None else scaled(veneer.bias)
    words: dict[str, Tensor]
    if (
        veneer.A is None
        or veneer.B is None
        or len(veneer.B) * (veneer.width + len(rows)) >= len(rows) * veneer.width
    ):
        words = {"values": scaled(veneer.values())}
    else:  # two thin products are less work than one
        words = {"A": scaled(veneer.A), "B": veneer.B.to(device, dtype)}
    shift = LogitShift(to_large[rows[kept]].to(device), to_small.to(device), **words, bias=bias)
    return shift, tuple(int(to_large[i]) for i in ends)


def _model(lm: LanguageModel) -> dict[str, str]:
    return {"model": lm.name, "fingerprint": lm.fingerprint(), "dtype": str(lm.head.weight.dtype)}
