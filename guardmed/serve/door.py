"""Everything that happens to a request before and after the model is asked: who it is from, what it may send, what is logged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardmed.serve.errors import ApiError
from guardmed.serve.logs import told
from guardmed.serve.service import Note, Service

log = logging.getLogger(__name__)
# Nothing of these is about anybody: a load balancer and a browser need them without a key.
OPEN = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})
_UPLOAD_SECONDS = 30.0


class Door:
    """ASGI middleware around the whole application.

    Host name, key and size are looked at before anything is read, errors have one shape, and each
    request leaves one line in the log and one count in the figures, with nothing of what it said.
    """

    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or turn it away."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        note = scope["guardmed"] = Note()
        status = 0

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = note.id
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
                if self._service.draining:
                    headers["Connection"] = "close"
            await send(message)

        metrics = self._service.metrics
        self._service.active += 1
        metrics.in_flight.inc()
        try:
            try:
                self._admit(scope, note)
                receive = await self._read(scope, receive)
                await self._app(scope, receive, answered)
            except ApiError as error:
                await JSONResponse(error.body, error.status, error.headers)(scope, receive, answered)
            except Exception as error:  # noqa: BLE001 - the server would log its message
                log.error("a request failed", extra={"fields": {"id": note.id, "error": told(error)}})
                if not status:
                    unknown = ApiError(500, "The server failed. Its log says where, under this X-Request-Id.", code="server_error")
                    await JSONResponse(unknown.body, unknown.status)(scope, receive, answered)
        finally:
            self._service.active -= 1
            metrics.in_flight.dec()
            self._done(scope, note, status)

    def _admit(self, scope: Scope, note: Note) -> None:
        headers, service = Headers(scope=scope), self._service
        hosts = service.settings.hosts
        if hosts and _host(headers.get("host", "")) not in hosts:
            mend = "Use 127.0.0.1, or whoever runs the server adds the name to allowed_hosts."
            raise ApiError(421, f"This server does not go by that name. {mend}", code="unknown_host")
        if scope["path"] in OPEN:
            return
        if service.draining:
            raise ApiError(503, "The server is shutting down. Try again in a while.", code="shutting_down", retry_after=5)
        if service.keys:
            note.key = service.keys.find(headers.get("authorization"))
            if note.key is None:
                mend = "Send one that the server knows: Authorization: Bearer KEY."
                raise ApiError(401, f"There is no valid API key in this request. {mend}", code="invalid_api_key")

    async def _read(self, scope: Scope, receive: Receive) -> Receive:
        """The body whole, so that its size is known before anybody looks into it."""
        limit = self._service.settings.limits.body_bytes
        declared = Headers(scope=scope).get("content-length", "0")
        body = bytearray()
        if declared.isdecimal() and int(declared[:18]) > limit:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(_UPLOAD_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        break
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise _too_large(limit)
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise ApiError(408, "The body took too long to arrive. Send it again.", code="slow_request") from None
        rest: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replayed() -> Message:
            return rest.pop() if rest else await receive()

        return replayed

    def _done(self, scope: Scope, note: Note, status: int) -> None:
        # Paths are typed by people: only those that exist are named.
        route = scope["path"] if scope["path"] in OPEN else getattr(scope.get("route"), "path", "other")
        elapsed = time.perf_counter() - note.started
        self._service.metrics.requests.labels(route, str(status)).inc()
        self._service.metrics.seconds.labels(route).observe(elapsed)
        fields = {"id": note.id, "method": scope["method"], "route": route, "status": status, "ms": round(elapsed * 1000, 3)}
        log.info("request", extra={"fields": {**fields, "key": note.key.name if note.key else None, **note.fields}})


def _host(header: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"The body is larger than {limit:,} bytes. Send less.", code="too_large")
