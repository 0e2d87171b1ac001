"""The fields of a custom task file (docs/tasks.md): a header line, then one line per prompt. Errors
name file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from veneer.foundation.errors import InputError

WAYS = ("exact", "contains", "number", "regex", "choice")
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"  # it stands in file names and in results
Text = Annotated[StrictStr, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Header(_Strict):
    """The first line of a custom task file.

    name: the task's name in results and files. scorer: exact, contains, number, regex, choice or
    judge:NAME. metric: the judge's metric that is the headline, for judge:NAME alone. better: the
    direction in which the headline should go. ignore_case: for exact, contains and regex. stop:
    strings that end an answer. base_template: text around the prompt for base, with {prompt} in it.
    pattern: for the scorer regex, used by rows without their own.
    """

    name: Annotated[StrictStr, Field(pattern=NAME)]
    scorer: StrictStr
    metric: Text | None = None
    better: Literal["up", "down"] = "up"
    max_new_tokens: Annotated[StrictInt, Field(ge=1, le=8192)] = 128
    stop: tuple[Text, ...] = ()
    ignore_case: StrictBool = True
    base_template: Text | None = None
    pattern: Text | None = None
    source: Text = "given by the user"
    licence: Text = "not stated"
    citation: Text = "not stated"

    @model_validator(mode="after")
    def _fits(self) -> Header:
        if self.scorer not in WAYS and not (self.judge and self.judge.isidentifier()):
            raise ValueError(
                f"the scorer {self.scorer!r} is none of {', '.join(WAYS)} and judge:NAME"
            )
        if self.judge and self.metric is None:
            raise ValueError(
                f"the scorer {self.scorer} needs the judge's metric that is the headline, such as "
                '"metric": "refusal_rate"'
            )
        if self.metric is not None and not self.judge:
            raise ValueError(f"the scorer {self.scorer} takes no metric; leave it out")
        if self.pattern is not None and self.scorer != "regex":
            raise ValueError("a pattern is for the scorer regex")
        if self.base_template is not None and "{prompt}" not in self.base_template:
            raise ValueError("the base_template has no {prompt}")
        return self

    @property
    def judge(self) -> str | None:
        """The judge's name, for a scorer judge:NAME."""
        return self.scorer.removeprefix("judge:") if self.scorer.startswith("judge:") else None


class Turn(_Strict):
    role: Literal["system", "user", "assistant"]
    content: Text


class TaskRow(_Strict):
    """One prompt of a custom task file.

    prompt or messages: the text that the aligned model reads. plain: the text that base reads,
    where it differs. answer: the right answer (a list: any of them); for the scorer choice its
    index or text. choices: for the scorer choice. pattern: for the scorer regex. group: prompts of
    a group also get rows of their own. cluster: prompts of one cluster are not independent of each
    other. target: the beginning of an answer that complies, which `veneer depth` forces.
    """

    id: Annotated[StrictStr, Field(min_length=1)] | StrictInt | None = None
    prompt: Text | None = None
    messages: Annotated[tuple[Turn, ...], Field(min_length=1)] | None = None
    plain: Text | None = None
    split: Literal["train", "test"] = "test"
    answer: (
        Text
        | StrictInt
        | Annotated[StrictFloat, Field(allow_inf_nan=False)]
        | Annotated[list[Text], Field(min_length=1)]
        | None
    ) = None
    choices: Annotated[list[Text], Field(min_length=2)] | None = None
    pattern: Text | None = None
    group: Text | None = None
    cluster: Text | None = None
    target: Text | None = None

    @model_validator(mode="after")
    def _fits(self) -> TaskRow:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("a row has either a prompt or messages")
        if self.messages is not None and self.messages[-1].role != "user":
            raise ValueError("the last message is not the user's")
        if not (self.prompt or self.messages[-1].content).strip():  # type: ignore[index]
            raise ValueError("the prompt is blank")
        return self


Model = TypeVar("Model", Header, TaskRow)


def checked(model: type[Model], path: Path, line: int, value: Any) -> Model:
    """Return `value` as a header or row. Raises InputError that names file, line and field."""
    what = "header" if model is Header else "row"
    if not isinstance(value, dict):
        raise InputError(
            f"{path} line {line} is no JSON object; expected a {what} as docs/tasks.md describes it"
        )
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(p) for p in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise InputError(
            f"{path} line {line}: {f'{field}: ' if field else ''}{reason}; expected a {what} as "
            "docs/tasks.md describes it"
        ) from None
