"""What a model computes beside its weights: the fields of its config that decide its numbers, and
how its tokenizer reads and writes text. An artefact that a model made records it, and a model whose
files were edited since is told apart from the one that made it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from veneer.foundation.errors import InputError

if TYPE_CHECKING:
    from veneer.models.language_model import LanguageModel

COMPUTATION = "computation"  # its name in manifests and records
HASHED = {"tokenizer": "the tokenizer", "template": "the chat template"}  # compared as a whole
STOPS = "stop_ids"
SAMPLE = 4096  # token strings that the tokenizer writes and reads again
# Fields that change no number at inference, or whose effect is recorded elsewhere: end tokens as
# stop ids, tied heads as weights. Names that begin with "_" are the library's own.
SILENT = re.compile(
    r"_.*|transformers_version|name_or_path|architectures|auto_map|(torch_)?dtype|torchscript"
    r"|id2label|label2id|num_labels|problem_type|finetuning_task|task_specific_params"
    r"|tokenizer_class|prefix|vocab_size|(bos|eos|pad|sep|cls|unk)_token_id|tie_(word_embeddings|weights)"
    r"|return_dict|use_return_dict|use_cache|output_(attentions|hidden_states|router_logits)"
    r"|gradient_checkpointing|chunk_size_feed_forward|pretraining_tp|initializer_.*|.*_loss_coef"
    r"|.*dropout.*|.*_pdrop|layerdrop|(vision|audio|video|image|speech)_config"
)
POSITIONS = re.compile(r"(.*\.)?max_position_embeddings")
ROPE = re.compile(r"(.*\.)?(rope_type|rope_(scaling|parameters)(\..*)?\.type)")


def computation(lm: LanguageModel) -> dict[str, Any]:
    """As JSON: `config` (dotted name -> value, see `computing_fields`), `tokenizer` (sha256 of
    `SAMPLE` token strings as it writes them, and of the ids that it reads them as), and the
    version of `transformers` that gave the config its default fields."""
    import transformers

    return {
        "config": computing_fields(lm.config.to_dict()),
        "tokenizer": _tokenizer_hash(lm.tokenizer),
        "transformers": transformers.__version__,
    }


def chat_computation(lm: LanguageModel) -> dict[str, Any]:
    """The same of a model that answers in its chat template, with the template's sha256 and the
    ids that end an answer."""
    template = hashlib.sha256(repr(lm.tokenizer.chat_template).encode()).hexdigest()
    return {**computation(lm), "template": template, STOPS: list(lm.stop_ids)}


def computations(models: Mapping[str, LanguageModel]) -> dict[str, Any]:
    """The computation of each model, by the part that it plays."""
    return {part: computation(lm) for part, lm in models.items()}


def computing_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config that decide the model's numbers, by dotted name, without those that
    are null. A longest position counts only where positions are scaled by it."""
    plain = json.loads(json.dumps(config, default=str))
    fields = dict(_flat(plain))
    if all(value == "default" for name, value in fields.items() if ROPE.fullmatch(name)):
        fields = {k: v for k, v in fields.items() if not POSITIONS.fullmatch(k)}
    return fields


def changes(before: Any, now: Mapping[str, Any]) -> list[str]:
    """What differs between two computations, each with both values. What one of them does not hold
    is not known, and no difference: a record of an earlier version, or of another version of
    transformers, whose configs have other fields."""
    before = before if isinstance(before, Mapping) else {}
    old, new = _fields(before), _fields(now)
    names = old.keys() & new.keys()
    if old and new and before.get("transformers") == now.get("transformers"):
        names = old.keys() | new.keys()
    fields = [
        f"{name} of config.json: {_short(old.get(name))} there, {_short(new.get(name))} here"
        for name in sorted(names)
        if not _same(old.get(name), new.get(name))
    ]
    both = before.keys() & now.keys()
    others = [words for k, words in HASHED.items() if k in both and before[k] != now[k]]
    if STOPS in both and before[STOPS] != now[STOPS]:
        others.append(f"end tokens: {before[STOPS]} there, {now[STOPS]} here")
    return [*fields, *others]


def check_unchanged(
    place: Any, before: Any, now: Mapping[str, Mapping[str, Any]], mend: str | None = None
) -> None:
    """Raise InputError where a model does not compute what it computed when it made `place`.

    before: name -> computation, as recorded there; None, or lacking a name, where it is not known.
    mend: what a person does about it; another folder, unless it says otherwise.
    """
    recorded = before if isinstance(before, Mapping) else {}
    edited = [
        f"{name} ({'; '.join(changed)})"
        for name, computed in now.items()
        if (changed := changes(recorded.get(name), computed))
    ]
    if edited:
        raise InputError(
            f"{place} was made when a model computed something else: {', '.join(edited)}; "
            f"{mend or f'give another --out, or delete {place}'}"
        )


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nested config that decide something; a list is a leaf."""
    for key, part in value.items():
        if part is None or SILENT.fullmatch(key):
            continue
        full = f"{name}.{key}" if name else key
        if isinstance(part, dict):
            yield from _flat(part, full)
        else:
            yield full, part


def _fields(computed: Mapping[str, Any]) -> dict[str, Any]:
    fields = computed.get("config")
    return fields if isinstance(fields, dict) else {}


def _same(a: Any, b: Any) -> bool:
    """Whether two values are equal; of two numbers, whether they are to float32's precision, in
    which some formats store them."""
    numbers = (int, float)
    if isinstance(a, numbers) and isinstance(b, numbers):
        return a == b or math.isclose(a, b, rel_tol=1e-6)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _tokenizer_hash(tokenizer: Any) -> str:
    ids = sorted(tokenizer.get_vocab().values())
    ids = ids[:: max(1, len(ids) // SAMPLE)]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    read = list(tokenizer(text, verbose=False)["input_ids"])
    return hashlib.sha256(json.dumps([text, read]).encode()).hexdigest()
