"""The routes: models, chat completions, text completions, health."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from veneer.serve.answers import ChatForm, Form, Gathered, TextForm
from veneer.serve.errors import ApiError, failed
from veneer.serve.guard import Guard, Guarded
from veneer.serve.intake import Incoming, Intake
from veneer.serve.job import ServeJob
from veneer.serve.reading import ReadingThread
from veneer.serve.requests import Limits, find, make_job, rows_of
from veneer.serve.scheduler import Scheduler
from veneer.serve.schema import Body, ChatBody, TextBody, read_request
from veneer.serve.served import Served

RENDERED_AT_ONCE = 2000  # log-probabilities of an answer; more are written in another thread
Result = TypeVar("Result")


class Service:
    """Systems by id behind one scheduler."""

    def __init__(
        self,
        systems: Mapping[str, Served],
        scheduler: Scheduler,
        limits: Limits,
        intake: Intake | None = None,
    ):
        self.systems, self.scheduler, self.limits = systems, scheduler, limits
        self.intake = intake or Intake(most_body=limits.max_body)
        self._facts = {name: served.facts() for name, served in systems.items()}
        self._reading = ReadingThread()

    def start(self) -> None:
        self._reading.start()
        self.scheduler.start()

    def stop(self) -> None:
        self._reading.stop()
        self.scheduler.stop()

    def routes(self) -> list[Route]:
        return [
            Route("/health", self.health),
            Route("/v1/models", self.models),
            Route("/v1/models/", self.models),
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
        return await self._answer(request, ChatBody, ChatForm)

    async def text(self, request: Request) -> Response:
        return await self._answer(request, TextBody, TextForm)

    async def _answer(self, request: Request, kind: type[Body], form_of: type[Form]) -> Response:
        incoming = self.intake.enter(request.client.host if request.client else "")
        streams = False
        leaving: asyncio.Task[None] | None = None
        try:
            async with incoming.within(self.intake.body_seconds):
                raw = await self.intake.body(request, incoming)
                leaving = asyncio.create_task(_gone(request))
                leaving.add_done_callback(lambda _: self._leave(incoming))
                read = functools.partial(
                    self._read, kind, raw, incoming, asyncio.get_running_loop()
                )
                reading = self._reading.run(read, len(raw))
                del raw, read  # what is kept from here on is the job
                job, with_usage = await _unless(leaving, reading)
            form = form_of(job.served.id, job.served.tokens, job.top is not None)
            if job.stream:
                streams = True
                return StreamingResponse(
                    self._events(job, form, leaving, with_usage),
                    media_type="text/event-stream",
                    headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
                )
            answers = await _unless(leaving, _gathered(job))
            whole = functools.partial(form.whole, answers, job.prompt_tokens)
            if job.logprobs <= RENDERED_AT_ONCE:
                return JSONResponse(whole())
            return await asyncio.to_thread(lambda: JSONResponse(whole()))
        finally:
            if not streams:  # a stream ends where its events end, or with its client
                if leaving is not None:
                    leaving.cancel()
                self._leave(incoming)

    def _read(
        self, kind: type[Body], raw: bytes, incoming: Incoming, loop: asyncio.AbstractEventLoop
    ) -> tuple[ServeJob, bool]:
        """Queue the job of a request, and return it and whether its stream ends with the counts of
        tokens. The reading thread calls it."""

        def wanted() -> None:
            if incoming.gone:
                raise ClientDisconnect

        wanted()
        body = read_request(kind, raw)
        served = find(self.systems, body.model)
        rows = rows_of(body, self.limits)
        self.scheduler.reserve(rows)
        try:
            job = make_job(body, served, self.limits, wanted)
        except BaseException:
            self.scheduler.release(rows)
            raise
        job.listen(loop)
        incoming.job = job
        self.scheduler.submit(job)
        incoming.held = 0
        if incoming.gone:  # since the job was made: nobody has cancelled it
            self.scheduler.cancel(job)
        return job, body.stream_options is not None and body.stream_options.include_usage

    def _leave(self, incoming: Incoming) -> None:
        """End a request that is answered, or whose client has gone. It may be called again."""
        self.intake.leave(incoming)
        if incoming.job is not None:
            self.scheduler.cancel(incoming.job)

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
            leaving.cancel()  # which ends the request
            self.scheduler.cancel(job)


async def _unless(leaving: asyncio.Task[None], answer: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of `answer`. Raises ClientDisconnect where the client leaves before; the
    answer is then cancelled."""
    task = asyncio.create_task(answer)
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()


async def _gathered(job: ServeJob) -> list[Gathered]:
    answers = [Gathered() for _ in job.rows]
    async for piece in job.pieces():
        answers[piece.choice].add(piece)
    return answers


def create_app(service: Service, guard: Guard) -> Starlette:
    """Return the ASGI app. It starts the scheduler, and ends it with the server."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await asyncio.to_thread(service.stop)

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
