"""Names to objects: those of Veneer, those that a program registers, and those that an installed
package offers as entry points."""

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

    A name resolves, in this order, to an object that a program registered with `register`, to a
    built-in, or to an entry point of an installed package. An entry point never replaces a
    built-in. Built-ins are "module:attribute" texts, so that nothing is imported before it is used.

    kind: the word for one object in messages ("task"). group: the entry-point group, such as
    "veneer.tasks". built_in: name -> "module:attribute". also: what may be given in place of a
    name, for messages ("a custom task file (file:NAME.jsonl)").
    """

    def __init__(
        self, kind: str, group: str, built_in: Mapping[str, str] | None = None, also: str = ""
    ):
        self.kind = kind
        self.group = group
        self.also = also
        self._built_in = dict(built_in or {})
        self._registered: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers an object under `name`.

        An object that is defined anew, as in a notebook's cell that runs again, takes the place of
        the former one. Raises InputError where the name belongs to a built-in or to another object:
        one name has one meaning.
        """

        def add(thing: T) -> T:
            former = self._registered.get(name, thing)
            if name in self._built_in or _defined(former) != _defined(thing):
                raise InputError(
                    f"there is a {self.kind} called {name!r} already; choose another name"
                )
            self._registered[name] = thing
            return thing

        return add

    def unregister(self, name: str) -> None:
        """Forget a registered object; an unknown name has no effect."""
        self._registered.pop(name, None)

    @property
    def built_in(self) -> tuple[str, ...]:
        """The names of this package's own objects, in their order."""
        return tuple(self._built_in)

    def names(self) -> list[str]:
        """Return all names: built-in ones first, in their own order, then the others by name."""
        others = sorted({*self._registered, *self._offered()} - set(self._built_in))
        return [*self._built_in, *others]

    def __contains__(self, name: object) -> bool:
        return name in self._registered or name in self._built_in or name in self._offered()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def get(self, name: str) -> T:
        """Import and return the object of that name.

        Raises InputError for an unknown name, with the nearest existing one; for an entry point
        that cannot be imported; and for a name that two packages offer.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self._built_in:
            return load_object(self._built_in[name])
        offered = self._offered()
        if name not in offered:
            raise InputError(self.unknown(name))
        points = offered[name]
        if len({point.value for point in points}) > 1:
            packages = " and ".join(sorted(_package(point) for point in points))
            raise InputError(
                f"{packages} both offer a {self.kind} {name!r}; expected one: uninstall the other"
            )
        point = points[0]
        try:
            return point.load()
        except Exception as error:
            package = _package(point)
            raise InputError(
                f"the {self.kind} {name!r} of {package} cannot be imported "
                f"({type(error).__name__}: {error}); expected {point.value} to exist: mend or "
                f"uninstall {package}"
            ) from error

    def unknown(self, name: str) -> str:
        """Return the sentence for a name that no object has."""
        names = self.names()
        if not names and not self.also:
            return (
                f"there is no {self.kind} {name!r}, and no installed package offers one; expected "
                f"an entry point in the group {self.group} (docs/extending.md)"
            )
        return f"there is no {self.kind} {name!r}; {nearest(name, names, self.also)}"

    def _offered(self) -> dict[str, list[EntryPoint]]:
        offered: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            offered.setdefault(point.name, []).append(point)
        return offered


def _defined(thing: Any) -> Any:
    """Return what an object shares with its next definition: module and name of a class or function
    at the top of a module or notebook, of anything else the object itself."""
    name = getattr(thing, "__qualname__", "<none>")
    return thing if "<" in name else (thing.__module__, name)


def load_object(place: str) -> Any:
    """Import and return the object at "module:attribute".

    Raises InputError where it belongs to another package and cannot be imported.
    """
    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        package = module.partition(".")[0]
        if package == "veneer":  # a fault of our own keeps its traceback
            raise
        raise InputError(
            f"{place} cannot be imported ({type(error).__name__}: {error}); expected it to exist: "
            f"mend or uninstall {package}"
        ) from error


def nearest(name: str, names: list[str], also: str = "") -> str:
    """Return the names nearest to a mistyped one, before all names: "did you mean 'svamp'? (one of
    ...)". also: what may be given in place of a name."""
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    meant = f"did you mean {' or '.join(repr(c) for c in close)}? " if close else ""
    every = ", ".join(names) + (f", or {also}" if also else "")
    return f"{meant}(one of {every})" if meant else f"expected one of {every}"


def _package(point: EntryPoint) -> str:
    """Return the name of the installed package that offers an entry point."""
    return point.dist.name if point.dist else "a package"
