"""Names to objects: what Veneer has, what a program registers, and what an installed package offers
as entry points."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from veneer.foundation.errors import InputError

T = TypeVar("T")


class Registry(Generic[T]):
    """One kind of thing by name, such as all tasks (docs/extending.md).

    A name resolves, in this order, to what a program registered with `register`, to a built-in, or
    to an entry point of an installed package. Built-ins are "module:attribute" texts, so that
    nothing is imported before it is used.

    kind: what one of them is called in messages ("task"). group: the entry-point group, such
    as "veneer.tasks".
    """

    def __init__(self, kind: str, group: str, built_in: Mapping[str, str] | None = None):
        self.kind = kind
        self.group = group
        self._built_in = dict(built_in or {})
        self._registered: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that registers an object under `name`.

        Raises ValueError where the name belongs to a built-in or to another object: one name
        has one meaning.
        """

        def add(thing: T) -> T:
            if name in self._built_in or self._registered.get(name, thing) is not thing:
                raise ValueError(
                    f"there is a {self.kind} called {name!r} already; choose another name"
                )
            self._registered[name] = thing
            return thing

        return add

    def unregister(self, name: str) -> None:
        """Forget a registered object; no effect where there is none."""
        self._registered.pop(name, None)

    def names(self) -> list[str]:
        """All names: built-in ones first, in their own order, then the others by name."""
        others = sorted({*self._registered, *self._offered()} - set(self._built_in))
        return [*self._built_in, *others]

    def __contains__(self, name: object) -> bool:
        return name in self._registered or name in self._built_in or name in self._offered()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def get(self, name: str) -> T:
        """The object of that name, imported now. Raises InputError for an unknown name, with the
        nearest known one, and for an entry point that cannot be imported."""
        if name in self._registered:
            return self._registered[name]
        if name in self._built_in:
            return load_object(self._built_in[name])
        offered = self._offered()
        if name not in offered:
            raise InputError(self.unknown(name))
        point = offered[name]
        try:
            return point.load()
        except Exception as error:
            package = point.dist.name if point.dist else "a package"
            raise InputError(
                f"the {self.kind} {name!r} of {package} cannot be imported "
                f"({type(error).__name__}: {error}); expected {point.value} to exist: mend or "
                f"uninstall {package}"
            ) from error

    def unknown(self, name: str) -> str:
        """The sentence for a name that is not here."""
        return f"there is no {self.kind} {name!r}; {nearest(name, self.names())}"

    def _offered(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}


def load_object(place: str) -> Any:
    """The object at "module:attribute"."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def nearest(name: str, names: list[str]) -> str:
    """What was probably meant, or all there is: "did you mean 'svamp'?" or
    "expected one of ..."."""
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(c) for c in close)}? (known: {', '.join(names)})"
    return f"expected one of {', '.join(names)}"
