"""`--model veneer` for lm-evaluation-harness, from names alone.

The harness reads no entry points, so this module registers the name and hands on to the harness:

    python -m veneer.adapters.lm_eval_named run --model veneer \
        --model_args pretrained=BASE,veneer=FOLDER --tasks arc_easy

In Python: `import veneer.adapters.lm_eval_named`, then `simple_evaluate(model="veneer", ...)`.
"""

from __future__ import annotations

from typing import Any

from veneer.adapters.lm_eval import VeneerLM
from veneer.foundation.errors import InputError
from veneer.models.formats import PlainFormat, given_format
from veneer.models.load import load_model
from veneer.systems.system import System, warn_of_plain_text

import lm_eval.models  # isort: skip  # noqa: F401  # its own names stay known beside this one
from lm_eval.api.registry import register_model  # isort: skip

BATCH = 32


@register_model("veneer")
class NamedVeneerLM(VeneerLM):
    """A model under lm-evaluation-harness, with or without a veneer.

    pretrained: a name that `veneer.load_model` takes. veneer: the folder of a veneer for it. alpha:
    its strength. template: what the model reads, as with `--base-template`: "chat", a template's
    name, or a text with {prompt}; by default what the veneer was fitted behind, otherwise plain
    text. batch_size: "auto" is 32. device, dtype, revision: as with `load_model`. Raises InputError
    for an unknown option.
    """

    def __init__(
        self,
        pretrained: str,
        veneer: str | None = None,
        *,
        alpha: float = 1.0,
        template: str | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
        dtype: str = "auto",
        revision: str | None = None,
        max_gen_toks: int = 256,
        seed: int = 0,
        **other: Any,
    ):
        if other:
            raise InputError(
                f"found the option {next(iter(other))!r} of --model veneer; expected pretrained, "
                "veneer, alpha, template, batch_size, device, dtype, revision, max_gen_toks or seed"
            )
        lm = load_model(pretrained, device=device or "auto", dtype=dtype, revision=revision)
        form = None if template is None else given_format(template)
        self._says_format = form is not None or veneer is not None
        if not self._says_format:
            form = PlainFormat()
        system = System.of_model(lm, veneer, format=form, alpha=float(alpha))
        size = str(batch_size or BATCH)
        super().__init__(
            system,
            batch_size=int(size) if size.isdigit() else int(max_batch_size or BATCH),
            max_gen_toks=int(max_gen_toks),
            seed=int(seed),
        )

    def _reading(self, context: str) -> System:
        """Warn where a model with a chat template reads a context that neither the harness
        (`--apply_chat_template`) nor a `template` has put in it."""
        if not self._says_format and context not in self._rendered:
            self._says_format = True  # once
            warn_of_plain_text(self.system.lm, "template=chat", "template=plain")
        return super()._reading(context)


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
