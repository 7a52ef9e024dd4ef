"""Two gate reports side by side, as blocks of a page or a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from guardmed.gate.compare import SAID, GateComparison, ItemPair, RatePair, Turn, equal, listed, name_of
from guardmed.gate.config import StageName
from guardmed.gate.differences import KINDS
from guardmed.gate.emit.words import plain
from guardmed.gate.explain import DIGEST
from guardmed.reporting import Block, Cell, Page, Points, Prose, Section, Table, Tone

# How many changed items are told with both answers.
TEXTS = 10
_TONES: Mapping[Turn, Tone] = MappingProxyType({"worse": "fail", "better": "pass", "other": "inconclusive", "same": "plain"})
_METHOD = (
    "For the worse: the share of items worse in B less the share better, with its 95% interval (Tango). p is McNemar's, exact and two-sided, after Holm over "
    "the rates. Both take items as independent; items on one topic may say less."
)


def comparison_page(found: GateComparison) -> Page:
    """The comparison as a page; its blocks serve a terminal too."""
    sections = [
        Section("Verdicts", [Points(_lead(found)), _checks_table(found)]),
        Section("The same items", _items_blocks(found)),
        Section("What else differs", _differences_blocks(found)),
        Section("In one sentence", [Prose(found.closing)]),
    ]
    return Page(title="Two gates side by side", subtitle=f"{plain(found.before.source)} · {plain(found.after.source)}", sections=sections)


def _lead(found: GateComparison) -> list[str]:
    told = []
    for label, side in (("A", found.before), ("B", found.after)):
        when = f", {side.created}" if side.created else ""
        told.append(f"{label}: {side.checkpoint} {SAID[side.verdict]} ({side.source}; configuration {side.configuration}{when}; seal {side.seal[:DIGEST]}).")
    if found.before.seal == found.after.seal:
        told.append("Both are the same report.")
    elif found.before.fingerprint is not None and found.before.fingerprint == found.after.fingerprint:
        told.append("Both are of the same checkpoint.")
    return told


def _checks_table(found: GateComparison) -> Table:
    rows: list[list[str | Cell]] = []
    for pair in found.checks:
        told = "as A" if pair.told_after == pair.told_before and pair.before is not None else pair.told_after
        rows.append([Cell(f"{pair.id}\n{pair.word}", _TONES[pair.turned]), pair.told_before, told])
    return Table("Checks, those that turned first", ["Check and verdict", "A found", "B found"], rows)


def _items_blocks(found: GateComparison) -> list[Block]:
    blocks: list[Block] = []
    if found.rates:
        blocks.append(_rates_table(found.rates))
    method = [_METHOD] if found.rates else []
    if method or found.notes:
        blocks.append(Points([*method, *found.notes]))
    if not found.items:
        none = "Of the items that both asked, none came out otherwise." if found.rates else "No rate could be paired by item."
        return [*blocks, Prose(none)]
    stages = list(dict.fromkeys(item.stage for item in found.items))
    rows = [[name_of(stage), *(_listed(found.items, stage, turned) for turned in ("worse", "better"))] for stage in stages]
    blocks.append(Table("Items that came out otherwise in B", ["Stage", "Worse", "Better"], rows))
    return [*blocks, _texts_table(found.items)]


def _rates_table(rates: Iterable[RatePair]) -> Table:
    rows: list[list[str | Cell]] = [
        [
            name_of(pair.stage),
            f"{pair.before:.1%}",
            f"{pair.after:.1%}",
            f"{pair.worse}, {pair.better} of {pair.total}",
            f"{pair.change:+.1%}\n{100 * pair.low:+.1f}\u00a0…\u00a0{100 * pair.high:+.1f}",
            Cell(f"{equal(pair.p_adjusted).removeprefix('=')}{'*' if pair.early else ''}", _TONES[pair.turned]),
        ]
        for pair in rates
    ]
    caption = "Rates on the items that both asked; worse and better are items in B"
    return Table(caption, ["Rate", "A", "B", "Worse, better", "For the worse", "p"], rows)


def _texts_table(items: Sequence[ItemPair]) -> Table:
    """Both answers to some of the items that changed, the worse first."""
    ordered = [item for item in items if item.turned == "worse"] + [item for item in items if item.turned == "better"]
    shown = ordered[:TEXTS]
    count = f"{len(shown)} of {len(ordered)}" if len(shown) < len(ordered) else str(len(shown))
    rows: list[list[str | Cell]] = [[item.id, Cell(item.turned, _TONES[item.turned]), _both(item)] for item in shown]
    return Table(f"{count} items that came out otherwise, in both reports", ["Item", "In B", "Request, and what each answered"], rows)


def _both(item: ItemPair) -> str:
    """The request once, and both answers under it."""
    asked, mark, first = item.before.partition(" → ")
    again, _, then = item.after.partition(" → ")
    if mark and asked == again:
        return f"{asked}\nA: {first or '–'}\nB: {then or '–'}"
    return f"A: {item.before or '–'}\nB: {item.after or '–'}"


def _differences_blocks(found: GateComparison) -> list[Block]:
    blocks: list[Block] = []
    for kind, name in KINDS.items():
        rows = [[one.name, one.before or "–", one.after or "–"] for one in found.differences if one.kind == kind]
        if rows:
            blocks.append(Table(f"Differing {name}", ["What", "A", "B"], rows))
    same = [name for kind, name in KINDS.items() if all(one.kind != kind for one in found.differences)]
    if same:
        blocks.append(Prose(f"The same in both: {listed(same)}."))
    return blocks


def _listed(items: Iterable[ItemPair], stage: StageName, turned: str) -> str:
    names = [item.id for item in items if item.stage == stage and item.turned == turned]
    return f"{len(names)}: {', '.join(names)}" if names else "none"
