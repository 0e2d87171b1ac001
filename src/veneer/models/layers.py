"""The decoder layers of a model, under any architecture's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from veneer.foundation.errors import VeneerError

if TYPE_CHECKING:
    from veneer.models.language_model import LanguageModel


def decoder_layers(lm: LanguageModel) -> nn.ModuleList:
    """The list of the backbone's layers, lowest first; replacing an entry replaces the layer.
    Raises VeneerError where the backbone has no such list."""
    return find_layers(lm.backbone, lm.config, lm.name)


def find_layers(backbone: nn.Module, config: Any, name: str) -> nn.ModuleList:
    """The layers of a backbone that is no LanguageModel yet; name: the model's, for the error.

    Those of a tower for images or sounds are none, also where it has as many (InternVL3-1B).
    """
    from transformers import PreTrainedConfig

    text = config.get_text_config(decoder=True)
    towers = {
        inner
        for m in backbone.modules()
        if isinstance(own := getattr(m, "config", None), PreTrainedConfig)
        and type(own) not in (type(config), type(text))
        for inner in m.modules()
    }
    lists = [m for m in backbone.modules() if isinstance(m, nn.ModuleList) and m not in towers]
    number = getattr(text, "num_hidden_layers", None)
    layers = next((m for m in lists if len(m) == number), None)
    if layers is None:
        raise VeneerError(
            f"{name} keeps its {number} layers in no list that Veneer finds; expected a decoder "
            "of layers in turn"
        )
    return layers


def layers_name(lm: LanguageModel) -> str:
    """The layers' name in the model, such as "model.layers": layer i's parameters begin with NAME.i
    and a full stop."""
    layers = decoder_layers(lm)
    return next(name for name, module in lm.model.named_modules() if module is layers)
