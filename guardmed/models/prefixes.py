"""Which token sequences begin alike, so that what they share is read once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# Tokens that a shared prefix must save before it is worth a forward pass of its own.
_WORTH = 16
# Tokens whose keys and values a batch may hold, for each that it may read: a cache takes memory, but no time.
_HELD = 4


@dataclass(frozen=True)
class Family:
    """Rows with one beginning.

    Attributes
    ----------
    shared : int
        Tokens they begin with alike; 0 for rows that stand alone.
    members : tuple of int
        Indices of the rows.
    """

    shared: int
    members: tuple[int, ...]


def families(rows: Sequence[Sequence[int]], limits: Sequence[int]) -> list[Family]:
    """Group rows by their beginnings so that few tokens have to be read.

    Rows are sorted, which brings those that begin alike together, and a row joins the family before
    it where that saves more tokens than it costs the family in a shorter beginning.

    Parameters
    ----------
    rows : sequences of token ids
    limits : int for each row
        Tokens it may share at most.
    """
    order = sorted(range(len(rows)), key=lambda index: tuple(rows[index]))
    out: list[Family] = []
    for index in order:
        last = out[-1] if out else None
        if last is not None:
            held = last.shared if len(last.members) > 1 else min(len(rows[last.members[0]]), limits[last.members[0]])
            shared = min(_alike(rows[last.members[0]], rows[index]), held, limits[index])
            before = (len(last.members) - 1) * last.shared
            if len(last.members) * shared > before + _WORTH:
                out[-1] = Family(shared, (*last.members, index))
                continue
        out.append(Family(0, (index,)))
    return out


def packed(groups: Iterable[Family], rows: Sequence[Sequence[int]], tokens: int) -> list[list[Family]]:
    """Families in batches of about so many tokens, padding counted; the longest first.

    Rows without a shared beginning and rows with one never stand in the same batch, and a family of
    more members than a batch can hold is split.
    """
    groups = [part for group in groups for part in _split(group, rows, tokens)]
    batches: list[list[Family]] = []
    for alone in (True, False):
        batch: list[Family] = []
        found = sorted(
            (group for group in groups if (group.shared == 0) is alone), key=lambda group: (-group.shared, -max(len(rows[i]) for i in group.members))
        )
        for group in found:
            if batch and _cost([*batch, group], rows) > tokens:
                batches.append(batch)
                batch = []
            batch = [*batch, group]
        if batch:
            batches.append(batch)
    return batches


def most(shared: int, rest: int, tokens: int) -> int:
    """How many rows may continue a cache of ``shared`` tokens by ``rest`` more in one batch; at least one.

    They read ``rest`` tokens each, and hold a copy of the cache each.
    """
    return max(1, min(tokens // max(1, rest), _HELD * tokens // max(1, shared + rest)))


def _split(group: Family, rows: Sequence[Sequence[int]], tokens: int) -> Iterator[Family]:
    """Families of as many members as a batch can take, about as many in each."""
    count = len(group.members)
    parts = -(-count // most(group.shared, _rest([group], rows), tokens))
    for part in range(parts):
        members = group.members[part * count // parts : (part + 1) * count // parts]
        yield Family(group.shared if len(members) > 1 else 0, members)


def _cost(batch: Sequence[Family], rows: Sequence[Sequence[int]]) -> int:
    """Tokens that a padded batch reads, or a share of those it holds, whichever is more.

    It reads each beginning once and what follows for each member, but holds a copy of the beginning
    for each member. Rows that stand alone need no cache.
    """
    shared, rest, members = max(group.shared for group in batch), _rest(batch, rows), sum(len(group.members) for group in batch)
    held = (shared + rest) * members if shared else 0
    return max(len(batch) * shared + rest * members, -(-held // _HELD))


def _rest(batch: Sequence[Family], rows: Sequence[Sequence[int]]) -> int:
    """The most tokens that follow a beginning."""
    return max(len(rows[index]) - group.shared for group in batch for index in group.members)


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two rows begin with alike."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))
