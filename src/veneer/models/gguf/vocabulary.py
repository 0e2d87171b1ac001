"""The tokenizer of a checkpoint as GGUF keeps it: byte-level BPE that llama.cpp cuts as
transformers does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json
from veneer.models.tokenizer import load_tokenizer

# How a text is cut before the merges -> llama.cpp's name for it. llama.cpp knows these by name
# only, so an unknown cut is refused: a near miss tokenises most texts rightly and some wrongly,
# without a word.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n"
    r"]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PRE_TOKENIZERS: dict[tuple[str, ...], str] = {
    ("bytes with GPT-2's pattern",): "gpt-2",
    ("single digits", "bytes with GPT-2's pattern"): "smollm",
    (LLAMA3, "bytes"): "llama-bpe",
    (LLAMA3.replace("{1,3}", ""), "bytes"): "qwen2",
}
IGNORES_MERGES = {"llama-bpe"}  # a whole word of the vocabulary is one token


@dataclass(frozen=True)
class GgufVocabulary:
    """The tokenizer's data in a GGUF file. tokens, types: one per row of the embedding,
    `config.vocab_size` in all."""

    tokens: list[str]
    types: list[int]
    merges: list[str]
    pre: str
    special: dict[str, int]  # bos, eos, eot, eom, unk, pad, where there is one
    add_bos: bool
    add_eos: bool
    chat_template: str | list[dict[str, str]] | None


def add_vocabulary(writer: Any, vocabulary: GgufVocabulary) -> None:
    """Put it into the metadata of a GGUFWriter."""
    writer.add_tokenizer_model("gpt2")  # GGUF's word for byte-level BPE
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges)
    for kind, token in vocabulary.special.items():
        getattr(writer, f"add_{kind}_token_id")(token)
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_add_eos_token(vocabulary.add_eos)
    if vocabulary.chat_template is not None:
        writer.add_chat_template(vocabulary.chat_template)


def read_vocabulary(checkpoint: Path, config: Any, kinds: Any) -> GgufVocabulary:
    """The tokenizer as transformers runs it, which is not always as its files state it. kinds:
    GGUF's types of tokens."""
    try:
        tokenizer: Any = load_tokenizer(str(checkpoint))
        state = json.loads(tokenizer.backend_tokenizer.to_str())
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
        raise InputError(
            f"the tokenizer of {checkpoint} cannot be loaded ({type(error).__name__}); expected "
            "tokenizer.json and tokenizer_config.json beside the weights: save it there with "
            "save_pretrained"
        ) from None
    pre = _pre_tokenizer(checkpoint, state)
    rows = dict.fromkeys(range(config.vocab_size), ("", kinds.UNUSED))
    rows |= {i: (token, kinds.NORMAL) for token, i in state["model"]["vocab"].items()}
    rows |= {
        t["id"]: (t["content"], kinds.CONTROL if t["special"] else kinds.USER_DEFINED)
        for t in state["added_tokens"]
    }
    if len(rows) > config.vocab_size:
        raise InputError(
            f"the tokenizer of {checkpoint} has token ids up to {max(rows)} but the model has "
            f"{config.vocab_size} rows; expected a row for every token: save the tokenizer that "
            "belongs to the model, or resize the embeddings"
        )
    names = [rows[i][0] or f"[PAD{i}]" for i in range(config.vocab_size)]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise InputError(
            f"the tokenizer of {checkpoint} has the token {twice!r} twice; expected every token "
            "once: mend it"
        )
    merges = [m if isinstance(m, str) else " ".join(m) for m in state["model"]["merges"]]
    special = _special(checkpoint, tokenizer, config)
    add_bos, add_eos = _surround(checkpoint, tokenizer)
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = [{"name": name, "template": text} for name, text in template.items()]
    types = [int(rows[i][1]) for i in range(config.vocab_size)]
    return GgufVocabulary(names, types, merges, pre, special, add_bos, add_eos, template)


def _pre_tokenizer(checkpoint: Path, state: dict[str, Any]) -> str:
    """llama.cpp's name for the way this tokenizer cuts texts. Raises InputError
    where it has none."""
    model, cut = state["model"], state.get("pre_tokenizer") or {}
    steps = tuple(_step(s) for s in cut.get("pretokenizers", [cut]))
    name = PRE_TOKENIZERS.get(steps)
    odd = [
        k
        for k in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
        if model.get(k)
    ]
    whole = bool(model.get("ignore_merges"))
    if model["type"] != "BPE":
        what = f"a {model['type']} model"
    elif odd:
        what = f"BPE with {' and '.join(odd)}"
    elif state.get("normalizer") is not None:
        what = f"the normalizer {state['normalizer'].get('type')}"
    elif name is None:
        what = f"the pre-tokenizer {' + '.join(steps)}"
    elif whole != (name in IGNORES_MERGES):
        what = f"ignore_merges {whole} with the pre-tokenizer {name}"
    else:
        return name
    raise InputError(
        f"the tokenizer of {checkpoint} has {what}, which llama.cpp would read otherwise; "
        "expected byte-level BPE that cuts texts like one of "
        f"{', '.join(PRE_TOKENIZERS.values())}: use llama.cpp's own converter for this one"
    )


def _step(step: dict[str, Any]) -> str:
    """One step of a pre-tokenizer in the words of PRE_TOKENIZERS; anything else in its own."""
    kind = step.get("type", "none")
    if kind == "ByteLevel" and not step["add_prefix_space"]:
        return "bytes with GPT-2's pattern" if step["use_regex"] else "bytes"
    if kind == "Digits" and step["individual_digits"]:
        return "single digits"
    if kind == "Split" and step["behavior"] == "Isolated" and not step["invert"]:
        return str(step["pattern"].get("Regex", step["pattern"]))
    return json.dumps(step)


def _special(checkpoint: Path, tokenizer: Any, config: Any) -> dict[str, int]:
    """The ids with a meaning. bos and eos are always named: llama.cpp takes GPT-2's, token 11,
    where a file names none."""
    stops = _stops(checkpoint, config)
    if tokenizer.eos_token_id is not None:
        own = tokenizer.eos_token_id
        stops = [own, *(s for s in stops if s != own)] if own in stops or not stops else stops
    if not stops:
        raise InputError(
            f"{checkpoint} names no token that ends a response; expected an eos token in "
            "tokenizer_config.json or generation_config.json: set one"
        )
    ids = dict(zip(("eos", "eot", "eom"), stops, strict=False))
    ids["bos"] = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else ids["eos"]
    ids |= {k: v for k in ("unk", "pad") if (v := getattr(tokenizer, f"{k}_token_id")) is not None}
    return ids


def _stops(checkpoint: Path, config: Any) -> list[int]:
    """The ids that end generation in transformers: those of generation_config.json,
    else of config.json."""
    written = checkpoint / "generation_config.json"
    ids = (
        read_json(written, "a generation config").get("eos_token_id") if written.is_file() else None
    )
    ids = config.eos_token_id if ids is None else ids
    return [] if ids is None else list(ids) if isinstance(ids, list) else [ids]


def _surround(checkpoint: Path, tokenizer: Any) -> tuple[bool, bool]:
    """Whether the tokenizer puts bos before and eos after a plain text: seen on one, since three
    places can decide it."""
    bare, full = (tokenizer("a", add_special_tokens=special).input_ids for special in (False, True))
    for bos in ([], [tokenizer.bos_token_id]):
        for eos in ([], [tokenizer.eos_token_id]):
            if [*bos, *bare, *eos] == full:
                return bool(bos), bool(eos)
    raise InputError(
        f"the tokenizer of {checkpoint} turns {bare} into {full} with special tokens; expected "
        "bos before and eos after at most: use llama.cpp's own converter for this one"
    )
