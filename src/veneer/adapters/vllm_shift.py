"""A small model's veneer in vLLM: a logits processor that adds alpha(t) dW h_s to the logits of
each request, found by vLLM's entry point group `vllm.logits_processors`.

It is idle until it is configured:

    vllm serve LARGE --additional-config '{"veneer": {"small": "SMALL", "veneer": "VENEER"}}'

Written for both interfaces that vLLM 0.33 documents: that of Model Runner V2
(vllm.v1.worker.gpu.sample.logits_processor) and that of the V1 runner
(vllm.v1.sample.logits_processor), in one class, because vLLM loads the entry point in either.
vLLM also loads it where requests come in, so nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import re
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from veneer.adapters.grown_texts import GrownTexts
    from veneer.systems.alpha import Alpha

FIELDS = ("small", "veneer", "alpha", "dtype")
ARGUMENT = "veneer_alpha"  # of a request: SamplingParams.extra_args, or vllm_xargs over HTTP
# A config's soft cap of its logits, whatever the family calls it; not that of attention or routing.
CAP, INNER = re.compile("soft_?cap"), re.compile("attn|attention|router")
SHOWN = "give --logits-processors veneer.adapters.vllm_shift:VeneerShift, or --no-async-scheduling"
_served: list[weakref.ref[Any]] = []  # configs of engines that have their processor


def _interfaces() -> tuple[type, ...]:
    """The base classes that the installed vLLM offers; none without vLLM."""
    bases: list[type] = []
    try:
        from vllm.v1.sample.logits_processor import LogitsProcessor as OfV1

        bases.append(OfV1)
    except ImportError:
        pass
    try:
        from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as OfV2

        bases.append(OfV2)
    except ImportError:
        pass
    return tuple(bases) or (object,)


@dataclass(frozen=True)
class ShiftConfig:
    """The entry "veneer" of --additional-config. small: the veneer's base, by any name that
    `load_model` takes; veneer: a folder, or hf://OWNER/NAME; alpha: of requests that name none;
    dtype: of the small model."""

    small: str
    veneer: str
    alpha: str = "1"
    dtype: str = "auto"

    @classmethod
    def of(cls, vllm_config: Any) -> ShiftConfig | None:
        """What an engine was given; None without the entry. Raises ValueError that names the
        fields."""
        given = getattr(vllm_config, "additional_config", None)
        entry = given.get("veneer") if isinstance(given, dict) else None
        if entry is None:
            return None
        wrong = not isinstance(entry, dict) or [k for k in entry if k not in FIELDS]
        if wrong or not {"small", "veneer"} <= set(entry):
            raise ValueError(
                f"found {entry!r} as the entry 'veneer' of --additional-config; expected an object "
                f"with small and veneer, and perhaps alpha and dtype"
            )
        made = cls(**{k: str(v) for k, v in entry.items()})
        _alpha(made.alpha)
        return made


def _alpha(text: Any) -> Alpha:
    """Raises ValueError that names the forms."""
    from veneer.foundation.errors import InputError
    from veneer.systems.alpha import Alpha

    try:
        return Alpha.parse(text)
    except InputError as error:
        raise ValueError(str(error)) from None


@dataclass
class _Request:
    """A row of the V1 runner's batch. output: vLLM's own list, which grows."""

    number: int
    prompt: list[int]
    output: list[int]
    alpha: Alpha


class VeneerShift(*_interfaces()):  # type: ignore[misc]
    """Adds alpha(t) dW h_s to the logits of each request, t = 1 at the first token of its answer.

    A request names its own alpha (a number or a schedule, 0 for none) as `veneer_alpha` in
    `SamplingParams.extra_args`, or in `vllm_xargs` over HTTP. The small model reads the request's
    own token ids, so its prompt is that of the large model.

    Raises ValueError, when the engine starts, for models that cap their logits, with
    speculative decoding, and where the V1 runner does not show the tokens that were chosen.
    """

    def __init__(self, vllm_config: Any, *more: Any):
        """more: (device, is_pin_memory) from the V1 runner, (req_states,) from Model Runner V2."""
        self._texts: GrownTexts | None = None
        self._default: Alpha = _alpha(1)
        self._requests: dict[int, _Request] = {}  # V1: place in the batch -> request
        self._alphas: dict[int, Alpha] = {}  # V2: slot -> strength
        self._states: Any = more[0] if len(more) == 1 else None
        self._count = 0
        config = ShiftConfig.of(vllm_config)
        if config is None or any(known() is vllm_config for known in _served):
            return  # idle: not configured, or the engine has its processor already
        device = more[0] if self._states is None else self._states.device
        _check(vllm_config, v1=self._states is None)
        self._default = _alpha(config.alpha)
        self._texts = _load(config, vllm_config, str(device))
        _served.append(weakref.ref(vllm_config))

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raise ValueError where a request's `veneer_alpha` is no alpha."""
        given = (sampling_params.extra_args or {}).get(ARGUMENT)
        if given is not None:
            _alpha(given)

    def is_argmax_invariant(self) -> bool:
        return False

    # Model Runner V2

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """A request takes a slot, which another one may have had."""
        self._alphas[req_idx] = alpha = self._of(sampling_params)
        if self._texts is None:
            return False
        self._texts.forget(req_idx)
        return alpha.last != 0

    def apply(self, logits: Tensor, ctx: Any = None) -> Tensor:
        """logits: (rows, V), changed in place. ctx: the step's layout, of Model Runner V2."""
        if self._texts is None:
            return logits
        import torch

        rows = self._texts.shift.rows
        with torch.inference_mode():
            for row, key, ids, prompt_length, alpha in self._rows(ctx):
                moved = self._texts.moved(key, ids, prompt_length, alpha)
                if moved is not None:
                    logits[row].index_add_(0, rows, moved.to(logits.device, logits.dtype))
        return logits

    def _rows(self, ctx: Any) -> list[tuple[int, int, list[int], int, Alpha]]:
        """(row, key, token ids so far, how many of them are prompt, alpha) of each row that is
        shifted."""
        if ctx is None:
            requests = sorted(self._requests.items())
            if any(r.output[-1:] and r.output[-1] < 0 for _, r in requests):
                raise RuntimeError(f"vLLM does not show the token that was chosen last; {SHOWN}")
            return [
                (row, r.number, [*r.prompt, *r.output], len(r.prompt), r.alpha)
                for row, r in requests
            ]
        states = self._states
        assert states is not None  # vLLM sets them before the first step
        rows = []
        slots = ctx.expanded_idx_mapping.tolist()
        for row, (slot, at) in enumerate(zip(slots, ctx.pos.tolist(), strict=True)):
            alpha = self._alphas.get(slot, self._default)
            prompt_length = int(states.prompt_len.np[slot])
            if alpha.last != 0 and at + 1 >= prompt_length:  # a part of a long prompt ends before
                ids = states.all_token_ids.gpu[slot, : at + 1].tolist()
                rows.append((row, slot, ids, prompt_length, alpha))
        return rows

    # the V1 runner

    def update_state(self, batch_update: Any) -> None:
        """Follow the requests as they leave, come and change places, in vLLM's order: removed,
        added, moved."""
        if batch_update is None or self._texts is None:
            return
        for place in batch_update.removed:
            self._requests.pop(place, None)
        for place, params, prompt, output in batch_update.added:
            self._requests.pop(place, None)
            alpha = self._of(params)
            if alpha.last != 0:
                if prompt is None:
                    raise ValueError(
                        "a request has embeddings in the place of its prompt, which the small "
                        f"model cannot read; give token ids or text, or {ARGUMENT} 0"
                    )
                self._count += 1
                self._requests[place] = _Request(self._count, prompt, output, alpha)
        for first, second, direction in batch_update.moved:
            one, other = self._requests.pop(first, None), self._requests.pop(second, None)
            if one is not None:
                self._requests[second] = one
            if other is not None and direction.name == "SWAP":
                self._requests[first] = other
        self._texts.keep({request.number for request in self._requests.values()})

    def _of(self, params: Any) -> Alpha:
        given = (params.extra_args or {}).get(ARGUMENT)
        return self._default if given is None else _alpha(given)


def _check(vllm_config: Any, *, v1: bool) -> None:
    """Raise ValueError where the shift would be wrong."""
    model = vllm_config.model_config
    text = getattr(model, "hf_text_config", None) or model.hf_config
    caps = [
        f"{name} = {value}"
        for name, value in vars(text).items()
        if CAP.search(name) and not INNER.search(name) and value
    ]
    if caps:
        raise ValueError(
            f"the model caps its logits ({', '.join(caps)}), and the shift belongs before the cap, "
            "while vLLM shows logits behind it that already hold a request's biases; use `veneer "
            "generate --large`, or bake the shift into the head: `veneer transfer --bake`"
        )
    if getattr(vllm_config, "speculative_config", None) is not None:
        raise ValueError(
            "speculative decoding scores tokens that are not chosen yet, which the small model has "
            "not read; leave --speculative-config out"
        )
    if v1 and not model.logits_processors and vllm_config.scheduler_config.async_scheduling:
        raise ValueError(
            "with asynchronous scheduling, the V1 runner shows chosen tokens only to processors "
            f"that are named; {SHOWN}"
        )


@dataclass(frozen=True)
class _Head:
    """rows: of the vocabulary. scale: vLLM's logits have the model's own scale already, so the
    shift is that of the small model's logits as it is."""

    rows: int
    scale: float = 1.0


@dataclass(frozen=True)
class _Large:
    """What matching needs of vLLM's model."""

    name: str
    tokenizer: Any
    head: _Head
    stop_ids: Sequence[int]
    device: Any


def _load(config: ShiftConfig, vllm_config: Any, device: str) -> GrownTexts:
    """The small model and the shift, on the large model's device. Raises InputError where veneer,
    small model and vocabularies do not fit."""
    from veneer.adapters.grown_texts import GrownTexts
    from veneer.head.veneer import Veneer
    from veneer.models.load import load_model
    from veneer.models.tokenizer import load_tokenizer
    from veneer.systems.shifted import shift_of

    model = vllm_config.model_config
    tokenizer = load_tokenizer(
        model.tokenizer,
        revision=getattr(model, "tokenizer_revision", None),
        trust_remote_code=bool(getattr(model, "trust_remote_code", False)),
    )
    small = load_model(config.small, device=device, dtype=config.dtype)
    veneer = Veneer.load(config.veneer)
    veneer.check_fits(small)
    large = _Large(model.model, tokenizer, _Head(model.get_vocab_size()), (), small.device)
    return GrownTexts(small, shift_of(large, small, veneer)[0])
