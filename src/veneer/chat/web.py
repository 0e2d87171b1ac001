"""The page of `veneer chat --web`: a question, three answers as they are written, KL at every
token. One question is answered at a time."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from veneer.chat.side_by_side import Piece, SideBySide
from veneer.chat.words import lab_hint
from veneer.foundation.errors import InputError, VeneerError
from veneer.models.sampling import Sampling
from veneer.report.page_context import template
from veneer.report.visible import script_pattern
from veneer.serve.errors import ApiError, failed, unavailable
from veneer.serve.guard import Guard, Guarded
from veneer.serve.intake import Incoming, Intake
from veneer.serve.parsing import parse_object

MOST_WAITING = 8  # questions that wait for the one that is being answered
LARGEST_BODY = 2**17  # bytes
LARGEST_ALPHA = 10.0
# Nothing from another origin, no inline script: what a model writes cannot become a program.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
FILES = {
    "/core.js": ("veneer.report", "assets/core.js", "text/javascript"),
    "/base.css": ("veneer.report", "assets/base.css", "text/css"),
    "/chat.js": ("veneer.chat", "chat.js", "text/javascript"),
    "/chat.css": ("veneer.chat", "chat.css", "text/css"),
}


class Question(BaseModel):
    """A question of the page."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    question: Annotated[str, Field(min_length=1)]
    alpha: Annotated[float, Field(ge=-LARGEST_ALPHA, le=LARGEST_ALPHA)] = 1.0
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 96
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    def sampling(self) -> Sampling:
        return Sampling(
            max_new_tokens=self.max_tokens, temperature=self.temperature, seed=self.seed
        )


def starting_values(sampling: Sampling, alpha: float) -> Question:
    """What the page's controls show at first. Raises InputError for a value that they do not
    offer."""
    try:
        return Question(
            question="?",
            alpha=alpha,
            temperature=sampling.temperature,
            max_tokens=sampling.max_new_tokens,
            seed=sampling.seed,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(
            f"{first['loc'][0]} is {first['input']}, which the page does not offer: "
            f"{first['msg'][:1].lower()}{first['msg'][1:]}"
        ) from None


class ChatPage:
    """The routes of the page. defaults: alpha, temperature, most tokens and seed at its start."""

    def __init__(self, side_by_side: SideBySide, defaults: Question):
        self.side_by_side, self.defaults = side_by_side, defaults
        self._intake = Intake(most_body=LARGEST_BODY, most=MOST_WAITING + 1)
        self._worker = ThreadPoolExecutor(1, "veneer-chat")  # owns the models
        self._turn = asyncio.Lock()

    def app(self, guard: Guard) -> Starlette:
        """Return the ASGI app."""

        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            try:
                yield
            finally:
                self._worker.shutdown(wait=False, cancel_futures=True)

        handlers: Any = {ApiError: _refused, HTTPException: _no_route, Exception: _fell_over}
        return Starlette(
            routes=[
                Route("/", self.page),
                Route("/ask", self.ask, methods=["POST"]),
                *(Route(path, _file) for path in FILES),
            ],
            middleware=[Middleware(Guarded, guard=guard)],
            exception_handlers=handlers,
            lifespan=lifespan,
        )

    async def page(self, request: Request) -> Response:
        pair = self.side_by_side.pair
        html = template(
            "chat.html.j2",
            package="veneer.chat",
            invisible=script_pattern(),
            base=pair.base.name,
            aligned=pair.aligned.name,
            hint=lab_hint(pair.base.name, pair.aligned.name),
            start=self.defaults,
        )
        return Response(html, media_type="text/html", headers=HEADERS)

    async def ask(self, request: Request) -> Response:
        """Answer a question: one JSON object per line, a piece or, at the end, an error."""
        incoming = self._intake.enter(request.client.host if request.client else "")
        streams = False
        try:
            async with incoming.within(self._intake.body_seconds):
                raw = await self._intake.body(request, incoming)
            question = _read(raw)
            try:
                self.side_by_side.check(question.question, question.sampling())
            except InputError as error:
                raise ApiError(400, str(error), param="question") from None
            streams = True
            return StreamingResponse(
                self._lines(question, incoming),
                media_type="application/x-ndjson",
                headers=HEADERS,
            )
        finally:
            if not streams:
                self._intake.leave(incoming)

    async def _lines(self, question: Question, incoming: Incoming) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        try:
            async with self._turn:
                pieces = self.side_by_side.answers(
                    question.question, question.sampling(), alpha=question.alpha
                )
                while (
                    piece := await loop.run_in_executor(self._worker, _next, pieces)
                ) is not None:
                    yield json.dumps(dataclasses.asdict(piece)) + "\n"
        except VeneerError as error:  # the status has gone out already
            yield json.dumps({"error": str(error)}) + "\n"
        except RuntimeError:  # the worker has ended with the server
            yield json.dumps({"error": unavailable("the server is ending", "").message}) + "\n"
        finally:
            self._intake.leave(incoming)


def _next(pieces: Iterator[Piece]) -> Piece | None:
    return next(pieces, None)


def _read(raw: bytes) -> Question:
    """Return the question in a body. Raises ApiError (400) naming the field that is wrong."""
    try:
        return Question.model_validate(parse_object(raw))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"])) or "body"
        message = f"{field}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        raise ApiError(400, message, param=field) from None


async def _file(request: Request) -> Response:
    package, name, kind = FILES[request.url.path]
    text = resources.files(package).joinpath(name).read_text("utf-8")
    return Response(text, media_type=kind, headers=HEADERS)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), error.status, error.headers)


async def _no_route(request: Request, error: Exception) -> Response:
    """404 and 405 of the router."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} is not answered at this path; expected GET / or POST /ask"
    return JSONResponse(ApiError(error.status_code, message).body(), error.status_code)


async def _fell_over(request: Request, error: Exception) -> Response:
    return JSONResponse(failed().body(), 500)
