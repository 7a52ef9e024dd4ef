"""What a server is told before it starts: one YAML file, a file of keys, and options that outrank both."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, RootModel, StringConstraints, ValidationError, model_validator

from guardmed.documents import read_yaml
from guardmed.errors import UsageError
from guardmed.guard import GuardSettings
from guardmed.records import Frozen, describe

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
# The longest a waiting client should be told to wait: by then much may have changed.
LONGEST_WAIT = 60


class Limits(Frozen):
    """What one request, one key and the whole server may use.

    Attributes
    ----------
    body_bytes, prompt_chars : int
        Largest request, and longest conversation in it.
    max_tokens, default_tokens : int
        Longest answer that may be asked for, and that of a request that names no length.
    seconds : float
        From the arrival of a request to its last byte, waiting included.
    at_once : int or None
        Answers worked on at the same time; by default 1 for a local model and 16 for one behind a server.
    batch : int
        Requests that wait for a local model and are answered together, if they ask for the likeliest answer.
    waiting : int
        Requests that may wait; the next one is told to come back.
    requests_per_minute : int or None
        Of each key, or of everybody where there are no keys; a key's own number outranks it.
    shutdown_seconds : float
        How long a server that was told to stop waits for the answers it has begun.
    """

    body_bytes: int = Field(default=1 << 20, ge=1024)
    prompt_chars: int = Field(default=32_000, ge=1)
    max_tokens: int = Field(default=1024, ge=1)
    default_tokens: int = Field(default=256, ge=1)
    seconds: float = Field(default=120.0, gt=0, allow_inf_nan=False)
    at_once: int | None = Field(default=None, ge=1, le=256)
    batch: int = Field(default=8, ge=1, le=64)
    waiting: int = Field(default=256, ge=0)
    requests_per_minute: int | None = Field(default=None, ge=1)
    shutdown_seconds: float = Field(default=30.0, ge=0, allow_inf_nan=False)


class Key(Frozen):
    """Who has an API key, and what is theirs alone."""

    name: str = Field(min_length=1, max_length=64)
    policy: str | None = None
    requests_per_minute: int | None = Field(default=None, ge=1)


class _KeyFile(RootModel[dict[Digest, Key]]):
    """SHA-256 of each key, and whose it is: the keys themselves are nowhere."""


class ServeSettings(Frozen):
    """Settings of a server.

    Attributes
    ----------
    model, adapter, trust_remote_code
        As ``load_model`` takes them.
    name : str or None
        What clients call the model; the specification without folder or address by default.
    policy : str
        Packs for requests whose key names none.
    calibration : Path or None
        Claim-support calibration of the model.
    guard : GuardSettings
        Claim checks, and what follows from them.
    stream : {"sentences", "answer"}
        ``sentences`` releases each as the policy has passed it, without claim checks; ``answer``
        holds back until the whole answer has passed every check.
    host, port
        Where to listen; port 0 takes a free one.
    keys : Path or None
        YAML file of API keys.
    without_keys : bool
        Let anybody ask who can reach an address beyond this machine.
    allowed_hosts : tuple of str
        Further names the server may be called by. On this machine alone it answers to its own names only, so
        that no page of the web can reach it under one of theirs.
    cors_origins : tuple of str
        Pages of other origins that may call it from a browser; none by default.
    limits : Limits
    """

    model: str = "reference"
    adapter: Path | None = None
    trust_remote_code: bool = False
    name: str | None = Field(default=None, min_length=1, max_length=128)
    policy: str = "clinical"
    calibration: Path | None = None
    guard: GuardSettings = GuardSettings()
    stream: Literal["sentences", "answer"] = "sentences"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    keys: Path | None = None
    without_keys: bool = False
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _streams_can_do_it(self) -> Self:
        if self.stream == "sentences" and self.guard.on_unsupported != "caveat":
            raise ValueError(f"a stream of sentences can't {self.guard.on_unsupported} claims, which are checked once the answer is whole: say stream: answer")
        return self

    @property
    def model_name(self) -> str:
        """What clients call the model: neither folders nor the address of another server."""
        if self.name:
            return self.name
        bare = self.model.removeprefix("openai:")
        return bare.rpartition("@")[0] if bare != self.model else Path(self.model).name if Path(self.model).exists() else self.model

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def hosts(self) -> frozenset[str]:
        """Names in the Host header that are answered to, in lower case; empty for any."""
        own = ("localhost", "127.0.0.1", "::1", self.host) if self.loopback else ()
        return frozenset(name.lower() for name in (*own, *self.allowed_hosts))


def load_settings(config: Path | None = None, **options: Any) -> ServeSettings:
    """Settings of a YAML file, outranked by the options that are not None.

    Raises
    ------
    DataError, UsageError
        The file, or an option, does not fit.
    """
    written = read_yaml(config, ServeSettings).model_dump(exclude_unset=True) if config else {}
    try:
        return ServeSettings.model_validate({**written, **{name: value for name, value in options.items() if value is not None}})
    except ValidationError as error:
        raise UsageError(f"{describe(error)}.", mend="Mend that option.") from None


def load_keys(settings: ServeSettings) -> Mapping[str, Key]:
    """The keys of a server by their digests; none where it needs none.

    Raises
    ------
    DataError, UsageError
        The file does not fit or lists nobody, or there are no keys where others can reach the server.
    """
    if settings.keys is None:
        if not settings.loopback and not settings.without_keys:
            mend = "Name a file of keys (--keys), listen on 127.0.0.1, or say --without-keys if something in front of it asks for them."
            raise UsageError(f"Anybody who can reach {settings.host} could use the model: there are no API keys.", mend=mend)
        return {}
    keys = read_yaml(settings.keys, _KeyFile).root
    if not keys:
        raise UsageError(f"{settings.keys} lists no keys, so nobody could ask anything.", mend="Add a line: SHA-256 of the key: {name: who}.")
    return keys
