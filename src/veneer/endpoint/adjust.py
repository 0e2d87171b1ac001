"""Leave out or rename the parameters that a server refuses.

Only parameters that do not change the request's meaning are left out without a warning: a JSON
schema (the prompt itself asks for the JSON), stop strings (the answer is cut at them here),
log-probabilities (the caller sees that none came). A seed, or a temperature where the caller allows
it, is left out with a warning. Any other parameter that a server refuses is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from veneer.endpoint.failure import Failure, Fault

FEWER = 5  # top log-probabilities that servers with a limit take
WITHOUT_EFFECT = {"response_format", "stop"}
_FIXED = {"model", "messages", "prompt", "input"}
_NOT_HERE = {Fault.KEY, Fault.PERMISSION, Fault.QUOTA, Fault.ADDRESS, Fault.MODEL}
_REFUSES = re.compile(
    r"un-?supported|not.{0,12}support|unrecogni[sz]ed|unknown|unexpected|extra.?(inputs|forbidden|"
    r"fields)|not (permitted|allowed|enabled|"
    r"available|implemented|valid|accepted)|cannot (be|find|both)|can't be|forbidden|invalid|"
    r"deprecated|only the default|must be|required|"
    r"should be|less than|greater than|at most|max(imum)? allowed|between|out of range|does not "
    r"accept|remove|drop",
    re.I,
)
_SCHEMA = re.compile(
    r"response_format|json_?(schema|object|mode)|structured.output|guided|grammar", re.I
)
_LOGPROBS = re.compile(r"log_?probs?", re.I)
_MOST = re.compile(
    r"(?:at most|less than or equal to|max(?:imum)?(?: allowed)?(?: is)?:?|<=|between 0 and|\[0, "
    r"?|up to) ?(\d+)",
    re.I,
)
_RENAMED = re.compile(
    r"use .{0,3}max_completion_tokens|max_tokens.{0,60}(not "
    r"supported|unsupported|deprecated)|unsupported.{0,60}max_tokens",
    re.I,
)
_SHORT = {"stop", "seed", "n", "user"}  # names that are ordinary words, too
SAMPLED = ("seed", "temperature")


class Adjustments:
    """The adjustments that a client learned from a server's refusals, for all its requests.
    may_leave_out: parameters that matter and that are nevertheless left out, with a warning, where
    the server refuses them."""

    def __init__(self, may_leave_out: Collection[str] = ("seed",)) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []  # names of what was left out although it matters
        self._may = set(may_leave_out)
        self._dropped: set[str] = set()
        self._renamed = False
        self._most: int | None = None

    def learn(self, body: dict[str, Any], failure: Failure) -> bool:
        """Return whether the request of `body` is worth another attempt with the adjustment that
        its failure teaches. Where the server refuses a parameter that stays, the failure gets its
        name."""
        if (
            failure.fault in _NOT_HERE
            or failure.own
            or (failure.status or 0) in (401, 402, 403, 429)
        ):
            return False
        names = refused(body, failure)
        for name in names:
            self._learn(name, body, failure)
        if self.apply(body) != body:
            return True
        if names and failure.fault in (Fault.NONE, Fault.REQUEST) and not failure.passing:
            failure.fault, failure.parameter = Fault.PARAMETER, names[0]
        return False

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body as this server takes it."""
        body = {k: v for k, v in body.items() if k not in self._dropped}
        if self._renamed and "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
        if self._most is not None and "top_logprobs" in body:
            body["top_logprobs"] = min(body["top_logprobs"], self._most)
        return body

    def missing(self, body: dict[str, Any]) -> list[str]:
        """Return the parameters of `body` that matter and are not sent."""
        return [name for name in self.warnings if name in body]

    def _learn(self, name: str, body: dict[str, Any], failure: Failure) -> None:
        if name in WITHOUT_EFFECT:
            self._drop(name)
        elif name in ("logprobs", "top_logprobs"):
            self._fewer(body, failure.message)
        elif name == "max_tokens" and _RENAMED.search(failure.message):
            self._renamed = True
            self._note("max_tokens sent as max_completion_tokens")
        elif name in self._may or (name == "temperature" and body[name] == 1):
            self._drop(name)
            if name not in self.warnings:
                self.warnings.append(name)

    def _fewer(self, body: dict[str, Any], message: str) -> None:
        """Ask for fewer log-probabilities where the server names a limit or seems to have one,
        otherwise for none."""
        most = int(m[1]) if (m := _MOST.search(message)) else FEWER
        wanted = body.get("top_logprobs") or 0
        limited = m is not None or re.search(
            r"limit|too (many|large|high)|exceed|greater than|at most", message, re.I
        )
        if limited and 0 < most < wanted:
            self._most = most
            self._note(f"top_logprobs lowered to {most}")
        else:
            self._dropped |= {"logprobs", "top_logprobs"}
            self._note("logprobs left out")

    def _drop(self, name: str) -> None:
        self._dropped.add(name)
        self._note(f"{name} left out")

    def _note(self, what: str) -> None:
        if what not in self.notes:
            self.notes.append(what)


def refused(body: dict[str, Any], failure: Failure) -> list[str]:
    """Return the parameters of `body` that a server refuses, by the fields of its error or by its
    message."""
    mine, message = [n for n in body if n not in _FIXED], failure.message
    named = [n for n in failure.parameters if n in mine]
    if not named and _REFUSES.search(message):
        named = [n for n in mine if _mentions(message, n)]
        if not named and "max_tokens" in mine and _RENAMED.search(message):
            named = ["max_tokens"]
        if not named and "response_format" in mine and _SCHEMA.search(message):
            named = ["response_format"]
        if not named and "logprobs" in mine and _LOGPROBS.search(message):
            named = ["logprobs"]
    if not named and failure.status in (415, 501):
        named = [n for n in mine if n in ("response_format", "logprobs")][:1]
    if re.search(r"\bboth\b|only one of|together|mutually", message) and {
        "temperature",
        "top_p",
    } <= set(mine):
        return ["temperature" if body["temperature"] == 1 else "top_p"]
    return named


def _mentions(message: str, name: str) -> bool:
    if name in _SHORT:
        return bool(
            re.search(
                rf"['\"`\[({{.]{name}['\"`\])}},]|\b{name}[: ](is "
                rf"not|parameter|sequences?|strings?|words)|parameters?:? {name}\b",
                message,
                re.I,
            )
        )
    return bool(re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", message, re.I))
