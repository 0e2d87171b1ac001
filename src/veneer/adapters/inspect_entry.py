"""What inspect-ai finds through the entry point of this package: models "veneer/NAME", and the
portion as a scorer."""

from __future__ import annotations

from inspect_ai.model import ModelAPI, modelapi

from veneer.adapters.inspect_portion import portion, veneer_portion

__all__ = ["portion", "veneer", "veneer_portion"]


@modelapi(name="veneer")
def veneer() -> type[ModelAPI]:
    """The models; PyTorch is imported when one is made."""
    from veneer.adapters.inspect_model import VeneerAPI

    return VeneerAPI
