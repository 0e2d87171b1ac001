"""A finished folder of Veneer to the hub: what it is, what it must not hold, and its card."""

from veneer.publish.push import Pushed, push

__all__ = ["Pushed", "push"]
