"""Runs an application until it is told to stop, and then until what it has begun is done."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

import uvicorn

from guardmed.errors import UsageError
from guardmed.models.base import LanguageModel
from guardmed.models.server import ServerModel
from guardmed.serve.app import create_app
from guardmed.serve.service import Service
from guardmed.serve.settings import ServeSettings, load_keys

log = logging.getLogger(__name__)
# The client tries again as well.
_RETRIES = 2


class Server(uvicorn.Server):
    """A server that is drained before it stops.

    The first signal makes it turn new requests away (503) and ``/readyz`` say so, while answers that
    have begun are finished; the second one ends it at once.
    """

    def __init__(self, service: Service, *, started: Callable[[], None] = lambda: None) -> None:
        # Nothing of a request is logged but the line that the application writes.
        config = uvicorn.Config(
            create_app(service), log_config=None, access_log=False, server_header=False, proxy_headers=False, ws="none", lifespan="on",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        super().__init__(config)
        self._service = service
        self._told = started
        self._until = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so once requests are taken."""
        await super().startup(sockets)
        if self.started:
            self._told()

    def drain(self) -> None:
        """Take nothing more, and stop when what was taken is done."""
        if not self._service.draining:
            self._until = time.monotonic() + self._service.settings.limits.shutdown_seconds
            self._service.draining = True
            log.info("shutting down", extra={"fields": {"in_flight": self._service.active}})

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal, stop at the second."""
        if self._service.draining:
            self.should_exit = self.force_exit = True
        self.drain()

    async def on_tick(self, counter: int) -> bool:
        """Look ten times a second whether it is time to stop."""
        if self._service.draining and (not self._service.active or time.monotonic() > self._until):
            self.should_exit = True
        return await super().on_tick(counter)


def listen(settings: ServeSettings) -> socket.socket:
    """A socket at the address of the settings.

    Raises
    ------
    UsageError
        The address is taken, or not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"There is no address {settings.host}: {error.strerror}.", mend="Use --host 127.0.0.1.") from None
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise UsageError(f"{settings.host}:{settings.port} can't be listened at: {error.strerror}.", mend="Use another --port; 0 takes a free one.") from None
    return opened


def serve(settings: ServeSettings, load: Callable[[], LanguageModel], announce: Callable[[str], None]) -> None:
    """Serve until a signal.

    Parameters
    ----------
    settings : ServeSettings
    load : callable
        Gives the model; called after everything that is quick has been found to be in order.
    announce : callable
        Gets the line that says what is served where.

    Raises
    ------
    GuardMedError
        Something in the settings can't be used.
    """
    keys = load_keys(settings)
    with listen(settings) as opened:
        service = Service(settings, _within(load(), settings.limits.seconds), keys=keys)
        host, port = opened.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        line = (
            f"GuardMed serves {settings.model_name} at {url} ({service.describe()}). A page to try it: {url}/  OpenAI's interface: {url}/v1  Ctrl+C stops it."
        )
        Server(service, started=lambda: announce(line)).run(sockets=[opened])


def _within(model: LanguageModel, seconds: float) -> LanguageModel:
    """A model behind another server that is given up when the client is: threads that wait for nobody would be missed."""
    if not isinstance(model, ServerModel):
        return model
    model.close()
    return replace(model, timeout=min(model.timeout, seconds), max_retries=min(model.max_retries, _RETRIES))
