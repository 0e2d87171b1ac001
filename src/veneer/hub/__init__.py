"""The Hugging Face hub: addresses, reading into the cache, one commit, and errors in a sentence."""

from veneer.hub.address import Address, is_hub
from veneer.hub.local import local_place

__all__ = ["Address", "is_hub", "local_place"]
