"""The routes: models, chat completions, text completions, health."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from veneer.serve.answers import ChatForm, Form, Gathered, TextForm
from veneer.serve.errors import ApiError, failed
from veneer.serve.guard import Guard, Guarded
from veneer.serve.job import ServeJob
from veneer.serve.requests import Limits, chat_job, find, text_job
from veneer.serve.scheduler import Scheduler
from veneer.serve.schema import Body, ChatBody, TextBody, read_request
from veneer.serve.served import Served

BODY_SECONDS = 60.0  # for a whole request to come in
MakeJob = Callable[[Any, Served, Limits], ServeJob]
log = logging.getLogger("veneer.serve")


class Service:
    """Systems by id behind one scheduler. Tokenizers may not be shared between threads, so one
    thread reads all prompts."""

    def __init__(self, systems: Mapping[str, Served], scheduler: Scheduler, limits: Limits):
        self.systems, self.scheduler, self.limits = systems, scheduler, limits
        self._facts = {name: served.facts() for name, served in systems.items()}
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="veneer-prompts")

    def routes(self) -> list[Route]:
        return [
            Route("/health", self.health),
            Route("/v1/models", self.models),
            Route("/v1/models/{id:path}", self.model),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.text, methods=["POST"]),
        ]

    async def health(self, request: Request) -> Response:
        alive = self.scheduler.alive
        return JSONResponse(
            {"status": "ok" if alive else "failed", **self.scheduler.counts()},
            200 if alive else 503,
        )

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [s.card() for s in self.systems.values()]})

    async def model(self, request: Request) -> Response:
        return JSONResponse(self._facts[find(self.systems, request.path_params["id"]).id])

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, ChatBody, chat_job, ChatForm)

    async def text(self, request: Request) -> Response:
        return await self._answer(request, TextBody, text_job, TextForm)

    async def _answer(
        self, request: Request, kind: type[Body], make: MakeJob, form_of: type[Form]
    ) -> Response:
        body = read_request(kind, await _body(request, self.limits.max_body))
        served = find(self.systems, body.model)
        job = await asyncio.get_running_loop().run_in_executor(
            self._reading, make, body, served, self.limits
        )
        job.listen()
        form = form_of(served.id, served.tokens, job.top is not None)
        self.scheduler.submit(job)
        leaving = asyncio.create_task(_gone(request))
        leaving.add_done_callback(
            lambda task: None if task.cancelled() else self.scheduler.cancel(job)
        )
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return StreamingResponse(
                self._events(job, form, leaving, usage),
                media_type="text/event-stream",
                headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
            )
        answers = [Gathered() for _ in job.rows]

        async def gather() -> None:
            async for piece in job.pieces():
                answers[piece.choice].add(piece)

        gathering = asyncio.create_task(gather())
        try:
            await asyncio.wait({gathering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not gathering.done():
                raise ClientDisconnect
            gathering.result()
        finally:
            gathering.cancel()
            leaving.cancel()
            self.scheduler.cancel(job)
        return JSONResponse(form.whole(answers, job.prompt_tokens))

    async def _events(
        self, job: ServeJob, form: Form, leaving: asyncio.Task[None], with_usage: bool
    ) -> AsyncIterator[str]:
        begun: set[int] = set()
        tokens: dict[int, int] = {}
        try:
            async for piece in job.pieces():
                yield _event(
                    form.chunk(piece, role=piece.choice not in begun, with_usage=with_usage)
                )
                begun.add(piece.choice)
                tokens[piece.choice] = piece.tokens
            if with_usage:
                yield _event(form.last(job.prompt_tokens, sum(tokens.values())))
            yield "data: [DONE]\n\n"
        except ApiError as error:  # the status has gone out already
            yield _event(error.body())
        finally:
            leaving.cancel()
            self.scheduler.cancel(job)


def create_app(service: Service, guard: Guard) -> Starlette:
    """Return the ASGI app. It starts the scheduler, and ends it with the server."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.scheduler.start()
        try:
            yield
        finally:
            await asyncio.to_thread(service.scheduler.stop)

    handlers: Any = {
        ApiError: _refused,
        HTTPException: _no_route,
        ClientDisconnect: _left,
        Exception: _fell_over,
    }
    return Starlette(
        routes=service.routes(),
        middleware=[Middleware(Guarded, guard=guard)],
        exception_handlers=handlers,
        lifespan=lifespan,
    )


async def _body(request: Request, most: int) -> bytes:
    """Return the body. Raises ApiError: 415 for anything but JSON (which pages of other origins
    could send without permission), 413, 408."""
    if (
        request.headers.get("content-type", "").partition(";")[0].strip().lower()
        != "application/json"
    ):
        raise ApiError(415, "the body's Content-Type is not application/json; send JSON")
    too_large = ApiError(
        413,
        f"the body is larger than {most} bytes; send less at once",
        headers={"Connection": "close"},
    )
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        raise too_large
    raw = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > most:
                    raise too_large
    except TimeoutError:
        raise ApiError(
            408, f"the body did not come within {BODY_SECONDS:g} s", headers={"Connection": "close"}
        ) from None
    return bytes(raw)


async def _gone(request: Request) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _event(value: dict[str, Any]) -> str:
    """Return an event in ASCII: some clients take more characters for a line end than the event
    stream's own (U+2028, U+0085)."""
    return f"data: {json.dumps(value)}\n\n"


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), error.status, error.headers)


async def _no_route(request: Request, error: Exception) -> Response:
    """404 and 405 of the router."""
    assert isinstance(error, HTTPException)
    paths = "GET /v1/models, POST /v1/chat/completions, POST /v1/completions, GET /health"
    body = ApiError(
        error.status_code, f"{request.method} is not answered at this path; expected {paths}"
    ).body()
    return JSONResponse(body, error.status_code, error.headers)


async def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


async def _fell_over(request: Request, error: Exception) -> Response:
    return JSONResponse(failed().body(), 500)
