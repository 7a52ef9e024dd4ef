"""Errors as OpenAI's clients read them: what is wrong, and how to mend it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from guardmed.errors import GuardMedError
from guardmed.serve.settings import LONGEST_WAIT

_KINDS = MappingProxyType({401: "authentication_error", 429: "rate_limit_error"})
_MENDS = MappingProxyType(
    {
        "n": "A guarded answer is one answer: leave n out, and ask again for more.",
        "content": "Content is a text, or a list of parts {'type': 'text', 'text': ...}: images, audio and files can't be guarded.",
        "role": "Roles are system, developer, user and assistant; tools can't be guarded.",
        "prompt": "Send one text; tokens and lists of prompts can't be guarded together.",
        "temperature": "Use 0 to 2; 0, or nothing, is the likeliest answer.",
    }
)
_MEND = "See /openapi.json for what is taken."


class ApiError(Exception):
    """What a client is told instead of an answer.

    Parameters
    ----------
    status : int
    message : str
        What is wrong and how to mend it; never what was asked.
    code : str
        For programs.
    param : str, optional
        The field it is about.
    retry_after : float, optional
        Seconds after which it may go better.
    """

    def __init__(self, status: int, message: str, *, code: str, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after = retry_after

    @property
    def body(self) -> dict[str, Any]:
        """As JSON carries it."""
        kind = _KINDS.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """What goes with it."""
        named = {401: {"WWW-Authenticate": "Bearer"}}.get(self.status, {})
        return named if self.retry_after is None else {**named, "Retry-After": str(min(LONGEST_WAIT, max(1, math.ceil(self.retry_after))))}


def unusable(error: GuardMedError) -> ApiError:
    """A request that the guard or the model can't take, such as a prompt that is too long."""
    return ApiError(400, str(error), code="invalid_request")


def invalid(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """A request that does not fit its schema; says where, and not what stood there."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return ApiError(400, "The body is not JSON. Send an object, as OpenAI's interface has it.", code="invalid_json")
    # Names of the union's branches stand among those of the fields.
    place = [str(part) for part in first["loc"][1:] if isinstance(part, int) or str(part).isidentifier()]
    param = ".".join(place)
    said = str(first["msg"]).removeprefix("Value error, ")
    if not param:
        return ApiError(400, f"{said}. Send a JSON object with Content-Type: application/json.", code="invalid_request")
    mend = next((_MENDS[part] for part in reversed(place) if part in _MENDS), _MEND)
    return ApiError(400, f"{param}: {said}. {mend}", code="invalid_request", param=param)
