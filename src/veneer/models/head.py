"""The head of a language model: from final hidden state to logits, with whatever the architecture
does after the matrix."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from veneer.foundation.errors import InputError, VeneerError
from veneer.models.backbone import HeadInput, distance
from veneer.models.packed import Packed
from veneer.models.plain_product import plain_product

LOGITS_AT_ONCE = 512 * 50_000  # 100 MB in float32; what reads them needs some of that size beside
# numbers of a head in half precision that stand beside it in float32: 64 MB
WIDENED_AT_ONCE = 1 << 24
ROUNDINGS = (torch.bfloat16, torch.float16)  # dtypes in which a float32 checkpoint may be loaded
# nats; how far recomputed logits may be from the model's own, relative to the largest one
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Head:
    """logits = cap(scale * (W h + b)), cap(z) = softcap * tanh(z / softcap) where
    softcap is set, else z.

    weight: (V, d). bias: (V,) or None. scale: Cohere, Granite and others multiply or divide their
    logits by a constant. softcap: Gemma 2 bounds its final logits. The veneer is added to `weight`,
    so before scale and cap. packed: these weights, or more rows of them, for decoding steps.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None
    packed: Packed | None = field(default=None, repr=False)

    @property
    def rows(self) -> int:
        return self.weight.shape[0]

    @property
    def width(self) -> int:
        return self.weight.shape[1]

    @property
    def at_once(self) -> int:
        """Hidden states whose logits are to be held together, so that memory does not grow with the
        vocabulary: 512 or fewer."""
        return max(16, min(512, LOGITS_AT_ONCE // self.rows))

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden (..., d) -> logits (..., V), in float32 or better."""
        return self.transform(self.raw(hidden))

    def raw(self, hidden: Tensor) -> Tensor:
        """W h + b (..., V) of hidden (..., d), in float32 or better."""
        hidden = hidden.to(self.weight.dtype)
        if self.packed is not None and self.packed.takes(hidden):
            return self.packed.product(hidden)[..., : self.rows]
        out = plain_product(hidden, self.weight, self.bias)
        return out.float() if out.dtype in ROUNDINGS else out

    def exact_logits(self, hidden: Tensor) -> Tensor:
        """Logits with every product and sum in float32, also where the weights are stored in half
        precision: not rounded to eleven or eight bits, as that model's own logits are. The weights
        are widened block by block (`WIDENED_AT_ONCE`)."""
        if self.weight.dtype not in ROUNDINGS:
            return self.logits(hidden)
        hidden = hidden.float()
        out = hidden.new_empty(*hidden.shape[:-1], self.rows)
        for at in range(0, self.rows, step := max(1, WIDENED_AT_ONCE // self.width)):
            out[..., at : at + step] = hidden @ self.weight[at : at + step].float().mT
        return self.transform(out if self.bias is None else out + self.bias.float())

    def transform(self, raw: Tensor) -> Tensor:
        """Apply the architecture's scaling and cap to W h + b; without any, return `raw`."""
        if self.scale != 1.0:
            raw = raw * self.scale
        if self.softcap is not None:
            raw = self.softcap * torch.tanh(raw / self.softcap)
        return raw

    def first_rows(self, size: int) -> Head:
        """The head over ids 0..size-1: what a capture stores and a veneer is extracted against,
        where `size` is that of the shared vocabulary."""
        bias = None if self.bias is None else self.bias[:size]
        return Head(self.weight[:size], bias, self.scale, self.softcap, self.packed)

    def with_weight(self, weight: Tensor) -> Head:
        return Head(weight, self.bias, self.scale, self.softcap)

    def hash(self) -> str:
        """sha256 of the unembedding as float32 bytes: a veneer records it."""
        return self.rounded_hash(None)

    def rounded_hash(self, dtype: torch.dtype | None) -> str:
        """The hash that this head has when its checkpoint is loaded as `dtype`."""
        digest = hashlib.sha256()
        for start in range(0, self.rows, 8192):
            block = self.weight[start : start + 8192].detach()
            block = block if dtype is None else block.to(dtype)
            digest.update(block.float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def roundings(self) -> dict[str, str]:
        """Hashes of this head in half precision, by dtype; none where it is in half precision
        already (as bfloat16, a bfloat16 checkpoint has the hash that it has as float32)."""
        hashes = {str(d).removeprefix("torch."): self.rounded_hash(d) for d in ROUNDINGS}
        own = self.hash()
        return {} if own in hashes.values() else hashes

    def facts(self) -> dict[str, str]:
        """Hashes of the unembedding and, where there is one, of the bias."""
        if self.bias is None:
            return {"head": self.hash()}
        return {"head": self.hash(), "head_bias": Head(self.bias[:, None]).hash()}


def find_backbone_and_head(model: Any, name: str) -> tuple[Any, Head]:
    """What gives the model's final hidden states, and the head that turns them into logits.

    The base model, as transformers names it; where its states and the head do not give the model's
    own logits, whatever enters the head (backbone.HeadInput). Raises VeneerError, InputError as
    `find_head` does.
    """
    backbones = (
        [HeadInput(model, name)]
        if model.base_model is model
        else [model.base_model, HeadInput(model, name)]
    )
    refusals: list[VeneerError] = []
    for backbone in backbones:
        try:
            return backbone, find_head(model, backbone, name)
        except InputError:
            raise
        except VeneerError as error:
            refusals.append(error)
    raise refusals[-1]


def find_head(model: Any, backbone: Any, name: str) -> Head:
    """The head of `model`, found through the transformers API and checked against the
    model's own logits: those of its rows that have a logit.

    A constant factor is measured, a soft cap is read from the config, and the result must reproduce
    the model's logits on a probe to `TOLERANCE`. Raises VeneerError that says by how much it does
    not: the final norm may be missing from the hidden states, or the architecture does something
    else between them and its logits. Raises InputError for a model whose states depend on later
    tokens: it is no causal language model, whatever its name.
    """
    layer = model.get_output_embeddings()
    check_plain(layer, name)
    if layer is None or getattr(layer, "weight", None) is None or layer.weight.ndim != 2:
        raise VeneerError(
            f"{name} has no output embedding matrix that the transformers API finds "
            "(get_output_embeddings); expected a causal language model with a linear head"
        )
    head = Head(
        layer.weight.detach(), None if getattr(layer, "bias", None) is None else layer.bias.detach()
    )
    if head.weight.is_meta:  # a dry run, without weights
        return head
    hidden, own = _on_probe(model, backbone, head, name)
    if not torch.isfinite(own).all():
        raise VeneerError(
            f"{name} gives logits that are not finite; its weights may be damaged: download or "
            "save it again"
        )
    if hidden.shape[-1] != head.width:
        raise VeneerError(
            f"{name}: the backbone's last hidden state has width {hidden.shape[-1]} but the head "
            f"expects {head.width}; this architecture does something between them that Veneer "
            "does not know"
        )
    # the model cuts off the logits of rows that only fill its head up (Inkling)
    head = head.first_rows(min(head.rows, own.shape[-1]))
    fits = [_fit(head, hidden, own, cap) for cap in (*_softcaps(model.config), None)]
    head, worst = min(fits, key=lambda fit: fit[1])
    limit = TOLERANCE * max(1.0, float(own.abs().max()))
    if head.weight.dtype in (torch.float16, torch.bfloat16):
        limit *= 50  # eight bits of mantissa
    if not worst <= limit:
        raise VeneerError(
            f"{name}: head(h) differs from the model's own logits by up to {worst:.3g} (allowed "
            f"{limit:.3g}); the hidden states may lack the final norm, or the architecture "
            "changes its logits in a way that Veneer does not know"
        )
    return head


def check_plain(layer: Any, name: str) -> None:
    """Raise InputError for a head with quantised weights."""
    weight = getattr(layer, "weight", None)
    kind = getattr(weight, "dtype", None)
    plain = type(weight) in (type(None), Tensor, nn.Parameter)  # torchao: tensors of its own kind
    plain = plain and kind in (None, torch.float32, torch.float64, *ROUNDINGS)
    if not plain or hasattr(layer, "qweight"):
        raise InputError(
            f"the output head of {name} is quantised; expected one of plain numbers, which a "
            "veneer is added to: give the model without quantisation, or quantise it without its "
            "head"
        )


def _softcaps(config: Any) -> list[float]:
    """Soft caps that a config names, whatever it calls them (Gemma, RecurrentGemma and xLSTM
    differ); that of attention is among them."""
    values = config.get_text_config(decoder=True).to_dict()
    caps = {
        k: v
        for k, v in values.items()
        if re.search("soft_?cap", k) and isinstance(v, int | float) and v > 0
    }
    return [float(v) for k, v in sorted(caps.items(), key=lambda item: "attn" in item[0])]


def _fit(head: Head, hidden: Tensor, own: Tensor, softcap: float | None) -> tuple[Head, float]:
    """The head with the factor that fits behind this cap, and how far its logits are from
    the model's own."""
    raw = head.logits(hidden)
    before_cap = softcap * torch.atanh((own / softcap).clamp(-0.999, 0.999)) if softcap else own
    big = (
        raw.abs() >= raw.abs().flatten().quantile(0.5)
        if raw.numel() < 2**24
        else raw.abs() >= raw.abs().mean()
    )
    scale = float((before_cap[big] / raw[big]).median())
    if abs(scale - 1) < 1e-3:
        scale = 1.0
    fitted = Head(head.weight, head.bias, scale, softcap)
    worst = float((fitted.logits(hidden) - own).abs().max())
    return fitted, worst if worst == worst else float("inf")  # NaN: the factor is not finite


def _on_probe(model: Any, backbone: Any, head: Head, name: str) -> tuple[Tensor, Tensor]:
    """(hidden (1, 16, d), the model's own logits (1, 16, V)) of a few tokens. Raises VeneerError
    where the model does not run on them."""
    named_rows = (
        getattr(model.config.get_text_config(decoder=True), "vocab_size", None) or head.rows
    )
    # (1, 16)
    probe = torch.arange(3, 19, device=head.weight.device).remainder(min(head.rows, named_rows))[
        None
    ]
    try:
        with torch.inference_mode():
            hidden = backbone(input_ids=probe, use_cache=False).last_hidden_state
            beginning = backbone(input_ids=probe[:, :9], use_cache=False).last_hidden_state
            own = model(input_ids=probe, use_cache=False).logits.float()
    except (VeneerError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # a model that needs more than text raises all kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
        raise VeneerError(
            f"{name} ({type(model).__name__}) cannot read a few tokens of text ({reason}); "
            "expected a causal language model that reads text alone"
        ) from None
    if hidden.shape[:2] != probe.shape:
        raise VeneerError(
            f"{name} ({type(model).__name__}) gives states of the shape {tuple(hidden.shape)} for "
            f"{probe.shape[1]} tokens; expected one state for each token, as a causal language "
            "model has them"
        )
    # what is quantised may round each state by those that are read beside it
    rounded = hidden.dtype in ROUNDINGS or getattr(model, "is_quantized", False)
    rounding = 0.2 if rounded else 1e-4
    if (
        bool(torch.isfinite(hidden).all())
        and distance(beginning, hidden[:, : beginning.shape[1]]) > rounding
    ):
        raise InputError(
            f"{name} ({type(model).__name__}) reads the tokens that follow, so that its states of "
            "a text change when the text goes on; expected a causal language model (an encoder "
            "that is used as a decoder needs is_decoder: true in its config.json)"
        )
    return hidden.detach(), own.detach()  # some models turn gradients on by themselves
