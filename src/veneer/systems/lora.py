"""LoRAs of base that a study trains: on a few of the aligned model's answers, the baseline in the
place of LIMA, or on any examples."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from veneer.capture.artefact import Capture
from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.files import write_folder, write_json
from veneer.foundation.progress import Progress
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.systems.trained import trained_before, training_record
from veneer.systems.tuning import (
    Example,
    fit_answers,
    layers_from,
    quiet,
    sharing,
    with_adapter,
)

RECORD = "lora.json"
K = TypeVar("K", int, str)


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """examples: answers learned from, as many of each task as can be. rank, alpha: of the adapter,
    on every linear layer but the head (Hu et al. 2021, arXiv 2106.09685; all layers as in QLoRA,
    Dettmers et al. 2023, arXiv 2305.14314). epochs, batch: passes over the examples, examples a
    step. rate: of AdamW, warmed up over a tenth of the steps and then falling linearly to 0;
    gradients are clipped to norm 1. The last step counts: nothing is selected."""

    examples: int
    rank: int = 16
    alpha: int = 32
    rate: float = 1e-3
    epochs: int = 4
    batch: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("examples", "rank", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} of the LoRA is {getattr(self, name)}; expected 1 or more")


def need_peft() -> None:
    try:
        import peft  # noqa: F401
    except ImportError:
        raise MissingExtra("peft", "peft", "the LoRA baseline") from None


def lora_model(
    pair: Pair,
    capture: Capture,
    prompts: Sequence[int],
    config: LoraConfig,
    out: Path,
    *,
    progress: Progress | None = None,
) -> LanguageModel:
    """Base with the adapter in `out`, which is trained if it does not exist; equal seeds give equal
    adapters. Base's weights are shared, not changed.

    prompts: numbers of the capture's prompts to choose from (its train part). `out` is a PEFT
    adapter folder, whole or not at all. Raises InputError where it was made with other settings, or
    where there are fewer prompts than examples; MissingExtra.
    """
    numbers = chosen(capture, prompts, config)
    stamp = {
        "config": asdict(config),
        "base": pair.base.fingerprint(),
        "format": pair.base_format.facts(),
        "capture": capture.manifest["prompts_sha256"],
        "aligned": capture.manifest["aligned"]["fingerprint"],
        "prompts": numbers,
    }
    examples = examples_of(pair, capture, numbers)
    return tuned(pair.base, examples, config, out, stamp, progress=progress)


def tuned(
    base: LanguageModel,
    examples: Sequence[Example],
    config: LoraConfig,
    out: Path,
    stamp: Mapping[str, Any],
    *,
    from_layer: int = 0,
    progress: Progress | None = None,
) -> LanguageModel:
    """Base with the adapter in `out`, which is trained on the examples if it does not exist. Base's
    weights are shared, not changed.

    stamp: what decides the adapter beside the examples, as JSON; kept beside it.
    from_layer: the lowest layer that gets the adapter, 0-based. Raises InputError where the adapter
    was made with another stamp, base or examples; MissingExtra.
    """
    need_peft()
    record = training_record(base, examples, stamp)
    if trained_before(out / RECORD, record):
        return _loaded(base, out)
    model, losses = _train(base, examples, config, from_layer, progress)
    _save(model, base.name, out, {**record, "losses": losses})
    return _loaded(base, out)


def chosen(capture: Capture, prompts: Sequence[int], config: LoraConfig) -> list[int]:
    """Prompt numbers, one of each task in turn, in an order that a hash of seed
    and number gives."""
    if len(prompts) < config.examples:
        raise InputError(
            f"the capture has {len(prompts)} train prompts, but the LoRA was to learn from "
            f"{config.examples}; give more --train prompts or fewer examples (lora-K)"
        )
    tasks = {n: capture.prompts[n]["task"] for n in prompts}
    return in_turn(tasks, config.seed)[: config.examples]


def in_turn(groups: Mapping[K, str], seed: int) -> list[K]:
    """Everything in an order that a hash of seed and key gives, one of each group in turn. So the
    first k are a part of the first k + 1.

    groups: key -> its group; a key is a number or a text.
    """
    by_group: dict[str, list[K]] = {}
    for key in sorted(groups, key=lambda k: hashlib.sha256(f"{seed}\0{k}".encode()).digest()):
        by_group.setdefault(groups[key], []).append(key)
    rounds = itertools.zip_longest(*(by_group[g] for g in sorted(by_group)), fillvalue=None)
    return [key for several in rounds for key in several if key is not None]


def examples_of(pair: Pair, capture: Capture, numbers: Sequence[int]) -> list[Example]:
    """Base's ids of each prompt, in its own format, and the aligned model's answer
    with its end token."""
    answers = {r["number"]: r["token_ids"] for r in capture.responses()}
    out = []
    for n in numbers:
        row = capture.prompts[n]
        turns = tuple(row.get("messages") or ({"role": "user", "content": row["plain"]},))
        prompt = Prompt(row["id"], turns, row["plain"], row["task"])
        ids = pair.base_format.encode(pair.base.tokenizer, prompt)
        if len(ids) != row["base_length"]:
            raise InputError(
                f"prompt {row['id']!r} has {len(ids)} tokens in base's format but had "
                f"{row['base_length']} in the capture; give the pair and the format that the "
                "capture was made with"
            )
        out.append((ids, answers[n]))
    return out


def _train(
    base: LanguageModel,
    examples: Sequence[Example],
    config: LoraConfig,
    from_layer: int,
    progress: Progress | None,
) -> tuple[Any, list[float]]:
    """The PEFT model and the mean loss of each epoch."""
    devices = [base.device] if base.device.type == "cuda" else []
    with torch.random.fork_rng(devices), quiet():
        torch.manual_seed(config.seed)
        layers = layers_from(base, from_layer) if from_layer else None
        model = with_adapter(base, config.rank, config.alpha, layers)
    lm = LanguageModel(base.name, model.get_base_model(), base.tokenizer)
    learned = [p for p in model.parameters() if p.requires_grad]
    losses = fit_answers(
        lm,
        learned,
        examples,
        epochs=config.epochs,
        batch=config.batch,
        rate=config.rate,
        seed=config.seed,
        name=f"lora-{config.examples}",
        progress=progress,
    )
    return model, losses


def _save(model: Any, base_name: str, out: Path, record: dict[str, Any]) -> None:
    def write(scratch: Path) -> None:
        model.peft_config["default"].base_model_name_or_path = base_name
        model.save_pretrained(str(scratch), safe_serialization=True, save_embedding_layers=False)
        (scratch / "README.md").unlink(missing_ok=True)  # the library's empty form
        write_json(scratch / RECORD, record)

    write_folder(out, write)


def _loaded(base: LanguageModel, folder: Path) -> LanguageModel:
    from peft import PeftModel

    try:
        with quiet():
            model = PeftModel.from_pretrained(sharing(base.model), str(folder))
    except Exception as error:  # damaged or foreign files make the libraries raise all kinds
        raise InputError(
            f"the adapter {folder} cannot be loaded ({str(error).splitlines()[0][:200]}); delete "
            "it: it is made again"
        ) from None
    return LanguageModel(base.name, model.get_base_model(), base.tokenizer)
