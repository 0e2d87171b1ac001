"""How a tokenizer normalises and cuts texts: as its own files say.

transformers 5 reads the vocabulary and the merges of a tokenizer.json, and sets the rest anew by
the class that tokenizer_config.json names: GPT2Tokenizer cuts digits as GPT-2 does where the file
of SmolLM2 or Granite cuts them one by one, LlamaTokenizer puts no space behind a special token
where the file of Llama 2 does. The model was trained on the tokens of its file, which other engines
read. Of a SentencePiece model alone (tokenizer.model) the library leaves out the space in front of
a text, or what the model does to spaces and characters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from veneer.foundation.errors import InputError

PARTS = ("normalizer", "pre_tokenizer", "decoder", "model")
# of a part, in tokenizer_config.json: add_prefix_space, do_lower_case, strip_accents,
# tokenize_chinese_chars
SETTINGS = ("add_prefix_space", "lowercase", "strip_accents", "handle_chinese_chars")
CUTTING = ("normalizer", "pre_tokenizer")
UNSET = object()
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # SentencePiece's sign for a space
UNIGRAM, BPE = 1, 2  # model types of SentencePiece


def follow_file(tokenizer: Any, file: Path) -> None:
    """Let `tokenizer` do what its tokenizer.json says where its class has set that anew. Its tokens
    and what it puts around a text stay."""
    kind = type(tokenizer)
    if kind is PreTrainedTokenizerFast or "__init__" not in kind.__dict__:
        return  # it has read the whole file
    written, backend = Tokenizer.from_file(str(file)), tokenizer.backend_tokenizer
    for part in PARTS:
        own, theirs = getattr(backend, part), getattr(written, part)
        if part not in CUTTING or not _differ_by_setting(own, theirs):
            setattr(backend, part, theirs)


def follows(tokenizer: Any, other: Any) -> bool:
    """Whether two tokenizers normalise, cut and decode texts alike; also where one has no such
    parts to compare."""
    ours, theirs = (getattr(t, "backend_tokenizer", None) for t in (tokenizer, other))
    if ours is None or theirs is None:
        return True
    return all(_state(getattr(ours, p)) == _state(getattr(theirs, p)) for p in PARTS[:3])


def _differ_by_setting(ours: Any, written: Any) -> bool:
    """Whether two parts differ by what tokenizer_config.json sets, and which every version of the
    library takes from there."""
    states = [_state(part) for part in (ours, written)]
    known = [{k for k in SETTINGS if s.pop(k, UNSET) is not UNSET} for s in states]
    return bool(known[0]) and known[0] == known[1] and states[0] == states[1]


def _state(part: Any) -> dict[str, Any]:
    state = json.loads(part.__getstate__()) if part is not None else {}
    return state if isinstance(state, dict) else {}


def follow_sentencepiece(tokenizer: Any, file: Path, settings: Mapping[str, Any]) -> None:
    """Let `tokenizer` do what its SentencePiece model says, if its ids are those of the model.
    settings: of tokenizer_config.json; the library's own may be defaults of the class.

    Raises InputError for a model that is neither BPE nor unigram.
    """
    proto = _read(file)
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    vocabulary = tokenizer.get_vocab()
    if sum(vocabulary.get(p) != i for i, (p, _) in enumerate(pieces)) > len(pieces) // 100:
        return  # a family with an order of its own, such as XLM-RoBERTa
    spec, text = proto.trainer_spec, proto.normalizer_spec
    wanted = {UNIGRAM: models.Unigram, BPE: models.BPE}.get(spec.model_type)
    backend = tokenizer.backend_tokenizer
    if wanted is models.Unigram:
        backend.model = models.Unigram(pieces, spec.unk_id, spec.byte_fallback)
    elif wanted is None or not isinstance(backend.model, models.BPE):
        raise InputError(
            f"{file} is a SentencePiece model of a type that {type(tokenizer).__name__} does not "
            "read; expected BPE or unigram: give a folder with a tokenizer.json"
        )
    if isinstance(backend.model, models.BPE):
        backend.model.byte_fallback, backend.model.fuse_unk = spec.byte_fallback, True
        backend.model.unk_token, backend.model.ignore_merges = spec.unk_piece, False
    given = settings.get("add_prefix_space")
    prefix = text.add_dummy_prefix if given is None else bool(given)
    # transformers 4 puts the space in front of every part between special tokens ("legacy")
    everywhere = settings.get("legacy") is not False
    steps: list[Any] = []
    if text.precompiled_charsmap:
        steps.append(normalizers.Precompiled(text.precompiled_charsmap))
    if text.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if prefix and everywhere:
        steps.append(normalizers.Prepend(SPACE))
    backend.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])
    backend.pre_tokenizer = (
        pre_tokenizers.Metaspace(SPACE, prepend_scheme="first", split=False)
        if prefix and not everywhere
        else None
    )
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )


def _read(file: Path) -> Any:
    from transformers.convert_slow_tokenizer import import_protobuf

    proto = import_protobuf().ModelProto()
    proto.ParseFromString(file.read_bytes())
    return proto
