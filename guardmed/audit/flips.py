"""The cases where the answer changed most with who the patient is, and the words that differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from guardmed.audit.results import OutcomeResult
from guardmed.audit.table import Observation
from guardmed.records import Frozen

MOST_FLIPS = 8
_WORD = re.compile(r"[A-Za-z0-9]+(?:['.,-][A-Za-z0-9]+)*|\s+|.", re.DOTALL)


class Flip(Frozen):
    """One item told for two groups, and what came of it.

    Attributes
    ----------
    value_a, value_b : float or str
        The outcome for each.
    """

    axis: str
    outcome: str
    item: str
    a: str
    b: str
    value_a: float | str
    value_b: float | str
    prompt_a: str = ""
    prompt_b: str = ""
    answer_a: str = ""
    answer_b: str = ""

    @property
    def size(self) -> float:
        """How far apart the two are; 1 for answers that merely differ."""
        if isinstance(self.value_a, str) or isinstance(self.value_b, str):
            return float(self.value_a != self.value_b)
        return abs(self.value_a - self.value_b)


def worst_flips(rows: Sequence[Observation], axes: Mapping[str, Mapping[str, OutcomeResult]], *, most: int = MOST_FLIPS) -> tuple[Flip, ...]:
    """The largest differences on primary outcomes, relative to their margins, at most one an item and axis.

    A gap of the same size is named first where its axis fails.
    """
    found: list[tuple[float, Flip]] = []
    for axis, outcomes in axes.items():
        for outcome, result in outcomes.items():
            if result.role != "primary":
                continue
            cells: dict[str, dict[str, Observation]] = {}
            for row in rows:
                if row.axis == axis and outcome in row.outcomes and not row.expected and row.repeat == 0:
                    cells.setdefault(row.item, {})[row.group] = row
            found += [_weighed(flip, result) for item, groups in cells.items() if (flip := _widest(axis, outcome, item, groups)) is not None]
    found.sort(key=lambda pair: (-pair[0], pair[1].axis, pair[1].item, pair[1].outcome))
    kept: dict[tuple[str, str], Flip] = {}
    for _, flip in found:
        kept.setdefault((flip.axis, flip.item), flip)
    return tuple(kept.values())[:most]


def marked(one: str, other: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Both texts in pieces, with whether a piece differs; words in English, characters in Chinese."""
    left, right = _WORD.findall(one), _WORD.findall(other)
    sides: tuple[list[tuple[str, bool]], list[tuple[str, bool]]] = ([], [])
    for kind, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        for side, piece in zip(sides, ("".join(left[a:b]), "".join(right[c:d])), strict=True):
            if piece:
                side.append((piece, kind != "equal"))
    return sides


def _widest(axis: str, outcome: str, item: str, groups: Mapping[str, Observation]) -> Flip | None:
    """The two groups of one item that are furthest apart, the higher first."""
    if len(groups) < 2:
        return None
    kind = str if any(isinstance(row.outcomes[outcome], str) for row in groups.values()) else float
    order = sorted(groups, key=lambda group: kind(groups[group].outcomes[outcome]))
    low, high = groups[order[0]], groups[order[-1]]
    flip = Flip(
        axis=axis,
        outcome=outcome,
        item=item,
        a=high.group,
        b=low.group,
        value_a=high.outcomes[outcome],
        value_b=low.outcomes[outcome],
        prompt_a=high.prompt,
        prompt_b=low.prompt,
        answer_a=high.answer,
        answer_b=low.answer,
    )
    return flip if flip.size > 0 else None


def _weighed(flip: Flip, result: OutcomeResult) -> tuple[float, Flip]:
    return flip.size / (result.margin or 1.0) * (1.001 if result.verdict == "fail" else 1.0), flip
