"""API keys, compared so that the time it takes tells nothing, and how often each may ask."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

from guardmed.serve.settings import Key


class Keys:
    """Who may ask.

    Parameters
    ----------
    keys : mapping of str to Key
        By SHA-256 of the key, in hexadecimal.
    """

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self._keys = tuple((bytes.fromhex(digest), key) for digest, key in keys.items())

    def __bool__(self) -> bool:
        return bool(self._keys)

    def find(self, authorization: str | None) -> Key | None:
        """Whose key an Authorization header carries; None for nobody's.

        Every digest is compared, each in constant time: neither how much of a key is right nor which
        one it is shows in how long this takes.
        """
        scheme, _, token = (authorization or "").partition(" ")
        given = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found = None
        for digest, key in self._keys:
            if hmac.compare_digest(digest, given):
                found = key
        return found if scheme.lower() == "bearer" else None


class Bucket:
    """How often somebody may ask: a minute's requests at once, then one whenever one is due again.

    Parameters
    ----------
    per_minute : int
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._left = float(per_minute)
        self._at = clock()

    def take(self) -> float:
        """Take one request; 0 if it may be made, else in how many seconds one may."""
        now = self._clock()
        self._left = min(float(self._per_minute), self._left + (now - self._at) * self._per_minute / 60)
        self._at = now
        if self._left < 1:
            return (1 - self._left) * 60 / self._per_minute
        self._left -= 1
        return 0.0
