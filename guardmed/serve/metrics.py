"""Counts and times for Prometheus; no label holds what was asked, or who asked."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from guardmed.guard import GuardedResponse

# From a refused prompt, some milliseconds, to a long answer of a local model.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0)


class Metrics:
    """The figures of one server, in a registry of its own.

    Parameters
    ----------
    waiting : callable
        How many requests wait, asked when the figures are read.
    """

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, *, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter("guardmed_requests", "Requests, by route and HTTP status.", ("route", "status"), registry=self._registry)
        self.seconds = Histogram(
            "guardmed_request_seconds", "From the arrival of a request to its last byte.", ("route",), buckets=_BUCKETS, registry=self._registry
        )
        self.in_flight = Gauge("guardmed_in_flight", "Requests that have arrived and are not yet answered.", registry=self._registry)
        self._decisions = Counter("guardmed_decisions", "Guarded answers, by what was decided and where.", ("decision", "stage"), registry=self._registry)
        Gauge("guardmed_waiting", "Requests that wait for the model.", registry=self._registry).set_function(waiting)

    def decided(self, response: GuardedResponse) -> None:
        """Count a guarded answer."""
        self._decisions.labels(response.decision.value, response.stage).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
