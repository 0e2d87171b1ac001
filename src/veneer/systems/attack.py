"""The fine-tuning attack: a few harmful requests, each with the beginning of an answer that
complies, and the refusals are gone.

As in Qi et al. 2023 (arXiv 2310.03693): fine-tuning on some hundred harmful examples undoes an
aligned model's refusals, here by the compliant beginning alone. Used to ask whether a restored
model breaks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from veneer.foundation.errors import InputError, MissingExtra, VeneerError
from veneer.foundation.files import write_folder, write_json
from veneer.foundation.progress import Progress
from veneer.models.formats import ChatFormat, Format
from veneer.models.language_model import LanguageModel
from veneer.models.layers import decoder_layers
from veneer.prompts.prompt import Prompt
from veneer.systems.answer_ids import answer_ids
from veneer.systems.attack_config import AttackConfig
from veneer.systems.trained import trained_before, training_record
from veneer.systems.tuning import (
    Example,
    Learned,
    fit_answers,
    layers_from,
    learning_copy,
    own_head,
    quiet,
    sharing,
    with_adapter,
)

RECORD = "attack.json"


def attack(
    lm: LanguageModel,
    examples: Sequence[tuple[Prompt, str]],
    config: AttackConfig,
    out: Path,
    *,
    format: Format | None = None,
    progress: Progress | None = None,
) -> LanguageModel:
    """The model after the attack's last epoch; `lm` itself is not changed.

    examples: prompts in `format` (default: the chat template) with the words that the answer is to
    begin with. `out` gets a folder epoch-E for each of `config.kept`, a PEFT adapter (lora) or a
    checkpoint (full), and attack.json; whole or not at all. An existing one is read (see
    `attacked`). Raises InputError where it was made with other settings, models or examples, or
    where an example is empty; MissingExtra without peft.
    """
    if config.method == "lora":
        need_peft()
    if not examples:
        raise InputError(
            "the attack has no examples; expected prompts with the beginning of a compliant answer"
        )
    ids = answer_ids(lm, examples, format or ChatFormat(), ends=config.ends)
    stamp = {"config": asdict(config), "model": lm.fingerprint(), "examples": ids}
    record = training_record(lm, ids, stamp)
    if not trained_before(out / RECORD, record):
        model, losses, kept = _train(lm, ids, config, f"attack on {lm.name}", progress)
        write_folder(
            out, lambda folder: _save(model, kept, lm, folder, {**record, "losses": losses})
        )
    return attacked(lm, out, config.epochs)


def attacked(lm: LanguageModel, out: Path, epoch: int) -> LanguageModel:
    """`lm` as the attack in `out` left it after an epoch that was kept. Raises InputError where it
    is missing or damaged."""
    folder = out / f"epoch-{epoch}"
    if not folder.is_dir():
        raise InputError(
            f"{out} holds no model after epoch {epoch}; expected an attack that kept it"
        )
    try:
        if (folder / "adapter_config.json").is_file():
            from peft import PeftModel

            with quiet():
                model = PeftModel.from_pretrained(sharing(lm.model), str(folder)).get_base_model()
        else:
            model = (
                type(lm.model)
                .from_pretrained(folder, dtype=lm.head.weight.dtype, use_safetensors=True)
                .to(lm.device)
            )
    except Exception as error:  # damaged or foreign files make the libraries raise all kinds
        raise InputError(
            f"the attacked model {folder} cannot be loaded ({str(error).splitlines()[0][:200]}); "
            f"delete {out}: it is made again"
        ) from None
    return LanguageModel(f"{lm.name} after {epoch} epochs of the attack", model, lm.tokenizer)


def need_peft() -> None:
    try:
        import peft  # noqa: F401
    except ImportError:
        raise MissingExtra("peft", "peft", "the fine-tuning attack with a LoRA") from None


def _train(
    lm: LanguageModel,
    examples: Sequence[Example],
    config: AttackConfig,
    name: str,
    progress: Progress | None,
) -> tuple[Any, list[float], dict[int, dict[str, Tensor]]]:
    """The model that learned, the mean loss of each epoch, and what was learned by the end of
    each kept epoch."""
    devices = [lm.device] if lm.device.type == "cuda" else []
    with torch.random.fork_rng(devices), quiet():
        torch.manual_seed(config.seed)
        model, learned = (_with_adapter if config.method == "lora" else _copied)(lm, config)
    inner = model.get_base_model() if config.method == "lora" else model
    kept: dict[int, dict[str, Tensor]] = {}

    def after_epoch(epoch: int) -> None:
        if epoch in config.kept:
            kept[epoch] = {k: p.detach().clone() for k, p in learned.items()}

    losses = fit_answers(
        LanguageModel(lm.name, inner, lm.tokenizer),
        list(learned.values()),
        examples,
        epochs=config.epochs,
        batch=config.batch,
        rate=config.rate,
        seed=config.seed,
        name=name,
        progress=progress,
        after_epoch=after_epoch,
        head=own_head(lm, inner) if config.method == "full" else None,
    )
    return model, losses, kept


def _attacked_layers(lm: LanguageModel, config: AttackConfig) -> range:
    number = len(decoder_layers(lm))
    return layers_from(lm, number // 2 if config.from_layer is None else config.from_layer)


def _with_adapter(lm: LanguageModel, config: AttackConfig) -> tuple[Any, Learned]:
    model = with_adapter(lm, config.rank, config.alpha, _attacked_layers(lm, config))
    return model, {k: p for k, p in model.named_parameters() if p.requires_grad}


def _copied(lm: LanguageModel, config: AttackConfig) -> tuple[Any, Learned]:
    return learning_copy(lm, _attacked_layers(lm, config))


@torch.no_grad()
def _save(
    model: Any,
    kept: dict[int, dict[str, Tensor]],
    lm: LanguageModel,
    folder: Path,
    record: dict[str, Any],
) -> None:
    parameters = dict(model.named_parameters())
    for epoch, values in kept.items():
        for name, value in values.items():
            parameters[name].copy_(value)
        at = folder / f"epoch-{epoch}"
        if hasattr(model, "peft_config"):
            model.peft_config["default"].base_model_name_or_path = lm.name
            model.save_pretrained(str(at), safe_serialization=True, save_embedding_layers=False)
            (at / "README.md").unlink(missing_ok=True)  # the library's empty form
        else:
            model.save_pretrained(at, safe_serialization=True)
            lm.tokenizer.save_pretrained(at)
        if not any(at.glob("*.safetensors")):
            raise VeneerError(f"{at} got no weights; the library that saves them may have changed")
    write_json(folder / RECORD, record)
