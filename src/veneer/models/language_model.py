"""A causal language model as Veneer sees it: a backbone that gives final hidden
states, and a head."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from veneer.foundation.display import Shown
from veneer.foundation.errors import InputError
from veneer.models.abilities import Abilities
from veneer.models.cache import new_cache
from veneer.models.end_of_turn import EndOfTurn, find_end
from veneer.models.head import Head, find_backbone_and_head
from veneer.models.reading import read
from veneer.models.step_weights import StepWeights


class LanguageModel(Shown):
    """A loaded model with its tokenizer. `name` is what the user called it.

    backbone(ids) gives the final hidden states (after the final norm), `head` turns them into
    logits; both are found through the transformers API and checked against the model's own logits
    when made (see head.find_head). What the model can do with a batch is tried when it is first
    needed (`abilities`).
    """

    def __init__(self, name: str, model: Any, tokenizer: Any):
        self.name = name
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.backbone: Any
        self.head: Head
        self.backbone, self.head = find_backbone_and_head(model, name)
        self.from_memory = False

    @classmethod
    def of(cls, model: Any, tokenizer: Any = None, name: str | None = None) -> LanguageModel:
        """A transformers model that is in memory already, with its tokenizer. A LanguageModel is
        returned as it is.

        name: what manifests and pages call it; by default the name or folder that it was loaded
        from. The model is set to evaluation mode and not changed otherwise; what it was loaded from
        is never read again. Raises InputError where it is no causal language model of transformers
        or has no tokenizer, VeneerError where its logits are not those of a linear head.
        """
        if isinstance(model, cls):
            return model
        if not isinstance(model, PreTrainedModel):
            raise InputError(_no_model(model))
        name = name or str(getattr(model, "name_or_path", "")) or type(model).__name__
        if tokenizer is None:
            raise InputError(
                f"the model {name} comes without a tokenizer; give both, as in "
                "LanguageModel.of(model, tokenizer)"
            )
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise InputError(
                f"found {type(tokenizer).__name__} as the tokenizer of {name}; expected a "
                "tokenizer of transformers: load it with AutoTokenizer.from_pretrained"
            )
        made = cls(name, model, tokenizer)
        made.from_memory = True
        return made

    def _shown(self) -> dict[str, Any]:
        parameters = sum(p.numel() for p in self.model.parameters())
        return {
            "name": self.name,
            "architecture": type(self.model).__name__,
            "parameters": f"{parameters:,}",
            "head": f"{self.head.rows:,} x {self.head.width:,}",
            "type": str(self.head.weight.dtype).removeprefix("torch."),
            "device": str(self.device),
        }

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    @property
    def config(self) -> Any:
        return self.model.config

    @property
    def longest(self) -> int | None:
        """Tokens that its context holds; None where its config names no limit."""
        return getattr(self.config.get_text_config(decoder=True), "max_position_embeddings", None)

    @cached_property
    def abilities(self) -> Abilities:
        """The model's abilities with a batch."""
        vocabulary = min(self.head.rows, self.model.get_input_embeddings().weight.shape[0])
        return Abilities(
            self.name,
            self.model,
            self.backbone,
            vocabulary=vocabulary,
            pad=self.pad_id,
            device=self.device,
        )

    def new_cache(self) -> Any:
        """An empty cache of keys and values (or recurrent states), or None where the
        model takes none."""
        return new_cache(self.config) if self.abilities.words.cache else None

    def hidden(self, ids: Tensor, mask: Tensor, cache: Any = None) -> Tensor:
        """Final hidden states (B, T, d) of ids (B, T).

        mask: (B, S) with 1 at real tokens, S = cached + T; padding may be on either side, as
        `abilities` allows. With a cache, ids are the tokens that it has not seen yet. Raises
        InputError for a text with a token that has no row in the embeddings.
        """
        steps = cache is not None and ids.shape[1] == 1
        if not steps and ids.numel() and (highest := int(ids.max())) >= self.readable:
            raise InputError(
                f"a text holds {self.tokenizer.convert_ids_to_tokens(highest)!r} (id {highest}), "
                f"but {self.name} has only {self.readable} rows in its embeddings; leave the token "
                "out of the text or template, or resize the embeddings"
            )
        with self.step_weights.step() if steps else contextlib.nullcontext():
            return read(self.backbone, self.abilities.words, ids, mask, cache)

    @cached_property
    def step_weights(self) -> StepWeights:
        """What steps multiply by: one new token for each row of a batch, behind a cache."""
        return StepWeights(self.backbone, self.head)

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Token ids that end a response: the model's own end tokens and its template's end of turn.
        An id without a row in the head cannot be produced, and is left out."""
        own = getattr(self.model.generation_config, "eos_token_id", None)
        if own is None:
            own = getattr(self.config.get_text_config(decoder=True), "eos_token_id", None)
        ids = [own] if isinstance(own, int) else list(own or ())
        ids += [i for i in (self.tokenizer.eos_token_id, self.end_of_turn) if i is not None]
        return tuple(sorted({i for i in ids if 0 <= i < self.head.rows}))

    @cached_property
    def turn(self) -> EndOfTurn:
        """The text that the chat template writes after an assistant's words. Warns where a template
        lacks something that decoding relies on."""
        turn = find_end(self.tokenizer)
        log = logging.getLogger("veneer")
        if not turn.opens:
            log.warning(
                "veneer: the chat template of %s has no generation prompt: what opens an answer "
                "is left for the model to write",
                self.name,
            )
        if turn.text is not None:
            log.warning(
                "veneer: the chat template of %s ends an answer with %r, which is no single token "
                "of its tokenizer: answers in that format end where the text stands",
                self.name,
                turn.text,
            )
        return turn

    @property
    def end_of_turn(self) -> int | None:
        """The id that closes an assistant's turn in the chat template, or None
        without a template."""
        return self.turn.id

    @property
    def readable(self) -> int:
        """Rows of the input embeddings: ids from this number on cannot be read."""
        weight = getattr(self.model.get_input_embeddings(), "weight", None)
        return self.head.rows if weight is None else int(weight.shape[0])

    @property
    def pad_id(self) -> int:
        """An id for padding, which is masked: the tokenizer's own where it has a row,
        otherwise any that has."""
        pad = self.tokenizer.pad_token_id
        if isinstance(pad, int) and 0 <= pad < self.readable:
            return pad
        return next((i for i in self.stop_ids if i < self.readable), 0)

    def fingerprint(self) -> str:
        """sha256 over every parameter's name, shape and a strided sample of 1,024 values.

        Tells two models apart in a fraction of a second whatever their size; it is no proof
        against tampering. A model without weights, of a dry run, has that of its name.
        """
        if self.head.weight.is_meta:
            return hashlib.sha256(self.name.encode()).hexdigest()
        digest = hashlib.sha256()
        for key, value in sorted(self.model.state_dict().items()):
            flat = _value_of(self.model, key, value).detach().reshape(-1)
            sample = flat[:: max(1, flat.numel() // 1024)].float().cpu()
            digest.update(f"{key}{tuple(value.shape)}".encode() + sample.numpy().tobytes())
        return digest.hexdigest()

    def tokenizer_hash(self) -> str:
        """sha256 of the token strings in id order and the chat template."""
        vocabulary = sorted((i, t) for t, i in self.tokenizer.get_vocab().items())
        return hashlib.sha256(repr((vocabulary, self.tokenizer.chat_template)).encode()).hexdigest()

    def vocabulary_hash(self) -> str:
        """sha256 of the token strings in id order: equal where token ids mean the same."""
        vocabulary = sorted((i, t) for t, i in self.tokenizer.get_vocab().items())
        return hashlib.sha256(repr(vocabulary).encode()).hexdigest()

    def facts(self) -> dict[str, Any]:
        """The model's part of a manifest."""
        return {
            "name": self.name,
            "architecture": type(self.model).__name__,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "dtype": str(self.head.weight.dtype).removeprefix("torch."),
            "fingerprint": self.fingerprint(),
            "tokenizer": self.tokenizer_hash(),
            "unembedding": self.head.hash(),
            "rows": self.head.rows,
            "width": self.head.width,
            "logit_scale": self.head.scale,
            "logit_softcap": self.head.softcap,
            **self.abilities.facts(),
        }


def check_model(model: Any) -> LanguageModel:
    """The model itself. Raises InputError for anything but a LanguageModel."""
    if isinstance(model, LanguageModel):
        return model
    if isinstance(model, PreTrainedModel):
        raise InputError(
            f"found a bare {type(model).__name__}; give it with its tokenizer, as "
            "LanguageModel.of(model, tokenizer), or both models as Pair.of(base, aligned, "
            "tokenizer)"
        )
    raise InputError(_no_model(model))


def _no_model(given: Any) -> str:
    """The sentence for an object that is no model."""
    if hasattr(given, "merge_and_unload"):
        return (
            "found a PEFT model, whose adapter is apart from its weights; give "
            "model.merge_and_unload()"
        )
    return (
        f"found {type(given).__name__} in the place of a model; expected a causal language model "
        "of transformers, or what veneer.load_model(NAME) gives"
    )


def _value_of(model: Any, key: str, value: Tensor) -> Tensor:
    """A parameter's value, also where a split model keeps it outside its devices (split.py)."""
    if not value.is_meta:
        return value
    from transformers.integrations.accelerate import load_offloaded_parameter

    return load_offloaded_parameter(model, key)
