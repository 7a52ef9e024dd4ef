"""The part of a causal model below its vocabulary: hidden states, KV caches and shared prefixes."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from guardmed.models.prefixes import Family, families, most, packed
from guardmed.models.recorder import Tap, reduce_logits
from guardmed.models.tokens import common_prefix

# Positions whose logits are held at once: 64 rows of 262,144 float32 are 67 MB.
HEAD_ROWS = 64
# Tokens in one forward pass of scoring.
BATCH_TOKENS = 4096
# Tokens of one long beginning in one forward pass: what a pass needs beside the cache grows with them.
_PREFILL_TOKENS = {"cpu": 512}
# Bytes of keys and values that rows which continue a long beginning may take in one layer; elsewhere it is time that is short.
_LENT_BYTES = {"cpu": 1 << 26}
_LENT_BYTES_ELSEWHERE = 1 << 30


class _Lent:
    """A layer of a cache for one pass: what it read stays where it is, and what is new is joined to it for that pass only."""

    owners: torch.Tensor
    keys: Any
    values: Any
    # No part of what transformers chooses layers from.
    _layer_type = None

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """Keys and values, read and new, of each row."""
        kept = self.keys, self.values
        self.keys, self.values = (_rows_of(tensor, self.owners) for tensor in kept)
        joined = super().update(*args, **kwargs)  # type: ignore[misc]
        self.keys, self.values = kept
        return joined


class _LentLayer(_Lent, DynamicLayer):  # type: ignore[misc, unused-ignore]
    """Of full attention."""


class _LentWindow(_Lent, DynamicSlidingWindowLayer):  # type: ignore[misc, unused-ignore]
    """Of attention within a window."""


# Layers whose update joins what was read to what is new, and keeps nothing else.
_LENDABLE = {DynamicLayer: _LentLayer, DynamicSlidingWindowLayer: _LentWindow}
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
        heads, shared = getattr(config, "num_attention_heads", None), getattr(config, "num_key_value_heads", None)
        self._groups = heads // shared if isinstance(heads, int) and isinstance(shared, int) and shared else 1
        vocabulary = int(getattr(config, "vocab_size", None) or 2)
        self._lends = True
        self._shares: bool = self._continues(vocabulary)
        if not self._shares:
            self._lends = False
            self._shares = self._continues(vocabulary)

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
        out: torch.Tensor = self._head(hidden).float()
        # In place: a copy of so many logits is as large as the whole cache of a long answer.
        if self._scale != 1.0:
            out.mul_(self._scale)
        return out.div_(self._softcap).tanh_().mul_(self._softcap) if self._softcap else out

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int]) -> KVState:
        """Read a sequence, a long one in parts, and keep its cache."""
        size = _PREFILL_TOKENS.get(self.device.type, BATCH_TOKENS)
        cache = None
        for at in range(0, len(ids), size):
            part = torch.tensor([list(ids[at : at + size])], device=self.device)
            cache = self._base(input_ids=part, past_key_values=cache, use_cache=True).past_key_values
        for layer in getattr(cache, "layers", ()):
            # A window is a view of everything that was joined to it.
            if isinstance(layer, DynamicSlidingWindowLayer) and layer.is_initialized:
                layer.keys, layer.values = layer.keys.clone(), layer.values.clone()
        return KVState(tuple(ids), cache)

    def _kept(self, rows: Sequence[Sequence[int]], limit: int, state: KVState) -> int:
        """How many tokens all rows share with what was read before, 0 where reading anew is better."""
        shared = min(common_prefix(rows), limit)
        reusable = min(common_prefix([rows[0][:shared], state.ids]), state.cache.get_seq_length())
        return reusable if reusable and reusable >= shared // 2 and self._lent(state.cache, [0], reusable) is not None else 0

    def reduced(self, rows: Sequence[Sequence[int]], firsts: Sequence[int], *, state: KVState | None = None) -> list[torch.Tensor]:
        """Token scores of the ends of rows: the first part of what :meth:`read` gives."""
        return [values for values, _ in self.read(rows, firsts, state=state)]

    @torch.inference_mode()
    def read(
        self, rows: Sequence[Sequence[int]], firsts: Sequence[int], *, state: KVState | None = None, tap: Tap | None = None
    ) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        """Token scores of the ends of rows, and hidden states where there is a tap.

        Parameters
        ----------
        rows : sequences of token ids
        firsts : int for each row
            Index of the first token to score, at least 1.
        state : KVState, optional
            Of a sequence that the rows continue.
        tap : Tap, optional
            Layers whose hidden states are wanted.

        Returns
        -------
        list of pairs of tensors
            Of shape (len(row) - first, 4): log-probability, entropy, margin and rank. Of shape
            (len(row) - first, layers, width), on the CPU: the layers' states of the tokens
            themselves, not of those before; None without a tap.
        """
        out: list[tuple[torch.Tensor, torch.Tensor | None] | None] = [None] * len(rows)
        with tap.attached() if tap is not None else nullcontext():
            for batch, hidden, skips in self._hidden(rows, [first - 1 for first in firsts], state):
                places = [(place, firsts[index] - skips[place], len(rows[index]) - skips[place]) for place, index in enumerate(batch)]
                # The ends of all rows go through the head together: it is large, and reading it costs more than a few more rows.
                ends = [hidden[place, start - 1 : end - 1] for place, start, end in places]
                targets = torch.tensor([token for index in batch for token in rows[index][firsts[index] :]], dtype=torch.long, device=hidden.device)
                scored = self._scored(torch.cat(ends), targets).split([len(end) for end in ends])
                kept = [tap.of(place, start, end).cpu() if tap is not None else None for place, start, end in places]
                for index, values, states in zip(batch, scored, kept, strict=True):
                    out[index] = (values, states)
        return [found for found in out if found is not None]

    def _scored(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Four numbers for each position, a few positions' logits at a time."""
        return torch.cat(
            [reduce_logits(self.logits(hidden[at : at + HEAD_ROWS]), targets[at : at + HEAD_ROWS]) for at in range(0, max(1, len(targets)), HEAD_ROWS)]
        )

    @torch.inference_mode()
    def next_logprobs(self, rows: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]], *, state: KVState | None = None) -> list[torch.Tensor]:
        """Log-probabilities of the wanted token ids to come next after each row."""
        out: list[torch.Tensor | None] = [None] * len(rows)
        waiting: list[tuple[int, torch.Tensor]] = []

        def tell() -> None:
            logits = self.logits(torch.stack([last for _, last in waiting]))
            for (index, _), row in zip(waiting, logits, strict=True):
                out[index] = row[torch.tensor(list(wanted[index]), device=row.device)] - torch.logsumexp(row, dim=-1)
            waiting.clear()

        for batch, hidden, skips in self._hidden(rows, [len(row) - 1 for row in rows], state):
            for place, index in enumerate(batch):
                # A copy, because a view would keep the whole batch.
                waiting.append((index, hidden[place, len(rows[index]) - 1 - skips[place]].clone()))
                if len(waiting) == HEAD_ROWS:
                    tell()
        if waiting:
            tell()
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
        if state is not None and (skip := self._kept(rows, min(limits), state)):
            yield from self._after(range(len(rows)), rows, skip, state.cache)
            return
        # A family that would fill a batch gains nothing from company, and by itself its beginning is read only once.
        small: list[Family] = []
        for group in families(rows, limits):
            if group.shared and sum(len(rows[index]) for index in group.members) > BATCH_TOKENS:
                yield from self._after(group.members, rows, group.shared, self.prefill(rows[group.members[0]][: group.shared]).cache)
            else:
                small.append(group)
        for batch in packed(small, rows, BATCH_TOKENS):
            yield self._together(batch, rows)

    def _together(self, batch: Sequence[Family], rows: Sequence[Sequence[int]]) -> tuple[list[int], torch.Tensor, list[int]]:
        """One batch of families: row indices, hidden states, and how many leading tokens those lack."""
        members = [index for family in batch for index in family.members]
        skips = [family.shared for family in batch for _ in family.members]
        cache = self._beginnings(batch, rows)
        if cache is not None:
            cache = self._lent(cache, [place for place, family in enumerate(batch) for _ in family.members])
        return members, self._forward([rows[index][skip:] for index, skip in zip(members, skips, strict=True)], skips, cache), skips

    def _alone(self, row: Sequence[int]) -> torch.Tensor:
        """Hidden states of one row, read as the model itself would read it."""
        ids = torch.tensor([list(row)], device=self.device)
        out: torch.Tensor = (
            self._base(input_ids=ids, use_cache=False).last_hidden_state if self._projects else self._model(input_ids=ids, use_cache=False).logits
        )
        return out

    def _after(self, members: Sequence[int], rows: Sequence[Sequence[int]], skip: int, cache: Any) -> Iterator[tuple[list[int], torch.Tensor, list[int]]]:
        """The same for rows that all continue one cache; sorted by length, so that padding is short."""
        order = sorted(members, key=lambda index: len(rows[index]))
        while order:
            size = self._at_once(cache, skip, len(rows[order[-1]]) - skip)
            batch, order = sorted(order[-size:]), order[:-size]
            skips = [skip] * len(batch)
            yield batch, self._forward([rows[index][skip:] for index in batch], skips, self._lent(cache, [0] * len(batch), skip)), skips

    def _at_once(self, cache: Any, skip: int, rest: int) -> int:
        """How many rows may continue a cache in one batch.

        A layer joins what was read and what is new into one tensor a row while it is at work, and may
        repeat that for each head of a group.
        """
        layers = [layer.keys.nbytes + layer.values.nbytes for layer in getattr(cache, "layers", ()) if isinstance(layer, DynamicLayer) and layer.is_initialized]
        held = (max if self._lends else sum)(layers or [0]) / max(1, cache.get_seq_length())
        limit = _LENT_BYTES.get(self.device.type, _LENT_BYTES_ELSEWHERE)
        return max(1, min(most(skip, rest, BATCH_TOKENS), int(limit / max(1.0, held * (skip + rest) * (1 + self._groups)))))

    def _lent(self, cache: Any, owners: Sequence[int], length: int | None = None) -> Any | None:
        """A cache for one pass of rows that continue rows of another cache, which stays as it is.

        Copies nothing where the kind of cache is known. None where the cache has forgotten what it
        would have to go back to: layers with a window drop what left it.

        Parameters
        ----------
        owners : sequence of int
            The row of the cache that each new row continues.
        length : int, optional
            Tokens of it to keep.
        """
        excess = 0 if length is None else cache.get_seq_length() - length
        lends = self._lends and not getattr(cache, "offloading", False) and all(type(layer) in _LENDABLE for layer in cache.layers)
        rows = torch.tensor(list(owners), device=self.device)
        lent = copy.copy(cache) if lends else copy.deepcopy(cache)
        if lends:
            lent.layers = [_lent_layer(layer, rows) for layer in cache.layers]
        if excess:
            try:
                lent.crop(-excess)
            except RuntimeError:
                return None
        if not lends:
            lent.batch_select_indices(rows)
        return lent

    def _beginnings(self, batch: Sequence[Family], rows: Sequence[Sequence[int]]) -> Any:
        """One cache of what each family shares, a row of it for each; None where nothing is shared."""
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
        return self._base(**kwargs).past_key_values

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


def _lent_layer(layer: Any, owners: torch.Tensor) -> Any:
    """A layer that reads the same tensors; a plain copy of one that has read nothing yet."""
    if not layer.get_seq_length():
        return copy.copy(layer)
    kind = _LENDABLE[type(layer)]
    lent = kind.__new__(kind)
    lent.__dict__.update(layer.__dict__)
    lent.owners = owners
    return lent


def _rows_of(tensor: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
    """Rows of a tensor, some of them several times; of a single one a view."""
    return tensor.expand(len(owners), *tensor.shape[1:]) if len(tensor) == 1 else tensor.index_select(0, owners.to(tensor.device))
