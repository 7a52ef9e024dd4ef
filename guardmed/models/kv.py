"""The part of a causal model below its vocabulary: hidden states, KV caches and shared prefixes."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from guardmed.models.prefixes import Family, families, most, packed
from guardmed.models.recorder import reduce_logits
from guardmed.models.tokens import common_prefix

# Positions whose logits are held at once: 64 rows of 262,144 float32 are 67 MB.
HEAD_ROWS = 64
# Tokens in one forward pass of scoring.
BATCH_TOKENS = 4096
# How a model fails that can't continue a cache of several beginnings, some of them padded.
_CANNOT = (AttributeError, RuntimeError, IndexError, TypeError, ValueError, NotImplementedError, KeyError)
# First token, where it parts from its family, and length, of rows to try with.
_PROBE = ((0, 9, 9), (0, 6, 8), (4, 5, 5), (4, 2, 4))


@dataclass(frozen=True)
class KVState:
    """Tokens a model has read, and its cache of them."""

    ids: tuple[int, ...]
    cache: Any


class Body:
    """Runs a causal language model without computing logits nobody asked for.

    Where a model can't share beginnings (recurrent and hybrid ones, and those that count positions
    by themselves), every row is read by itself.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With a language modelling head.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._base = model.base_model
        self._head = model.get_output_embeddings()
        config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
        self._softcap = getattr(config, "final_logit_softcapping", None)
        self._scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
        self._takes_positions = "position_ids" in inspect.signature(self._base.forward).parameters
        self._projects = self._head is not None and self._agrees()
        self._shares: bool = self._continues(int(getattr(config, "vocab_size", None) or 2))

    @property
    def shares(self) -> bool:
        """Whether rows may continue one cache, found out by trying."""
        return self._shares

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        device: torch.device = self._model.device
        return device

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of what :meth:`_forward` gave, shape (rows, vocabulary)."""
        return self._project(hidden) if self._projects else hidden.float()

    def _project(self, hidden: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self._head(hidden).float() * self._scale
        return torch.tanh(out / self._softcap) * self._softcap if self._softcap else out

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int]) -> KVState:
        """Read a sequence and keep its cache."""
        output = self._base(input_ids=torch.tensor([list(ids)], device=self.device), use_cache=True)
        return KVState(tuple(ids), output.past_key_values)

    def _kept(self, rows: Sequence[Sequence[int]], limit: int, state: KVState | None) -> tuple[int, Any]:
        """How many tokens all rows share with what was read before, and a cache of them to consume."""
        if state is None:
            return 0, None
        shared = min(common_prefix(rows), limit)
        reusable = min(common_prefix([rows[0][:shared], state.ids]), state.cache.get_seq_length())
        cache = _cropped(state.cache, reusable)
        return (reusable, cache) if cache is not None and reusable >= shared // 2 else (0, None)

    @torch.inference_mode()
    def reduced(self, rows: Sequence[Sequence[int]], firsts: Sequence[int], *, state: KVState | None = None) -> list[torch.Tensor]:
        """Token scores of the ends of rows.

        Parameters
        ----------
        rows : sequences of token ids
        firsts : int for each row
            Index of the first token to score, at least 1.
        state : KVState, optional
            Of a sequence that the rows continue.

        Returns
        -------
        list of tensors of shape (len(row) - first, 3)
            Log-probability, entropy and margin.
        """
        out: list[torch.Tensor | None] = [None] * len(rows)
        for batch, hidden, skips in self._hidden(rows, [first - 1 for first in firsts], state):
            # The ends of all rows go through the head together: it is large, and reading it costs more than a few more rows.
            ends = [hidden[place, firsts[index] - 1 - skips[place] : len(rows[index]) - 1 - skips[place]] for place, index in enumerate(batch)]
            states = torch.cat(ends)
            targets = torch.tensor([token for index in batch for token in rows[index][firsts[index] :]], device=hidden.device)
            chunks = [reduce_logits(self.logits(states[at : at + HEAD_ROWS]), targets[at : at + HEAD_ROWS]) for at in range(0, len(targets), HEAD_ROWS)]
            scored = torch.cat(chunks) if chunks else torch.zeros((0, 3))
            for index, values in zip(batch, scored.split([len(end) for end in ends]), strict=True):
                out[index] = values
        return [tensor for tensor in out if tensor is not None]

    @torch.inference_mode()
    def next_logprobs(self, rows: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]], *, state: KVState | None = None) -> list[torch.Tensor]:
        """Log-probabilities of the wanted token ids to come next after each row."""
        out: list[torch.Tensor | None] = [None] * len(rows)
        for batch, hidden, skips in self._hidden(rows, [len(row) - 1 for row in rows], state):
            for at in range(0, len(batch), HEAD_ROWS):
                part = batch[at : at + HEAD_ROWS]
                last = torch.stack([hidden[at + place, len(rows[index]) - 1 - skips[at + place]] for place, index in enumerate(part)])
                logits = self.logits(last)
                norm = torch.logsumexp(logits, dim=-1)
                for place, index in enumerate(part):
                    ids = torch.tensor(list(wanted[index]), device=logits.device)
                    out[index] = logits[place, ids] - norm[place]
        return [tensor for tensor in out if tensor is not None]

    def _hidden(self, rows: Sequence[Sequence[int]], limits: Sequence[int], state: KVState | None) -> Iterator[tuple[list[int], torch.Tensor, list[int]]]:
        """Batches of row indices with their hidden states, and how many leading tokens those lack.

        Never more than a row's limit, the first position whose hidden state is wanted. What rows
        begin with alike is read once: with ``state`` by all of them, else family by family.
        """
        if not rows:
            return
        if not self._shares:
            for index, row in enumerate(rows):
                yield [index], self._alone(row), [0]
            return
        skip, cache = self._kept(rows, min(limits), state)
        if cache is not None:
            yield from self._after(rows, skip, cache)
            return
        for batch in packed(families(rows, limits), rows, BATCH_TOKENS):
            yield self._together(batch, rows)

    def _together(self, batch: Sequence[Family], rows: Sequence[Sequence[int]]) -> tuple[list[int], torch.Tensor, list[int]]:
        """One batch of families: row indices, hidden states, and how many leading tokens those lack."""
        members = [index for family in batch for index in family.members]
        skips = [family.shared for family in batch for _ in family.members]
        return members, self._forward([rows[index][skip:] for index, skip in zip(members, skips, strict=True)], skips, self._beginnings(batch, rows)), skips

    def _alone(self, row: Sequence[int]) -> torch.Tensor:
        """Hidden states of one row, read as the model itself would read it."""
        ids = torch.tensor([list(row)], device=self.device)
        out: torch.Tensor = (
            self._base(input_ids=ids, use_cache=False).last_hidden_state if self._projects else self._model(input_ids=ids, use_cache=False).logits
        )
        return out

    def _after(self, rows: Sequence[Sequence[int]], skip: int, cache: Any) -> Iterator[tuple[list[int], torch.Tensor, list[int]]]:
        """The same for rows that all continue one cache; sorted by length, so that padding is short."""
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        while order:
            size = most(skip, len(rows[order[-1]]) - skip, BATCH_TOKENS)
            batch, order = sorted(order[-size:]), order[:-size]
            own = copy.deepcopy(cache) if order else cache
            if len(batch) > 1:
                own.batch_repeat_interleave(len(batch))
            yield batch, self._forward([rows[index][skip:] for index in batch], [skip] * len(batch), own), [skip] * len(batch)

    def _beginnings(self, batch: Sequence[Family], rows: Sequence[Sequence[int]]) -> Any:
        """One cache of what each family shares, a row of it for each member; None where nothing is shared."""
        width = max(family.shared for family in batch)
        if width == 0:
            return None
        ids = torch.zeros((len(batch), width), dtype=torch.long)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for place, family in enumerate(batch):
            # Padded on the left: what follows stands right behind, as windows of attention count it.
            ids[place, width - family.shared :] = torch.tensor(list(rows[family.members[0]][: family.shared]))
            mask[place, width - family.shared :] = 1
        kwargs: dict[str, Any] = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device), "use_cache": True}
        if self._takes_positions:
            kwargs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0).to(self.device)
        cache = self._base(**kwargs).past_key_values
        owners = [place for place, family in enumerate(batch) for _ in family.members]
        cache.batch_select_indices(torch.tensor(owners, device=self.device))
        return cache

    def _forward(self, suffixes: list[Sequence[int]], skips: Sequence[int], cache: Any) -> torch.Tensor:
        """Hidden states of rows that continue a cache, whose beginnings are padded on the left; suffixes on the right, where causal attention never looks."""
        before, width = max(skips), max(len(suffix) for suffix in suffixes)
        ids = torch.zeros((len(suffixes), width), dtype=torch.long)
        mask = torch.zeros((len(suffixes), before + width), dtype=torch.long)
        for row, (suffix, skip) in enumerate(zip(suffixes, skips, strict=True)):
            ids[row, : len(suffix)] = torch.tensor(list(suffix))
            mask[row, before - skip : before + len(suffix)] = 1
        kwargs: dict[str, Any] = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device), "use_cache": cache is not None}
        if cache is not None:
            kwargs["past_key_values"] = cache
        if self._takes_positions:
            kwargs["position_ids"] = torch.tensor(skips, device=self.device)[:, None] + torch.arange(width, device=self.device)
        out: torch.Tensor = self._base(**kwargs).last_hidden_state if self._projects else self._model(**kwargs).logits
        return out

    @torch.inference_mode()
    def _agrees(self) -> bool:
        """Whether hidden states through the head are what the whole model says.

        Where a model does more than project, its whole logits stand where hidden states would.
        """
        probe = torch.tensor([[1, 2, 3]], device=self.device)
        whole = self._model(input_ids=probe, use_cache=False).logits[0].float()
        hidden = getattr(self._base(input_ids=probe, use_cache=False), "last_hidden_state", None)
        if hidden is None:
            return False
        try:
            parts = self._project(hidden[0])
        except _CANNOT:
            return False
        return whole.shape == parts.shape and bool(torch.allclose(whole, parts, atol=1e-2, rtol=1e-2))

    @torch.inference_mode()
    def _continues(self, vocabulary: int) -> bool:
        """Whether rows that continue left-padded beginnings get the hidden states they get alone.

        The difference is taken against the length of the hidden state, which may be anything; half
        precision rounds differently in another batch.
        """
        rows = [[(7 * place + 3 * (place >= cut) + 1 + start) % vocabulary for place in range(length)] for start, cut, length in _PROBE]
        tolerance = 1e-2 if self._model.dtype == torch.float32 else 0.1
        try:
            members, hidden, skips = self._together([Family(6, (0, 1)), Family(2, (2, 3))], rows)
            for place, (index, skip) in enumerate(zip(members, skips, strict=True)):
                alone = self._alone(rows[index])[0, skip:].float()
                apart = (hidden[place, : len(alone)].float() - alone).norm(dim=-1)
                if not bool((apart <= tolerance * alone.norm(dim=-1)).all()):
                    return False
        except _CANNOT:
            return False
        return True


def _cropped(cache: Any, length: int) -> Any | None:
    """A copy of a cache with only its first tokens, or None where it has forgotten them.

    Sliding-window layers drop what left their window and can't be rolled back.
    """
    excess = cache.get_seq_length() - length
    if length <= 0:
        return None
    copied = copy.deepcopy(cache)
    if excess:
        try:
            copied.crop(-excess)
        except RuntimeError:
            return None
    return copied
