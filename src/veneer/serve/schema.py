"""The fields of OpenAI's chat and text completions that are supported, and a clear refusal of all
others."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from veneer.foundation.reading.turns import tool_call
from veneer.models.sampling import LEAST_PENALTY
from veneer.serve.errors import ApiError
from veneer.serve.parsing import parse_object

MOST_LOGPROBS = 20  # alternatives a position, as at OpenAI's chat
MOST_STOPS = 32  # strings; a scan after every token looks for each of them
LONGEST_STOP = 500  # characters
MOST_BIASES = 1024  # token ids of a logit_bias, as vLLM bounds it
TOKEN_ID = re.compile("0|[1-9][0-9]{0,9}")
NOTHING: tuple[Any, ...] = (None, [])  # values that ask for nothing, whatever the field
# What says nothing about the answer: dropped before the fields are read.
IGNORED = {
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
}
# The same of a message and of its parts. Templates leave out the thoughts of earlier turns.
IGNORED_IN_TURN = {
    "name",
    "refusal",
    "reasoning",
    "reasoning_content",
    "annotations",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "cache_control",
}
IGNORED_IN_PART = {"annotations", "cache_control", "prompt_cache_breakpoint"}
# Values of other fields that ask for nothing. An empty object may ask for something: a search of
# the web.
NEUTRAL: dict[str, list[Any]] = {
    "response_format": [{"type": "text"}],
    "tool_choice": ["none", "auto"],
    "function_call": ["none", "auto"],
    "suffix": [""],
    "parallel_tool_calls": [True, False],
    "modalities": [["text"]],
    "best_of": [1],
    "use_beam_search": [False],
    "chat_template_kwargs": [{}],
    "vllm_xargs": [{}],
    # vLLM's defaults, which some of its clients send
    "add_generation_prompt": [True],
    "continue_final_message": [False],
    "echo": [False],
    "ignore_eos": [False],
    "min_tokens": [0],
    "include_stop_str_in_output": [False],
    "skip_special_tokens": [True],
    "spaces_between_special_tokens": [True],
    "length_penalty": [1.0],
    "early_stopping": [False],
    "return_token_ids": [False],
    "return_tokens_as_token_ids": [False],
    "include_reasoning": [True],
    "priority": [0],
}


def _only(value: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """Return a part of a request. Raises ValueError that names a field which would be ignored."""
    for name, given in value.items():
        if name not in known and given not in (*NOTHING, False):
            raise ValueError(f"the field {str(name)[:80]!r} is not supported; leave it out")
    return value


class ContentPart(BaseModel):
    model_config = ConfigDict(strict=True)
    type: Literal["text"]
    text: str

    @model_validator(mode="before")
    @classmethod
    def _beside(cls, value: Any) -> Any:
        return _only(value, {"type", "text", *IGNORED_IN_PART})


class ChatTurn(BaseModel):
    """A chat turn. `developer` is the newer name of `system`. `name` is not shown to the model.
    Parts are joined as in a prompt file. The refusal of an assistant's turn without a content is
    its content."""

    model_config = ConfigDict(strict=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: str

    @model_validator(mode="before")
    @classmethod
    def _beside(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if tool_call(value) is not None:
            raise ValueError("calls of tools cannot be read; leave the turn out")
        _only(value, {"role", "content", *IGNORED_IN_TURN})
        refusal = value.get("refusal")
        if value.get("role") == "assistant" and refusal and not value.get("content"):
            return {**value, "content": refusal}
        return value

    @field_validator("content", mode="before")
    @classmethod
    def _parts(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, list):
            if any(not isinstance(p, dict) or p.get("type") != "text" for p in value):
                raise ValueError("only parts of type text can be read, no images, sounds or files")
            return "\n".join(ContentPart.model_validate(p).text for p in value)
        return "" if value is None and info.data.get("role") == "assistant" else value

    def turn(self) -> dict[str, str]:
        return {
            "role": "system" if self.role == "developer" else self.role,
            "content": self.content,
        }


class StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True)
    include_usage: bool = False
    include_obfuscation: bool = False

    @model_validator(mode="before")
    @classmethod
    def _beside(cls, value: Any) -> Any:
        return _only(value, set(cls.model_fields)) if isinstance(value, dict) else value


class Body(BaseModel):
    """Fields that both kinds of request share. top_k, min_p and repetition_penalty are not
    OpenAI's; other servers take them under these names as well."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=LEAST_PENALTY, le=10)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**64)] | None = None
    stop: str | list[str] | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _stops(cls, value: Any) -> Any:
        if value is None:
            return None
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(
            isinstance(s, str) and 0 < len(s) <= LONGEST_STOP for s in value
        ):
            raise ValueError(
                f"expected a string or a list of strings of 1 to {LONGEST_STOP} characters"
            )
        if len(value) > MOST_STOPS:
            raise ValueError(f"found {len(value)} strings; expected {MOST_STOPS} at most")
        return value

    @field_validator("logit_bias", mode="before")
    @classmethod
    def _biases(cls, value: Any) -> Any:
        if isinstance(value, dict) and (
            len(value) > MOST_BIASES or not all(TOKEN_ID.fullmatch(str(k)) for k in value)
        ):
            raise ValueError(
                f"expected at most {MOST_BIASES} token ids as keys, with a bias of -100 to 100 each"
            )
        return value

    @property
    def stops(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.stop or ()))

    @property
    def choices(self) -> int:
        return self.n or 1


class ChatBody(Body):
    messages: Annotated[list[ChatTurn], Field(min_length=1, max_length=1000)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_LOGPROBS)] | None = None


class TextBody(Body):
    prompt: str | list[str] | list[int] | list[list[int]]
    logprobs: Annotated[int, Field(ge=0, le=MOST_LOGPROBS)] | None = None
    echo: bool | None = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _prompt(cls, value: Any) -> Any:
        def ids(x: Any) -> bool:
            return isinstance(x, list) and len(x) > 0 and all(type(i) is int and i >= 0 for i in x)

        lists = (
            isinstance(value, list)
            and len(value) > 0
            and (all(isinstance(x, str) for x in value) or all(map(ids, value)))
        )
        if not (isinstance(value, str) or ids(value) or lists):
            raise ValueError(
                "expected a string, a list of strings, a list of token ids, or a list of such "
                "lists, none empty"
            )
        return value

    def prompts(self) -> list[str] | list[list[int]]:
        """One or more prompts, as texts or token ids."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [self.prompt]
        return self.prompt


Kind = TypeVar("Kind", bound=Body)


def read_request(kind: type[Kind], raw: bytes) -> Kind:
    """Return the request in a body. Raises ApiError (400) naming the field that is wrong or not
    supported."""
    value = parse_object(raw)
    try:
        # RecursionError: a value nested as deeply as the parser just reads
        body = kind.model_validate({k: v for k, v in value.items() if k not in IGNORED})
    except ValidationError as error:
        raise _refusal(error) from None
    except RecursionError:
        raise ApiError(400, "the body is nested too deeply; expected one flat object") from None
    for name, given in (body.model_extra or {}).items():
        if given not in NOTHING and given not in NEUTRAL.get(name, ()):
            raise ApiError(
                400,
                f"the parameter {name[:80]!r} is not supported by this server; leave it out",
                param=name[:80],
                code="unsupported_parameter",
            )
    if body.stream_options is not None and not body.stream:
        raise ApiError(
            400,
            "stream_options was given without stream; leave it out, or add stream: true",
            param="stream_options",
        )
    if isinstance(body, ChatBody):
        _check_chat(body)
    return body


def _check_chat(body: ChatBody) -> None:
    if body.messages[-1].role == "assistant":
        raise ApiError(
            400,
            "the last message is of assistant, which some servers continue and others answer; "
            "expected a last message of the user (a text completion continues a text)",
            param="messages",
        )
    if body.top_logprobs and not body.logprobs:
        raise ApiError(
            400, "top_logprobs was given without logprobs; add logprobs: true", param="top_logprobs"
        )
    if (
        body.max_tokens is not None
        and body.max_completion_tokens is not None
        and body.max_tokens != body.max_completion_tokens
    ):
        raise ApiError(
            400, "max_tokens and max_completion_tokens differ; give one of them", param="max_tokens"
        )
    if body.max_tokens == 0:
        raise ApiError(400, "max_tokens is 0; expected 1 or more", param="max_tokens")


def _refusal(error: ValidationError) -> ApiError:
    """Return the first fault as a sentence; its place comes without the names of alternatives that
    pydantic adds."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = (
        ".".join(str(p) for p in first["loc"] if isinstance(p, int) or p.isidentifier()) or "body"
    )
    reason = first["msg"].removeprefix("Value error, ")
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    return ApiError(400, f"{place}: {reason[:1].lower()}{reason[1:]}", param=place, code=code)
