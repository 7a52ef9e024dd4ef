"""Server-sent events: sentences as the guard releases them, then its verdict."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from guardmed.serve.answers import Answer
from guardmed.serve.errors import ApiError
from guardmed.serve.logs import told
from guardmed.serve.protocol import Shape, Verdict
from guardmed.serve.workers import Job

log = logging.getLogger(__name__)
_END = "data: [DONE]\n\n"


async def events(job: Job, first: str | Answer, shape: Shape, record: Callable[[Answer], None]) -> AsyncIterator[str]:
    """The events of one stream.

    A model that fails in the middle ends in an error event, which OpenAI's clients raise; what was
    released before it had been checked. A check that fails ends in a refusal like any other.

    Parameters
    ----------
    job : Job
    first : str or Answer
        What has come of it already.
    shape : Shape
    record : callable
        Gets the answer when it is complete.
    """
    try:
        opening = shape.opening()
        if opening is not None:
            yield _event(opening.model_dump_json(exclude_none=True))
        item = first
        while isinstance(item, str):
            yield _event(shape.piece(item).model_dump_json(exclude_none=True))
            item = await job.next()
        record(item)
        verdict = Verdict.of(item.response)
        if item.broken:
            error = ApiError(502, "The model broke off. What came before was checked; ask again for the rest.", code="model_failed")
            yield _event(json.dumps(_with(error, verdict.model_dump(mode="json"))))
            return
        if not job.streaming:
            yield _event(shape.piece(item.response.text).model_dump_json(exclude_none=True))
        yield _event(shape.closing(item.finish, verdict).model_dump_json())
        yield _END
    except ApiError as error:
        yield _event(json.dumps(error.body))
    except Exception as error:  # noqa: BLE001 - the answer has begun: there is no other way to say so
        log.error("a stream failed: %s", told(error))
        yield _event(json.dumps(ApiError(500, "The server failed. Ask again.", code="server_error").body))
    finally:
        job.give_up()


def _event(data: str) -> str:
    return f"data: {data}\n\n"


def _with(error: ApiError, verdict: dict[str, Any]) -> dict[str, Any]:
    return {"error": {**error.body["error"], "guardmed": verdict}}
