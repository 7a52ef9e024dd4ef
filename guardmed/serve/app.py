"""The application: OpenAI's routes, the figures, the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from guardmed.serve.answers import Answer
from guardmed.serve.door import Door
from guardmed.serve.errors import ApiError, invalid
from guardmed.serve.page import page, page_policy
from guardmed.serve.protocol import (
    ChatCompletion,
    ChatRequest,
    ChatShape,
    Completion,
    CompletionRequest,
    ErrorBody,
    ListedModel,
    ModelList,
    Shape,
    TextShape,
    Verdict,
)
from guardmed.serve.service import Service
from guardmed.serve.streaming import events
from guardmed.serve.workers import Job
from guardmed.version import VERSION

_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "The request can't be answered as it is; the message says how to mend it."},
    "5XX": {"model": ErrorBody, "description": "The server can't answer now."},
}


def _answers(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    event = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
    stream = {"text/event-stream": {"itemSchema": {**event, "description": "A chunk, the last one with the verdict; or an error; in the end [DONE]."}}}
    return {200: {"model": model, "content": stream, "description": "A guarded answer; a refusal is one too."}, **_ERRORS}


def create_app(service: Service) -> FastAPI:
    """The application of one service; everything it knows is in there."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.start)
        yield
        service.workers.close()

    app = FastAPI(
        title="GuardMed",
        version=VERSION,
        description="OpenAI's interface with a guard behind it. Every answer carries the guard's verdict in the field guardmed.",
        lifespan=lifespan,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        # FastAPI's own telemetry records what did not validate; GuardMed's spans hold no text.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False},
    )
    app.add_middleware(Door, service=service)
    if service.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=service.settings.cors_origins, allow_methods=["GET", "POST"], allow_headers=["Authorization", "Content-Type"]
        )

    @app.exception_handler(ApiError)
    async def _api_error(_request: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(error.body, error.status, error.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return await _api_error(request, invalid(error.errors()))

    @app.exception_handler(HTTPException)
    async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
        said = ApiError(error.status_code, f"{error.detail}. See /openapi.json for what there is.", code="invalid_request")
        response = await _api_error(request, said)
        response.headers.update(error.headers or {})
        return response

    @app.post("/v1/chat/completions", responses=_answers(ChatCompletion), tags=["OpenAI"])
    async def chat(asked: ChatRequest, request: Request) -> Response:
        """Answer a conversation."""
        return await _answered(service, asked, request, ChatShape(service.settings.model_name))

    @app.post("/v1/completions", responses=_answers(Completion), tags=["OpenAI"])
    async def completions(asked: CompletionRequest, request: Request) -> Response:
        """Answer one prompt."""
        return await _answered(service, asked, request, TextShape(service.settings.model_name))

    @app.get("/v1/models", responses=_ERRORS, tags=["OpenAI"])
    async def models() -> ModelList:
        """The model that is served."""
        return ModelList(data=[ListedModel(id=service.settings.model_name, created=service.created)])

    @app.get("/healthz", tags=["operation"])
    async def healthz() -> dict[str, str]:
        """Whether the process is alive."""
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {"description": "It is shutting down."}}, tags=["operation"])
    async def readyz() -> Response:
        """Whether requests are taken."""
        return JSONResponse({"status": "ready"}) if service.ready else JSONResponse({"status": "not ready"}, 503)

    @app.get("/metrics", responses={**_ERRORS, 200: {"content": {"text/plain": {}}}}, response_class=Response, tags=["operation"])
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(service.metrics.text(), media_type=service.metrics.content_type)

    @app.get("/", response_class=HTMLResponse, tags=["page"])
    async def index() -> HTMLResponse:
        """A page to try a prompt."""
        return HTMLResponse(page(), headers={"Content-Security-Policy": page_policy(), "Referrer-Policy": "no-referrer"})

    return app


async def _answered(service: Service, asked: ChatRequest | CompletionRequest, request: Request, shape: Shape) -> Response:
    note = request.scope["guardmed"]
    job = service.ask(asked, note)
    first = await _first(job, request)
    if asked.stream:
        stream = events(job, first, shape, lambda answer: service.record(answer, note))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
    assert isinstance(first, Answer)
    service.record(first, note)
    whole = shape.whole(first.response.text, first.finish, Verdict.of(first.response))
    return Response(whole.model_dump_json(), media_type="application/json")


async def _first(job: Job, request: Request) -> str | Answer:
    """The first that comes of a job: an error can still be an HTTP error then. A client that hangs up ends the waiting."""
    result: asyncio.Future[str | Answer] = asyncio.ensure_future(job.next())
    gone = asyncio.ensure_future(_hung_up(request))
    both: set[asyncio.Future[Any]] = {result, gone}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise ApiError(499, "The client hung up.", code="client_gone")
        return result.result()
    finally:
        # Also where this very task is cancelled.
        if not result.done():
            job.give_up()
        result.cancel()
        gone.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
