"""The mends for an endpoint that gives no answers: one sentence for each kind of fault."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence

from veneer.endpoint.config import EndpointConfig
from veneer.endpoint.failure import Failure, Fault

SHOWN = 8  # names of models in a sentence
OPTIONS = {
    "max_tokens": "--max-new-tokens",
    "max_completion_tokens": "--max-new-tokens",
    "min_tokens": "--min-new-tokens",
    "temperature": "--temperature",
    "top_p": "--top-p",
    "top_k": "--top-k",
    "min_p": "--min-p",
    "seed": "--seed",
    "presence_penalty": "--presence-penalty",
    "frequency_penalty": "--frequency-penalty",
    "repetition_penalty": "--repetition-penalty",
    "chat_template_kwargs": "--template-arg",
}
_SAMPLES = re.compile(r"default|unsupported|not support|deprecated", re.I)
WRONG_INPUT = {
    Fault.KEY,
    Fault.PERMISSION,
    Fault.MODEL,
    Fault.ADDRESS,
    Fault.PARAMETER,
    Fault.LIMIT,
    Fault.REQUEST,
}  # exit code 2


def mend(
    failure: Failure,
    config: EndpointConfig,
    *,
    has_key: bool,
    served: Callable[[], Sequence[str]],
    elsewhere: Callable[[], str | None],
) -> str:
    """Return the second half of an error's sentence. served: a function that lists the endpoint's
    models, elsewhere: one that tries another address; each sends a request and is called only where
    that helps."""
    fault = failure.fault
    if fault is Fault.KEY or (fault is Fault.PERMISSION and not has_key):
        return (
            f"check the key in the environment variable {config.key_env}"
            if has_key
            else f"put the key into the environment variable {config.key_env}, or name another one"
        )
    if fault is Fault.PERMISSION:
        return (
            f"check the key in the environment variable {config.key_env}, and that it may use the "
            f"model {config.model!r} from here"
        )
    if fault is Fault.QUOTA:
        return (
            "the address and the key are right, but the account has no credit or quota left; see "
            "to that and run the same command again"
        )
    if fault is Fault.MODEL:
        return _model(config.model, served())
    if fault is Fault.ADDRESS:
        if (place := elsewhere()) is not None:
            return f"an endpoint answers at {place}; give that address"
        return "check the address (it usually ends in /v1, without /chat/completions)"
    if fault is Fault.PARAMETER:
        option = OPTIONS.get(failure.parameter)
        own = failure.parameter == "temperature" and _SAMPLES.search(failure.message)
        also = (
            ": this model samples at a temperature of its own, which --temperature 1 stands for"
            if own
            else ""
        )
        what = (
            "change"
            if failure.parameter in ("temperature", "max_tokens")
            else "change or leave out"
        )
        return (
            f"it does not take the parameter {failure.parameter!r}; {what} "
            f"{option or 'the option behind it'}{also}"
        )
    if fault is Fault.LIMIT:
        return "give a smaller limit of new tokens (--max-new-tokens)"
    return "it refuses the request itself; its words say what to change"


def _model(name: str, served: Sequence[str]) -> str:
    if not served:
        return f"check the model's name, {name!r}"
    near = difflib.get_close_matches(name, served, SHOWN, 0.4)
    shown = list(dict.fromkeys([*near, *served]))[:SHOWN]
    rest = len(set(served)) - len(shown)
    return (
        f"it serves {', '.join(map(repr, shown))}{f' and {rest} more' if rest > 0 else ''}; give "
        "one of these names"
    )
