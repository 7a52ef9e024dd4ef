"""OpenTelemetry spans, where the application set OpenTelemetry up; nothing at all where it did not.

A span carries what was decided, by which rules, of which policy and how long it took. It never carries what was
asked or answered, unless the guard's settings say so: prompts of patients have no place in a trace by default.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from guardmed.version import VERSION

Value = str | bool | int | float | list[str]


class Span:
    """What can be said of one step while it lasts."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def set(self, **attributes: Value | None) -> None:
        """Set attributes, named ``guardmed.<name>``; ``None`` is left out."""
        if self._span is not None:
            for name, value in attributes.items():
                if value is not None:
                    self._span.set_attribute(f"guardmed.{name}", value)


@contextmanager
def span(name: str, **attributes: Value | None) -> Iterator[Span]:
    """A span ``guardmed.<name>`` around a step; an exception marks it and goes on."""
    tracer = _tracer()
    if tracer is None:
        yield Span()
        return
    # The message of an exception may quote a prompt: its type is enough.
    with tracer.start_as_current_span(f"guardmed.{name}", record_exception=False, set_status_on_exception=False) as opened:
        step = Span(opened)
        step.set(**attributes)
        try:
            yield step
        except BaseException as error:
            step.set(error=type(error).__name__)
            raise


@lru_cache(maxsize=1)
def _tracer() -> Any:
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace.get_tracer("guardmed", VERSION)
