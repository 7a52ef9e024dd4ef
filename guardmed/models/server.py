"""Language models behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, hosted ones.

A server says less than weights do: it gives no token ids, entropies or scores of a given text, and
what it runs under a model's name is its word alone.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from guardmed.errors import ExecutionError, ModelError, UsageError
from guardmed.files import digest_value
from guardmed.models.base import SERVER, Capabilities, Generation, Prompt, Sampling, TokenScores
from guardmed.models.prompting import as_messages

# A place and nothing else: user, password and query would end up in names and reports.
_SPEC = re.compile(r"openai:(\S+?)@(https?://(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?(?:/[\w./~%-]*)?)")
_TOPS = (20, 5)  # alternatives a token may come with: OpenAI's and vLLM's limit, then that of smaller servers
_DECLINES = frozenset({400, 403, 404, 405, 422, 501})  # how servers say that they have no log-probabilities, or no list of models
_PASSING = frozenset({"created", "permission"})  # what vLLM and llama.cpp make up anew whenever they list a model
_LONGEST_OPTION = 16  # bytes: one English word, or five Chinese characters
_FIRST_TOKENS = 3  # an answer may open with a line break or a mark
_KEY = ("does not accept the key", "Set OPENAI_API_KEY to a key that may use this model.")
_NAME = ("knows no such model, or no chat", "Check the model's name and BASE_URL, which usually ends in /v1.")
_QUOTA = ("takes no more requests", "Lower the concurrency, or check the quota.")
_LOOK = ("refuses the request", "The prompt may be too long for it, or an option unknown to it: see the server's log.")
_SAYS = {401: _KEY, 403: _KEY, 404: _NAME, 429: _QUOTA}


@dataclass(frozen=True, eq=False)
class ServerModel:
    """A chat model of an OpenAI-compatible server.

    The key is read from ``GUARDMED_API_KEY``, or else from ``OPENAI_API_KEY``, which goes only over
    https or to this machine or a private address: whoever listens in between must not read it, and
    nobody chose it for a server elsewhere. Servers that want none get a placeholder.

    Parameters
    ----------
    model : str
    base_url : str
        Where ``chat/completions`` is, usually ending in ``/v1``.
    concurrency : int
        Requests in flight at once, of one call.
    max_retries : int
        Times a request is sent again after 408, 409, 429, 5xx, silence or a lost connection, waiting
        longer each time, or as long as the server's Retry-After says.
    timeout : float
        Seconds without a sign of the server.
    """

    model: str
    base_url: str
    _: KW_ONLY
    concurrency: int = 8
    max_retries: int = 5
    timeout: float = 120.0

    @classmethod
    def from_spec(cls, spec: str) -> ServerModel:
        """Open ``openai:MODEL@BASE_URL``; the model's name may hold ``@`` and ``/``."""
        match = _SPEC.fullmatch(spec)
        if match is None or not 0 < int(match[3] or 80) < 1 << 16:
            # What was written is not repeated: it may hold a password.
            mend = f"Write {SERVER}MODEL@BASE_URL, for example {SERVER}qwen2.5@http://localhost:8000/v1; a key belongs in OPENAI_API_KEY, not in the URL."
            raise UsageError(f"What follows {SERVER} does not name a model and the URL of a server.", mend=mend)
        return cls(match[1], match[2].rstrip("/"))

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.max_retries < 0 or not self.timeout > 0:
            raise UsageError("concurrency, max_retries or timeout is out of range.", mend="Use at least 1, at least 0, and a time above 0.")
        _ = self._client  # a missing library or an odd key is told at once

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def name(self) -> str:
        """The specification."""
        return f"{SERVER}{self.model}@{self.base_url}"

    @property
    def capabilities(self) -> Capabilities:
        """What the server gives, asked once; a context beyond reach where it lists no ``max_model_len``."""
        context = self._listed.get("max_model_len")
        return Capabilities(logprobs=self._top > 0, scoring=False, streaming=True, context=context if isinstance(context, int) else 1 << 20)

    @property
    def fingerprint(self) -> str:
        """Digest of URL, name and what the server lists of the model; it can't see weights that are changed under the name."""
        return digest_value({"server": self.base_url, "model": self.model, "listed": self._listed})

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        """``sampling.n`` answers for each prompt, one request a prompt, in the order of the prompts.

        Scores are the server's, and not every server takes them before temperature and top-p. Token
        ids are -1 and entropies NaN: servers give neither. Margins are NaN where a token comes with
        fewer than two alternatives. There are none for a text that the listed tokens do not spell.

        Sample k is asked for with the seed ``seed * n + k``, so that repeats under seeds 0, 1, 2 and
        so on have no seed in common, also where a server answers once a request or counts on itself.
        """
        return self._each(lambda body: self._answers(body, sampling), [self._body(prompt, sampling) for prompt in prompts])

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str | Generation]:
        """Pieces of text as they come, then the whole answer; closing the iterator hangs up."""
        if sampling.n != 1:
            raise UsageError("Only one answer can be streamed.", mend="Set n=1.")
        raw, sent, finish, entries = "", 0, None, list[Any]()
        with self._errors(), self._client.chat.completions.create(**self._body(prompt, sampling), stream=True) as chunks:
            for choice in (choice for chunk in chunks for choice in getattr(chunk, "choices", None) or ()):
                raw += getattr(choice.delta, "content", None) or ""
                entries += _entries(choice)
                finish = choice.finish_reason or finish
                # Blanks at the end wait: they are no part of the answer if nothing follows.
                if len(text := raw.strip()) > sent:
                    yield text[sent:]
                    sent = len(text)
        if finish is None:
            raise ExecutionError(f"{self.base_url} ended its answer early.", mend="See the server's log, and try again.")
        yield _generation(raw, entries, finish)

    def score(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[TokenScores]:
        """Refused: a chat server scores only what it writes itself."""
        raise UsageError(f"{self.name} can't score a given text.", mend="Use a local model for this.")

    def choose(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], *, state: object | None = None, per_token: bool = False
    ) -> list[NDArray[np.float64]]:
        """Log-probability of each option, a word or a letter, from the alternatives to the answer's first token.

        An option gets the sum over the listed tokens that are the option, or begin it and no other
        (``Yes``, `` yes``, ``Y``); how it would go on is not asked. Tokens that begin several options
        count for none; blanks and marks before the answer are stepped over. An option that is not
        listed gets the smallest listed probability: an upper bound of each of its tokens', which may
        be far less likely. Where no option is listed at all, every one gets ``-inf``: the model answers
        none of them. ``state`` and ``per_token`` have no effect.
        """
        if len(prompts) != len(options):
            raise UsageError(f"{len(prompts)} prompts but {len(options)} lists of options.", mend="Give one for each.")
        for option in (option for choices in options for option in choices):
            if len(option.split()) != 1 or len(option.encode()) > _LONGEST_OPTION:
                raise UsageError(f"A server can't weigh the option {option!r}, only a word or a letter.", mend="Ask for the letters of lettered options.")
        bodies = [self._body(prompt, Sampling(max_new_tokens=_FIRST_TOKENS)) | {"top_logprobs": self._top} for prompt in prompts]
        return self._each(self._chosen, bodies, options)

    def _chosen(self, body: dict[str, Any], options: Sequence[str]) -> NDArray[np.float64]:
        entries = _entries(self._complete(body)[0]) if self._top else []
        if not entries:
            raise UsageError(f"{self.name} gives no log-probabilities, so it can't weigh options.", mend="Ask open questions, or compare repeated answers.")
        return _weigh(entries, [option.strip() for option in options])

    def _each(self, ask: Callable[..., Any], *rows: Sequence[Any]) -> list[Any]:
        with ThreadPoolExecutor(max(1, min(self.concurrency, len(rows[0]))), thread_name_prefix="guardmed-server") as pool:
            return list(pool.map(ask, *rows))

    @cached_property
    def _client(self) -> Any:
        try:
            from openai import OpenAI, Timeout
        except ImportError as error:
            raise ModelError("The client for OpenAI-compatible servers is not installed.", mend="pip install 'guardmed[serve]'") from error
        return OpenAI(
            api_key=_key(self.base_url), base_url=self.base_url, max_retries=self.max_retries, timeout=Timeout(self.timeout, connect=min(self.timeout, 10.0))
        )

    @cached_property
    def _top(self) -> int:
        """How many alternatives the server lists for a token; 0 where it gives no log-probabilities."""
        probe: dict[str, Any] = {"model": self.model, "messages": as_messages("Hi"), "max_tokens": 1, "temperature": 0.0, "logprobs": True}
        for top in _TOPS:
            choices = self._complete(probe | {"top_logprobs": top}, may_decline=True)
            if choices:
                return top if any(entry.top_logprobs for entry in _entries(choices[0])) else 0
        return 0

    @cached_property
    def _listed(self) -> dict[str, Any]:
        """What the server lists about the model, which may be nothing."""
        with self._errors(may_decline=True):
            listing = self._client.get("/models", cast_to=object)
            models = listing.get("data") if isinstance(listing, dict) else None
            found = next((entry for entry in models or () if isinstance(entry, dict) and entry.get("id") == self.model), {})
            return {field: value for field, value in found.items() if field not in _PASSING}
        return {}

    def _body(self, prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
        if sampling.extra:
            raise UsageError(f"{', '.join(sorted(sampling.extra))} can't be passed on to a server.", mend="Leave it out, or use a local model.")
        body: dict[str, Any] = {"model": self.model, "messages": as_messages(prompt), "max_tokens": sampling.max_new_tokens}
        body |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
        # top_k is no part of OpenAI's own interface, but vLLM, SGLang and llama.cpp know it.
        more = {"seed": sampling.seed, "stop": list(sampling.stop) or None, "extra_body": {"top_k": sampling.top_k} if sampling.top_k else None}
        body |= {field: value for field, value in more.items() if value is not None}
        return body | ({"logprobs": True, "top_logprobs": 2} if self._top else {})

    def _answers(self, body: dict[str, Any], sampling: Sampling) -> list[Generation]:
        """As many answers as asked for, also of servers that give one whatever ``n`` says."""
        choices: list[Any] = []
        while (missing := sampling.n - len(choices)) > 0:
            # The same seed again would give the same answer again, and so would one of the next repeat.
            seed = {"seed": sampling.seed * sampling.n + len(choices)} if sampling.seed is not None else {}
            more = ({"n": missing} if missing > 1 else {}) | seed
            choices += self._complete(body | more)[:missing]
        return [_generation(choice.message.content or "", _entries(choice), choice.finish_reason) for choice in choices]

    def _complete(self, body: dict[str, Any], *, may_decline: bool = False) -> list[Any]:
        """The choices of a completion; none where the server declines and may."""
        with self._errors(may_decline=may_decline):
            choices = getattr(self._client.chat.completions.create(**body), "choices", None)
            if not isinstance(choices, list) or not choices or not all(hasattr(getattr(choice, "message", None), "content") for choice in choices):
                raise ExecutionError(f"{self.base_url} did not answer with a chat completion.", mend="Check BASE_URL; it usually ends in /v1.")
            return choices
        return []

    @contextmanager
    def _errors(self, *, may_decline: bool = False) -> Iterator[None]:
        """One clear error for each way to fail, without the server's words, which may repeat key or prompt."""
        import openai

        try:
            yield
        except openai.APITimeoutError:
            raise ExecutionError(f"{self.base_url} did not answer within {self.timeout:g} s.", mend="Give it more time, or ask for fewer tokens.") from None
        except openai.APIConnectionError:
            raise ExecutionError(f"{self.base_url} can't be reached, or hangs up.", mend="Is the server running, and is the URL right?") from None
        except openai.APIStatusError as error:
            if not (may_decline and error.status_code in _DECLINES):
                said, mend = _SAYS.get(error.status_code, _LOOK if error.status_code < 500 else ("fails", "See the server's log, and try again."))
                raise ExecutionError(f"{self.base_url} {said} (HTTP {error.status_code}, {self.model}).", mend=mend) from None
        except (openai.OpenAIError, json.JSONDecodeError):
            raise ExecutionError(f"{self.base_url} failed in the middle of its answer.", mend="See the server's log, and try again.") from None


def _key(base_url: str) -> str:
    """The key for a server; one that was meant for OpenAI does not leave over an open line."""
    name = next((name for name in ("GUARDMED_API_KEY", "OPENAI_API_KEY") if os.environ.get(name, "").strip()), None)
    if name is None:
        return "none"
    if name == "OPENAI_API_KEY" and not _guarded(base_url):
        mend = "Use https, or set GUARDMED_API_KEY to what this server takes (any word where it wants no key)."
        raise UsageError(f"OPENAI_API_KEY would go unencrypted to {base_url}.", mend=mend)
    key = os.environ[name].strip()
    if not (key.isascii() and key.isprintable()):
        # The client's own error would repeat it.
        raise UsageError(f"{name} holds characters that no key has.", mend="Set it again, as one line.")
    return key


def _guarded(base_url: str) -> bool:
    """Whether a URL is https, or names this machine or a private address; other names may lead anywhere."""
    try:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        if parts.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
            return True
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # Any IPv4 address written as an IPv6 one counts as private by itself.
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_private


def _weigh(entries: Sequence[Any], options: Sequence[str]) -> NDArray[np.float64]:
    """Log-probability of each option, from the tokens an answer began with and their alternatives."""
    totals, bound, reached = dict.fromkeys(options, -np.inf), -np.inf, 0.0
    for entry in entries:
        listed = [(other.token, other.logprob) for other in entry.top_logprobs or ()]
        listed += [] if entry.token in dict(listed) else [(entry.token, entry.logprob)]
        for token, logprob in listed:
            option = _begun(token, options)
            if option is not None:
                totals[option] = np.logaddexp(totals[option], reached + logprob)
        bound = np.logaddexp(bound, reached + min(logprob for _, logprob in listed))
        if re.search(r"\w", entry.token):
            break
        reached += entry.logprob
    if max(totals.values(), default=-np.inf) == -np.inf:
        bound = -np.inf
    return np.array([totals[option] if totals[option] > -np.inf else bound for option in options], dtype=np.float64)


def _begun(token: str, options: Sequence[str]) -> str | None:
    """The one option that a token is, or else begins: as written, without marks, or in another case."""
    bare = token.strip()
    for fits in (str.__eq__, str.startswith):
        for fold in (str, str.casefold):
            for text in (bare, re.sub(r"^\W+|\W+$", "", bare)):
                found = {option for option in options if text and fits(fold(option), fold(text))}
                if found:
                    return found.pop() if len(found) == 1 else None
    return None


def _entries(choice: Any) -> list[Any]:
    return getattr(choice.logprobs, "content", None) or []


def _generation(raw: str, entries: Sequence[Any], finish: str | None) -> Generation:
    text = raw.strip()
    return Generation(text, _scores(text, entries), "length" if finish == "length" else "stop")


def _scores(text: str, entries: Sequence[Any]) -> TokenScores | None:
    """Scores of the tokens that make up the text; None where they spell another one."""
    pieces = [entry.token.encode() if entry.bytes is None else bytes(entry.bytes) for entry in entries]
    spelt = b"".join(pieces).decode(errors="replace")
    # Characters begun before each byte: a token may hold only a part of one.
    begun = np.cumsum([0, *((byte & 0xC0) != 0x80 for piece in pieces for byte in piece)])
    # Servers leave out blanks and closing marks, and put a model's thoughts elsewhere.
    lead = len(spelt) - len(spelt.lstrip())
    at = lead if spelt.startswith(text, lead) else spelt.rfind(text)
    if not entries or at < 0 or begun[-1] != len(spelt):
        return None
    ends = np.cumsum([len(piece) for piece in pieces])
    spans = [(begun[min(end - len(piece) + 1, end)] - bool(piece) - at, begun[end] - at) for piece, end in zip(pieces, ends, strict=True)]
    kept = [index for index, (start, end) in enumerate(spans) if start < len(text) and end > 0]
    offsets = tuple((max(0, int(spans[index][0])), min(len(text), int(spans[index][1]))) for index in kept)
    tops = [sorted((other.logprob for other in entries[index].top_logprobs or ()), reverse=True) for index in kept]
    margins = np.array([top[0] - top[1] if len(top) > 1 else np.nan for top in tops], dtype=np.float64)
    logprobs = np.array([entries[index].logprob for index in kept], dtype=np.float64)
    return TokenScores((-1,) * len(kept), offsets, logprobs, np.full(len(kept), np.nan), margins, "api_logprobs")
