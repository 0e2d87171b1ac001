"""Classify why a request has no answer, by a server's status and words: whose fault it is, and
whether another attempt is worth it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from veneer.endpoint import words
from veneer.endpoint.backoff import requested_seconds


class Fault(StrEnum):
    """The kind of mend that a failure needs; `mends.py` has one sentence for each."""

    NONE = ""  # nothing that the user could mend: the server's own trouble
    KEY = "key"
    PERMISSION = "permission"
    MODEL = "model"
    ADDRESS = "address"
    QUOTA = "quota"
    PARAMETER = "parameter"
    LIMIT = "limit"  # on new tokens
    REQUEST = "request"


@dataclass
class Failure(Exception):
    """An attempt without an answer.

    message: the cause, for people. words: the server's own sentence, "" where it sent none. status:
    HTTP status, or None. passing: another attempt may succeed. hopeless: no request will succeed.
    wait: seconds that the server named. filtered: the endpoint refuses this content; long: the
    request does not fit the model; own: the fault is this request's own (its content, its length),
    others may succeed. steady: the reply cannot be read; where the next one is like it, the request
    is not sent again. fault: the kind of mend. parameters: those that the server names in a field
    of its own. parameter: the one that it refuses and that is not left out.
    """

    message: str
    status: int | None = None
    passing: bool = False
    hopeless: bool = False
    wait: float | None = None
    filtered: bool = False
    own: bool = False
    long: bool = False
    steady: bool = False
    fault: Fault = Fault.NONE
    parameters: tuple[str, ...] = ()
    parameter: str = ""
    words: str = ""

    def __str__(self) -> str:
        return self.message


_FILTERED = re.compile(
    r"content.?(filter|policy|management|exists.risk)|moderation|responsibleai|data.?inspection|"
    r"inappropriate|\bflagged\b|jailbreak|"
    r"usage policies|unsafe.content|safety (system|filter|polic)",
    re.I,
)
_LONG = re.compile(
    r"context.?(length|size|window)|maximum context|max_model_len|maximum model length|too "
    r"(long|many (input )?tokens)|reduce the length|"
    r"(prompt|input|request|messages?)\b.{0,40}too large|string_above_max_length|tokens? \+ "
    r"`?max_new_tokens|"
    r"exceeds? the (maximum|limit).{0,30}tokens",
    re.I,
)
_LIMIT = re.compile(
    r"max(imum)?_?(completion|new|output)?_?tokens\b.{0,60}(too large|too high|at most|less "
    r"than|exceeds?|cannot be greater|must be (<|between))|"
    r"supports at most \d+ (completion|output)? ?tokens",
    re.I,
)
_QUOTA = re.compile(
    r"insufficient.?(quota|balance|credits?|funds)|exceeded your current quota|billing|out of "
    r"credits?|credit balance|payment required|"
    r"spending limit|prepaid|arrears",
    re.I,
)
_MODEL = re.compile(
    r"model_?not_?found|deploymentnotfound|unknown.model|invalid.model|no.such.model|"
    r"unsupported.model|not a valid model|"
    r"\bmodels?\b.{0,90}(does not exist|not exist|not found|not available|is not (served|loaded|"
    r"supported|a valid)|no longer|deprecated|"
    r"decommissioned)|no (model|endpoints? found for)\b",
    re.I,
)
_NOT_THE_MODEL = re.compile(
    r"parameter|logprob|temperature|response_format|feature|with this model|for this "
    r"model|by this model",
    re.I,
)
_ADDRESS = re.compile(
    r"unexpected endpoint|(unknown|invalid|unrecognized) (request "
    r")?(url|path|route|endpoint)|cannot post|page not found|no route|"
    r"no static resource|method not allowed|url .{0,60}not found",
    re.I,
)
_KEY = re.compile(
    r"(invalid|incorrect|missing|no).?.?(api.?key|token|credential)|authentication|unauthorized",
    re.I,
)
_NO_KEY = re.compile(
    r"api.?key.{0,20}(not "
    r"valid|invalid|incorrect|expired)|(invalid|incorrect|missing).{0,3}api.?key",
    re.I,
)  # with 400
_NOWHERE = re.compile(r"not.?found|no such|404", re.I)
_BUSY = re.compile(
    r"overload|rate.?limit|too many requests|busy|time.?d? ?out|temporar|unavailable|try "
    r"again|capacity|loading",
    re.I,
)
_OWN_FAULT = re.compile(
    r"invalid_?request|bad_?request|unsupportedparams|validation|invalid_?argument|"
    r"invalid_?parameter",
    re.I,
)
_REFUSING = (400, 404, 406, 410, 413, 415, 422)  # statuses of a request that is refused in its form


def of_status(status: int, headers: Mapping[str, str], body: Any, key: str = "") -> Failure:
    """Return the failure of an error status. headers: names in lower case. body: what
    `words.read_body` gives. key: removed from the words."""
    sentence = words.one_line(words.sentence(body), key)
    text = f"{' '.join(words.codes(body))} {sentence}"
    headers = {**words.headers_inside(body), **headers}
    retry_after = requested_seconds(headers)
    failure = Failure(
        f"HTTP {status}" + (f": {sentence}" if sentence else ""),
        status,
        passing=_passes(status),
        wait=words.seconds_named(body) if retry_after is None else retry_after,
        parameters=tuple(words.parameters(body)),
        words=sentence,
    )
    return _judged(failure, status, text)


def of_error(body: Any, key: str = "") -> Failure | None:
    """Return the failure that a body of status 200 stands for, or None where it is a reply: an
    error object in one of many forms, alone or beside `choices` that are empty. An error whose
    fields are all empty (one-api writes such beside every reply) is none."""
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if not _says_something(error):
        if body.get("choices") or isinstance(body.get("data"), list):
            return None
        error = body
        if (
            not words.sentence(body)
            and str(body.get("object", body.get("type"))).lower() != "error"
        ):
            return None
    if (status := _status_in(error) or _status_in(body)) is not None:
        return of_status(status, {}, body, key)
    sentence = words.one_line(words.sentence(body), key)
    failure = Failure(
        f"an error in place of a reply: {sentence or 'without a word'}",
        passing=True,
        steady=True,
        wait=words.seconds_named(body),
        parameters=tuple(words.parameters(body)),
        words=sentence,
    )
    return _judged(failure, None, f"{' '.join(words.codes(body))} {sentence}")


def _judged(failure: Failure, status: int | None, text: str) -> Failure:
    """Fill in whose fault it is. Content and length come first: gateways send them
    under many a status."""
    refusing = status is None or status in _REFUSING or status >= 500
    if (refusing or status in (403, 451)) and _FILTERED.search(text):
        failure.filtered = failure.own = True
    elif status == 413 or (refusing and _LONG.search(text)):
        failure.long = failure.own = True
    elif status == 451:
        failure.own = True
    else:
        _blame(failure, status, text)
    if failure.own or failure.hopeless or failure.fault is not Fault.NONE:
        failure.passing = failure.steady = False
    return failure


def _blame(failure: Failure, status: int | None, text: str) -> None:
    refusing = status is None or status in _REFUSING
    model = bool(_MODEL.search(text)) and not _NOT_THE_MODEL.search(text)
    if (
        status == 401
        or (status is None and _KEY.search(text))
        or (status == 400 and _NO_KEY.search(text))
    ):
        failure.fault = Fault.KEY
    elif status == 402 or (status in (None, 403, 429) and _used_up(text, failure.wait)):
        failure.fault = Fault.QUOTA
    elif status == 403:
        failure.fault = Fault.PERMISSION
    elif refusing and model:
        failure.fault = Fault.MODEL
    elif (
        status == 405
        or (status in (404, 410) and _says_nowhere(failure.words))
        or (refusing and _ADDRESS.search(text))
    ):
        failure.fault = Fault.ADDRESS
    elif (refusing or status == 500) and _LIMIT.search(text):
        failure.fault = Fault.LIMIT
        return
    elif status in _REFUSING or ((status is None or status == 500) and _OWN_FAULT.search(text)):
        failure.fault = Fault.REQUEST
        return
    failure.hopeless = failure.fault is not Fault.NONE
    if status is None and failure.fault is Fault.NONE and _BUSY.search(text):
        failure.steady = False


def _used_up(text: str, wait: float | None) -> bool:
    """Return whether an account has nothing left. Google words a minute's limit alike, and says how
    long to wait."""
    return "insufficient_quota" in text or (wait is None and bool(_QUOTA.search(text)))


def _says_nowhere(sentence: str) -> bool:
    """Return whether a 404 concerns the address: OpenRouter also sends one where no provider takes
    the request."""
    return not sentence or bool(_NOWHERE.search(sentence))


def _passes(status: int) -> bool:
    return status in (408, 409, 425, 429) or (status >= 500 and status not in (501, 505, 510, 511))


def _status_in(error: Any) -> int | None:
    """Return a status of HTTP that an error object carries as its code."""
    for one in (error, error.get("error") if isinstance(error, dict) else None):
        for name in ("code", "status", "status_code", "http_code"):
            value = one.get(name) if isinstance(one, dict) else None
            if isinstance(value, str) and value.isdecimal() and len(value) == 3:
                value = int(value)
            if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
                return value
    return None


def _says_something(error: Any, depth: int = words.DEEPEST) -> bool:
    """Return whether an `error` is more than an empty form."""
    if isinstance(error, dict | list) and depth:
        return any(
            _says_something(v, depth - 1)
            for v in (error.values() if isinstance(error, dict) else error)
        )
    return error not in (None, "", 0, False, [], {})
