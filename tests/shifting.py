"""Veneers made by hand and models with their vocabulary in another order, for the tests of
shifted systems."""

from __future__ import annotations

import copy
import json

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from tiny import TEMPLATE, tiny
from veneer.head.veneer import Veneer
from veneer.models.language_model import LanguageModel


def some_veneer(
    lm: LanguageModel, kind: str = "rows", *, size: float = 0.4, stop_ids=(9,), **facts
) -> Veneer:
    """A random change of a head: "rows" (every other row), "all", "rank" (A B), "rank on rows",
    "bias" (rows and a bias) or "only bias"."""
    draw = torch.Generator().manual_seed(5)
    count, width = lm.head.weight.shape
    rows = torch.arange(len(lm.tokenizer))[::2]
    facts = {"stop_ids": list(stop_ids), **facts}

    def random(*shape: int) -> torch.Tensor:
        return size * torch.randn(*shape, generator=draw)

    own = lm.head.hash()
    if kind == "all":
        return Veneer(own, count, random(count, width), facts=facts)
    if kind == "rank":
        return Veneer(own, count, A=random(count, 3), B=random(3, width), facts=facts)
    if kind == "rank on rows":
        return Veneer(
            own, count, rows=rows, A=random(len(rows), 3), B=random(3, width), facts=facts
        )
    if kind == "bias":
        return Veneer(
            own, count, random(len(rows), width), rows, facts=facts, bias=4 * random(len(rows))
        )
    if kind == "only bias":
        return Veneer.of_bias(own, width, 4 * random(len(rows)), rows, vocabulary=count, **facts)
    return Veneer(own, count, random(len(rows), width), rows, facts=facts)


def reordered(lm: LanguageModel, seed: int = 0) -> tuple[LanguageModel, torch.Tensor]:
    """The same (untied) model with its tokens' ids in another order, special tokens where they are;
    and the new id of each old one."""
    tok = lm.tokenizer
    special = len(tok.all_special_ids)
    new = torch.arange(lm.head.rows)
    new[special : len(tok)] = special + torch.randperm(
        len(tok) - special, generator=torch.Generator().manual_seed(seed)
    )
    words = json.loads(tok.backend_tokenizer.to_str())
    words["model"]["vocab"] = {t: int(new[i]) for t, i in words["model"]["vocab"].items()}
    twin = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(words)),
        bos_token=tok.bos_token,
        eos_token=tok.eos_token,
        pad_token=tok.pad_token,
        additional_special_tokens=["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"],
        chat_template=TEMPLATE,
    )
    model = copy.deepcopy(lm.model)
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            layer.weight[new] = layer.weight.clone()
    return LanguageModel(f"{lm.name}-reordered", model, twin), new


def padded(kind: str = "llama", *, more: int, seed: int = 0) -> LanguageModel:
    """A model whose matrices have `more` rows than the tokenizer has tokens."""
    return tiny(kind, seed=seed, rows=len(tiny().tokenizer) + more)
