"""Full-weight fine-tuning of base that a study does: a checkpoint folder, made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import write_folder, write_json
from veneer.foundation.progress import Progress
from veneer.models.language_model import LanguageModel
from veneer.systems.lora import RECORD, LoraConfig
from veneer.systems.trained import trained_before, training_record
from veneer.systems.tuning import Example, fit_answers, layers_from, learning_copy, own_head


def fully_tuned(
    base: LanguageModel,
    examples: Sequence[Example],
    config: LoraConfig,
    out: Path,
    stamp: Mapping[str, Any],
    *,
    from_layer: int = 0,
    progress: Progress | None = None,
) -> LanguageModel:
    """Base with the weights of all layers from `from_layer` on, the final norm and the head trained
    on the examples; the checkpoint in `out` is read if it exists. Base itself is not changed.

    config: epochs, batch, rate and seed count here. stamp: as in `lora.tuned`.
    """
    record = training_record(base, examples, stamp)
    if not trained_before(out / RECORD, record):
        model, learned = learning_copy(base, layers_from(base, from_layer))
        losses = fit_answers(
            LanguageModel(base.name, model, base.tokenizer),
            list(learned.values()),
            examples,
            epochs=config.epochs,
            batch=config.batch,
            rate=config.rate,
            seed=config.seed,
            name=f"full-{config.examples}",
            head=own_head(base, model),
            progress=progress,
        )

        def write(scratch: Path) -> None:
            model.save_pretrained(scratch, safe_serialization=True)
            base.tokenizer.save_pretrained(scratch)
            write_json(scratch / RECORD, {**record, "losses": losses})

        write_folder(out, write)
    return _loaded(base, out)


def _loaded(base: LanguageModel, out: Path) -> LanguageModel:
    try:  # of base's own class: an auto class for text opens no LLaVA or InternVL
        model = (
            type(base.model)
            .from_pretrained(out, dtype=base.head.weight.dtype, use_safetensors=True)
            .to(base.device)
        )
    except Exception as error:  # damaged or foreign files make the libraries raise all kinds
        raise InputError(
            f"the trained model {out} cannot be loaded ({str(error).splitlines()[0][:200]}); "
            "delete it: it is made again"
        ) from None
    return LanguageModel(base.name, model, base.tokenizer)
