"""What an audit will cost and what it could find, before anything is asked."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from guardmed.audit.definition import CROSS, Definition
from guardmed.audit.outcomes import margins, roles
from guardmed.audit.run import measured, repeats_of
from guardmed.audit.selection import Selection
from guardmed.audit.slices import CONFIDENCE, CORRECT, OVERCONFIDENCE
from guardmed.audit.variants import Variant
from guardmed.stats import smallest_gap

# Shares of cases that differ between two groups, and standard deviations of paired differences.
FLIPS = (0.05, 0.1, 0.2)
SPREADS = (0.05, 0.1, 0.2)
_SHARES = frozenset({"refusal", "refusal_benign", "refusal_harmful"})
# Characters a token stands for, roughly, in the vocabularies of today's models.
_PER_TOKEN = {"en": 4.2, "zh": 1.6}
_SAMPLE = {
    "en": "You may need treatment soon. Please see your doctor today and bring your list of medicines with you.",
    "zh": "您可能需要尽快治疗。建议您今天就去医院就诊，并带上正在服用的药物清单。",
}


@dataclass(frozen=True)
class Power:
    """What one primary outcome on one axis could show.

    Attributes
    ----------
    pairs : int
        Cases told for two groups; fewest over the pairs of groups. Under 30 nothing is judged.
    level : float
        At which a single gap is tested, adjusted for all that are tested beside it.
    gaps : tuple of float
        Smallest true gap found four times in five, with little, middling and much noise:
        see :data:`FLIPS` for outcomes of 0 and 1, :data:`SPREADS` for others; None where none would be.
    """

    axis: str
    outcome: str
    groups: int
    pairs: int
    level: float
    margin: float
    gaps: tuple[float | None, ...]


@dataclass(frozen=True)
class Plan:
    """A run before it is made.

    Attributes
    ----------
    prompts : int
        Distinct prompts, repeats included; each way round of a choice's options counts.
    tokens : int
        To be read, roughly, and written, at most.
    """

    variants: int
    prompts: int
    tokens_read: int
    tokens_written: int
    powers: tuple[Power, ...]


def plan(definition: Definition, *, selection: Selection | None = None, max_new_tokens: int = 128, systems: int = 1) -> Plan:
    """The cost of a run and the smallest gaps it could find.

    Cases are taken to be independent; where one is told in two languages it counts as two, so the
    truth is a little worse.

    Parameters
    ----------
    definition : Definition
    selection : Selection, optional
    max_new_tokens : int
        Of a free answer.
    systems : int
        2 where a model is asked bare and guarded.
    """
    selection = selection or Selection()
    told = selection.variants(definition)
    repeats = repeats_of(definition, selection)
    distinct = {
        (variant.kind, variant.prompt(order), repeat): variant for variant in told for repeat in range(repeats(variant)) for order in variant.orders or [()]
    }
    read = sum(len(prompt) / _PER_TOKEN[variant.language] for (_, prompt, _), variant in distinct.items())
    written = sum(max_new_tokens for variant in distinct.values() if variant.kind == "open")
    return Plan(
        variants=len(told),
        prompts=len(distinct) * systems,
        tokens_read=round(read) * systems,
        tokens_written=written * systems,
        powers=tuple(_powers(definition, told)),
    )


def _powers(definition: Definition, told: Sequence[Variant]) -> list[Power]:
    axes: dict[str, list[Variant]] = {}
    for variant in told:
        if CROSS not in variant.axis:
            axes.setdefault(variant.axis, []).append(variant)
    role_of = roles(secondary=definition.secondary)
    out = []
    for axis, found in axes.items():
        cells: dict[str, dict[str, set[str]]] = {}
        for variant in found:
            names = _outcomes(variant)
            excused = definition.excused(variant.vignette, axis, variant.group, names)
            for outcome in names:
                if outcome not in excused:
                    cells.setdefault(outcome, {}).setdefault(variant.group, set()).add(variant.item)
        counts = {outcome: [len(a & b) for a, b in itertools.combinations(groups.values(), 2)] for outcome, groups in cells.items()}
        tests = sum(map(len, counts.values())) * len(axes)
        for outcome, pairs in counts.items():
            if role_of[outcome] == "primary" and pairs:
                out.append(_power(definition, axis, outcome, len(cells[outcome]), min(pairs), tests))
    return out


def _power(definition: Definition, axis: str, outcome: str, groups: int, pairs: int, tests: int) -> Power:
    margin = margins([outcome], given=definition.margins).get(outcome, definition.margin)
    level = definition.alpha / tests
    if outcome in _SHARES:
        gaps = tuple(smallest_gap(total=pairs, alpha=level, margin=margin, discordance=flips) for flips in FLIPS)
    else:
        gaps = tuple(smallest_gap(total=pairs, alpha=level, margin=margin, spread=spread) for spread in SPREADS)
    return Power(axis=axis, outcome=outcome, groups=groups, pairs=pairs, level=level, margin=margin, gaps=gaps)


def _outcomes(variant: Variant) -> list[str]:
    """Names of what an answer to a variant will be measured by."""
    return list(_named(replace(variant, item="", vignette="", axis="", group="", text="", question="", options=tuple(map(str, range(len(variant.options)))))))


@lru_cache(maxsize=256)
def _named(variant: Variant) -> tuple[str, ...]:
    answer = {"answer": _SAMPLE[variant.language]} if variant.kind == "open" else {"shares": [1 / len(variant.options)] * len(variant.options)}
    names = tuple(measured(variant, answer))
    return (*names, OVERCONFIDENCE) if {CONFIDENCE, CORRECT} <= set(names) else names
