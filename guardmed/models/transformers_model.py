"""Language models through Hugging Face transformers: local folders, hub ids, objects in memory."""

from __future__ import annotations

import copy
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import StoppingCriteriaList

from guardmed.errors import ExecutionError, UsageError
from guardmed.files import digest_value
from guardmed.models.base import Capabilities, Generation, Prompt, Sampling, TokenScores
from guardmed.models.fingerprint import fingerprint_in_memory
from guardmed.models.hint import Hint
from guardmed.models.kv import Body, KVState
from guardmed.models.prompting import PLAIN_STOPS, PLAIN_TEMPLATE, lead, render, signed
from guardmed.models.recorder import Recorder, Tap, middle_layers
from guardmed.models.tokens import Detokeniser, detokenise, following

# Keywords that would change what generate returns, make rows trade places, or take several tokens in one step.
_RESERVED = {
    "return_dict_in_generate", "output_scores", "output_logits", "output_attentions", "output_hidden_states", "num_beams", "streamer",
    "past_key_values", "inputs", "input_ids", "attention_mask", "stopping_criteria", "num_return_sequences", "assistant_model", "prompt_lookup_num_tokens",
}  # fmt: skip


class TransformersModel:
    """A causal language model and its tokenizer.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase
    name : str
        What reports call it.
    fingerprint : str, optional
        Digest of the files it came from; computed from memory when missing.
    hint : Hint, optional
        Tells it by a sign what the guard makes of each request, as it was told in training.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str, fingerprint: str | None = None, hint: Hint | None = None) -> None:
        if not getattr(model, "can_generate", lambda: False)():
            raise UsageError(f"{name} ({type(model).__name__}) can't generate text.", mend="Give a causal language model.")
        self.model = model.eval()
        self.tokenizer = tokenizer
        self._name = name
        self._fingerprint = fingerprint
        self._hint = hint
        self._body = Body(model)
        self._layers: tuple[int, ...] = ()
        self._stop_ids = _stop_ids(model, tokenizer)
        self._pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self._stop_ids, default=0)

    @property
    def name(self) -> str:
        """What reports call it."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Everything; the context is the model's number of positions."""
        config = self.model.config.get_text_config() if hasattr(self.model.config, "get_text_config") else self.model.config
        return Capabilities(logprobs=True, scoring=True, streaming=True, context=int(getattr(config, "max_position_embeddings", 1 << 20)))

    @property
    def fingerprint(self) -> str:
        """Digest of weights, tokenizer, chat template and adapter."""
        if self._fingerprint is None:
            found = fingerprint_in_memory(self.model, self.tokenizer)
            self._fingerprint = digest_value({"model": found, "hint": self._hint.digest}) if self._hint else found
        return self._fingerprint

    @property
    def hint(self) -> Hint | None:
        """What tells it what the guard makes of a request; None for a model that was not trained to listen."""
        return self._hint

    def without_hint(self) -> TransformersModel:
        """The same model, told nothing by the guard, as it is when it is run outside of GuardMed."""
        deaf = copy.copy(self)
        deaf._hint = None
        deaf._fingerprint = digest_value({"model": self.fingerprint, "hint": None}) if self._hint else self._fingerprint
        return deaf

    @property
    def numerics(self) -> str:
        """Device type and number format it computes in, such as ``cpu float32``; answers differ a little between them."""
        return f"{self.model.device.type} {str(self.model.dtype).removeprefix('torch.')}"

    def keeping_hidden(self, layers: Sequence[int] | None = None) -> TransformersModel:
        """The same model, keeping hidden states with the scores of each token.

        The weights are shared and nothing else changes: the same text and the same scores. An answer
        takes up to one step more, in which its last token is read.

        Parameters
        ----------
        layers : sequence of int, optional
            How many layers a hidden state has passed, 1 to the model's depth; without, about half
            and three quarters of the depth.

        Raises
        ------
        UsageError
            The model has no such layer, or its layers are not found.
        """
        keeping = copy.copy(self)
        keeping._layers = Tap(self.model, middle_layers(self.model) if layers is None else layers).layers
        return keeping

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        """``sampling.n`` answers for each prompt, in one batch.

        A single prompt is read once, whatever ``n``; its cache is kept with the answer so that
        claims about it can be checked without reading it again.
        """
        if not prompts:
            return []
        rows = [self._encode(prompt) for prompt in prompts]
        for row in rows:
            self._check_length(row, sampling.max_new_tokens)
        return self._generate(rows, sampling, on_token=None, cancelled=None)

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str | Generation]:
        """Pieces of text as they are generated, then the whole answer.

        Closing the iterator ends the generation.
        """
        if sampling.n != 1:
            raise UsageError("Only one answer can be streamed.", mend="Set n=1.")
        row = self._encode(prompt)
        self._check_length(row, sampling.max_new_tokens)
        pieces: queue.Queue[int | Generation | BaseException] = queue.Queue()
        cancelled = threading.Event()

        def work() -> None:
            try:
                pieces.put(self._generate([row], sampling, on_token=pieces.put, cancelled=cancelled)[0][0])
            except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
                pieces.put(error)

        thread = threading.Thread(target=work, name="guardmed-generate", daemon=True)
        thread.start()
        detokeniser = Detokeniser(self.tokenizer)
        longest = max((len(stop) for stop in self._stops(sampling)), default=0)
        sent = 0
        try:
            while True:
                item = pieces.get()
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, Generation):
                    if len(item.text) > sent:
                        yield item.text[sent:]
                    yield item
                    return
                if item not in self._stop_ids:
                    detokeniser.push(item)
                    # A stop text may be under way; what could still be part of it waits, and so do blanks, which may be the last.
                    text = detokeniser.text.lstrip()
                    safe = len(text[: max(0, len(text) - longest)].rstrip())
                    if safe > sent:
                        yield text[sent:safe]
                        sent = safe
        finally:
            cancelled.set()
            thread.join()

    def score(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[TokenScores]:
        """Scores of texts written elsewhere, as if the model had answered with them.

        Long texts go through the vocabulary a few positions at a time, so that all of a text's
        logits are never held.
        """
        if len(prompts) != len(continuations):
            raise UsageError(f"{len(prompts)} prompts but {len(continuations)} continuations.", mend="Give one for each.")
        if not prompts:
            return []
        heads, leads = zip(*(self._read(prompt) for prompt in prompts), strict=True)
        tails = [self._tokens(before + text.strip()) for before, text in zip(leads, continuations, strict=True)]
        rows = [head + tail for head, tail in zip(heads, tails, strict=True)]
        for row in rows:
            self._check_length(row, 0)
        with _device_errors(self.name):
            scored = self._body.read(rows, [len(head) for head in heads], tap=self._tap())
        return [self._token_scores(tail, values, hidden, text) for tail, (values, hidden), text in zip(tails, scored, continuations, strict=True)]

    def choose(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], *, state: object | None = None, per_token: bool = False
    ) -> list[NDArray[np.float64]]:
        """Log-probability of each option as the answer.

        Options of one token each cost one forward pass a prompt; longer ones share the prompt's.
        """
        if len(prompts) != len(options):
            raise UsageError(f"{len(prompts)} prompts but {len(options)} lists of options.", mend="Give one for each.")
        if not prompts:
            return []
        kept = state if isinstance(state, KVState) else None
        heads, leads = zip(*(self._read(prompt) for prompt in prompts), strict=True)
        tails = [[self._tokens(before + option) for option in choices] for before, choices in zip(leads, options, strict=True)]
        for head, choices in zip(heads, tails, strict=True):
            self._check_length(head, max((len(tail) for tail in choices), default=0))
        with _device_errors(self.name):
            if all(len(tail) == 1 for choices in tails for tail in choices):
                values = self._body.next_logprobs(heads, [[tail[0] for tail in choices] for choices in tails], state=kept)
                return [value.cpu().double().numpy() for value in values]
            return self._choose_long(heads, tails, kept, per_token)

    def _choose_long(self, heads: Sequence[list[int]], tails: list[list[list[int]]], state: KVState | None, per_token: bool) -> list[NDArray[np.float64]]:
        asked = [(head, tail) for head, choices in zip(heads, tails, strict=True) for tail in choices]
        scored = iter(self._body.reduced([head + tail for head, tail in asked], [len(head) for head, _ in asked], state=state))
        logprobs = [[next(scored)[:, 0].cpu().double() for _ in choices] for choices in tails]
        return [np.array([float(values.mean() if per_token else values.sum()) for values in row]) for row in logprobs]

    def _generate(self, rows: list[list[int]], sampling: Sampling, *, on_token: Any, cancelled: threading.Event | None) -> list[list[Generation]]:
        n = sampling.n
        inputs = self._padded([row for row in rows for _ in range(n)])
        if self._body.shares and len(rows) == 1 and n > 1 and len(rows[0]) > 1:
            with _device_errors(self.name):
                cache = self._body.prefill(rows[0][:-1]).cache
                cache.batch_repeat_interleave(n)
            inputs["past_key_values"] = cache
        tap = self._tap()
        detokenisers = [Detokeniser(self.tokenizer) for _ in range(len(rows) * n)]
        stops = self._stops(sampling)

        def ends(index: int, token: int) -> bool:
            if token in self._stop_ids:
                return True
            text = detokenisers[index]
            text.push(token)
            return any(stop in text.text[-len(stop) - 40 :] for stop in stops)

        recorder = Recorder(len(rows) * n, stops=ends, cancelled=cancelled, tap=tap, limit=sampling.max_new_tokens)
        with _seeded(sampling.seed), recorder.attached(self.model, on_token=on_token), torch.inference_mode(), _device_errors(self.name):
            output = self.model.generate(
                **inputs,
                **self._keywords(sampling, more=1 if tap is not None else 0),
                return_dict_in_generate=True,
                stopping_criteria=StoppingCriteriaList([recorder]),
            )
        width = inputs["input_ids"].shape[1]
        sequences = output.sequences[:, width:].tolist()
        answers = [self._answer(ids[: recorder.length(index)], recorder, index, stops) for index, ids in enumerate(sequences)]
        if len(answers) == 1 and output.past_key_values is not None:
            whole = tuple(output.sequences[0].tolist())
            answers[0] = Generation(answers[0].text, answers[0].scores, answers[0].finish, KVState(whole, output.past_key_values))
        return [answers[at : at + n] for at in range(0, len(answers), n)]

    def _answer(self, ids: list[int], recorder: Recorder, index: int, stops: tuple[str, ...]) -> Generation:
        """Cut the ids of one row at its end, and the text at a stop; both scores and offsets follow."""
        count = next((at for at, token in enumerate(ids) if token in self._stop_ids), len(ids))
        text, offsets = detokenise(ids[:count], self.tokenizer)
        cut = min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))
        finish = "stop" if count < len(ids) or cut < len(text) else "length"
        body = text[:cut].rstrip()
        lead = len(body) - len(body.lstrip())
        keep = next((at for at, (start, _) in enumerate(offsets) if start >= len(body)), count)
        spans = tuple((max(0, start - lead), max(0, min(end, len(body)) - lead)) for start, end in offsets[:keep])
        scores = _kept_scores(ids[:keep], spans, recorder.scores(index, keep), recorder.hidden(index, keep), self._layers)
        return Generation(body[lead:], scores, finish)  # type: ignore[arg-type]

    def _keywords(self, sampling: Sampling, *, more: int) -> dict[str, Any]:
        reserved = sorted(_RESERVED & set(sampling.extra))
        if reserved:
            raise UsageError(f"{', '.join(reserved)} can't be set on a guarded generation.", mend="Leave it out.")
        keywords: dict[str, Any] = {
            "max_new_tokens": sampling.max_new_tokens + more,
            "pad_token_id": self._pad_id,
            "eos_token_id": sorted(self._stop_ids) or None,
        }
        if sampling.temperature > 0:
            keywords |= {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
        else:
            keywords |= {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        return keywords | dict(sampling.extra)

    def _padded(self, rows: list[list[int]]) -> dict[str, Any]:
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), self._pad_id, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, width - len(row) :] = torch.tensor(row)
            mask[index, width - len(row) :] = 1
        return {"input_ids": ids.to(self.model.device), "attention_mask": mask.to(self.model.device)}

    def _encode(self, prompt: Prompt) -> list[int]:
        return self._read(prompt)[0]

    def _read(self, prompt: Prompt) -> tuple[list[int], str]:
        """Tokens of a prompt, and what comes before the answer."""
        asked = render(prompt, self.tokenizer)
        text = signed(asked, self._hint.of(prompt)) if self._hint else asked
        ids: list[int] = self.tokenizer(text, add_special_tokens=True)["input_ids"]
        # Some tokenizers close a text as well; an answer must be able to follow.
        closed = len(ids) > 1 and ids[-1] in self._stop_ids and not text.endswith(self.tokenizer.eos_token or "\0")
        return ids[:-1] if closed else ids, lead(asked)

    def _tokens(self, text: str) -> list[int]:
        return following(text, self.tokenizer)

    def _token_scores(self, ids: list[int], values: torch.Tensor, hidden: torch.Tensor | None, text: str) -> TokenScores:
        decoded, offsets = detokenise(ids, self.tokenizer)
        lead = len(decoded) - len(decoded.lstrip())
        shift = len(text) - len(text.lstrip()) - lead
        spans = tuple((max(0, start + shift), max(0, end + shift)) for start, end in offsets)
        return _kept_scores(ids, spans, values.cpu().double().numpy().T, hidden, self._layers)

    def _tap(self) -> Tap | None:
        """A listener for one call: calls may run side by side."""
        return Tap(self.model, self._layers) if self._layers else None

    def _check_length(self, row: list[int], more: int) -> None:
        context = self.capabilities.context
        if len(row) + more > context:
            raise UsageError(
                f"The prompt has {len(row):,} tokens; with {more:,} for the answer that is beyond the {context:,} that {self.name} can read.",
                mend="Shorten it, or lower max_new_tokens.",
            )

    def _stops(self, sampling: Sampling) -> tuple[str, ...]:
        return (*sampling.stop, *PLAIN_STOPS) if self.tokenizer.chat_template in (None, PLAIN_TEMPLATE) else sampling.stop


def _kept_scores(
    ids: list[int], spans: tuple[tuple[int, int], ...], values: NDArray[np.float64], hidden: torch.Tensor | None, layers: tuple[int, ...]
) -> TokenScores:
    """Token scores of what was recorded; hidden states in float32, because half precision can't hold the largest of some models'."""
    logprobs, entropies, margins, ranks = values
    states = hidden.float().cpu().numpy() if hidden is not None else None
    return TokenScores(tuple(ids), spans, logprobs, entropies, margins, "raw_logits", ranks.astype(np.int64), states, layers if states is not None else ())


def _stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    config = model.generation_config.eos_token_id
    ids = {*(config if isinstance(config, list) else [config]), tokenizer.eos_token_id}
    return frozenset(token for token in ids if token is not None)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@contextmanager
def _device_errors(name: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise ExecutionError(f"{name} ran out of device memory.", mend="Ask for fewer prompts or samples at once, or lower max_new_tokens.") from None
