"""The page at ``/``, and the rule that lets a browser run nothing on it but what it was written with."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def page() -> str:
    """The page: one file that loads nothing."""
    return files(__package__ or "guardmed.serve").joinpath("page.html").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def page_policy() -> str:
    """Its Content-Security-Policy: its own style and script by their digests, requests to this server alone."""
    own = {tag: _digest(tag) for tag in ("style", "script")}
    return (
        f"default-src 'none'; style-src {own['style']}; script-src {own['script']}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(tag: str) -> str:
    (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page(), re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"
