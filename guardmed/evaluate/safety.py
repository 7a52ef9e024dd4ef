"""What tables of medical models never show: harmful compliance, over-refusal, calibration error, the worst audit gap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from guardmed.audit import AuditReport, Definition, Interview, audit_model, load_definition
from guardmed.audit import Selection as Part
from guardmed.audit.results import PairResult
from guardmed.calibration.items import Item
from guardmed.calibration.run import Rows, calibrate
from guardmed.errors import CalibrationError
from guardmed.evaluate import mcq
from guardmed.evaluate.asking import Asking
from guardmed.evaluate.figures import rate
from guardmed.evaluate.results import Figure, Scored
from guardmed.evaluate.selection import NotInLanguage, Selection
from guardmed.gate.bank import Bank, BankPrompt, load_bank
from guardmed.gate.config import WRITTEN, GateConfig, Kind, Suites
from guardmed.gate.outcomes import complied, turned_away
from guardmed.policy import Policy, load_policy

USUAL = 32
TOKENS = 32
AUDIT, PART = "pain-management", Part(axes=("sex",), intersections=False, repeats=1)
_Event = Callable[[BankPrompt, Mapping[str, object]], bool]


@lru_cache(maxsize=1)
def _policy() -> Policy:
    """What a bank may take rules' tests from; none is taken here."""
    return load_policy("clinical")


def bank(selection: Selection, kind: Kind, *, usual: int = USUAL) -> Bank:
    """The gate's prompts of one kind and language, or those of a file: id, prompt, kind, and maybe topic.

    Raises
    ------
    DataError
        The file can't be read, or holds none of the kind in the language.
    """
    most = selection.limit or usual
    source = WRITTEN if selection.data is None else str(Path(selection.data).absolute())
    suites = Suites(prompts=(source,), languages=(selection.language,), seed=selection.seed, harmful=most, harmless=most)
    found = load_bank(GateConfig(schema_version=1, name="eval", suites=suites, checks=()), _policy(), kind)
    if not found.prompts:
        raise NotInLanguage(f"{selection.source} holds no {kind} prompt in {selection.language}.", mend="Name another --language, or another file.")
    return found


@dataclass(frozen=True)
class Safety:
    """Prompts of both kinds, calibration of multiple choice, and one audit."""

    selection: Selection
    harmful: Bank
    harmless: Bank
    items: tuple[Item, ...]
    definition: Definition
    name = "safety"

    @classmethod
    def of(cls, selection: Selection) -> Safety:
        """The suite over a selection; a file replaces the prompts alone."""
        items = mcq.load(Selection(language=selection.language, limit=selection.limit, seed=selection.seed))
        return cls(selection, bank(selection, "harmful"), bank(selection, "harmless"), tuple(items), load_definition(AUDIT))

    @property
    def size(self) -> int:
        """Answers it takes."""
        return len(self.harmful.prompts) + len(self.harmless.prompts) + len(self.items) + len(PART.variants(self.definition))

    def run(self, asking: Asking) -> Scored:
        """Ask the prompts, calibrate the option likelihoods, and audit."""
        figures: dict[str, Figure] = {}
        rows: list[dict[str, Any]] = []
        figures["harmful_compliance"] = self._rate(
            asking, self.harmful, partial(complied, policy=_policy()), rows, {"answers everything": 1.0, "refuses everything": 0.0}
        )
        figures["over_refusal"] = self._rate(
            asking, self.harmless, lambda _asked, answer: turned_away(answer), rows, {"answers everything": 0.0, "refuses everything": 1.0}
        )
        # Likelihoods are the model's own, whatever stands before it.
        problem = self._ece(asking, figures) if asking.guard is None else None
        notes = [f"No calibration error: {problem}"] if problem else []
        gap = worst_gap(self._audit(asking), self.selection.language)
        if gap is not None:
            figures["worst_audit_gap"] = gap
        result = self.selection.result(
            "safety",
            asking.system.name,
            n=len(self.harmful.prompts) + len(self.harmless.prompts),
            asked=[self.harmful.digest, self.harmless.digest, [item.model_dump(mode="json") for item in self.items], self.definition.digest, PART.axes],
            settings={"max_new_tokens": self.selection.tokens(TOKENS), "questions": len(self.items), "audit": AUDIT, "axes": ", ".join(PART.axes)},
            figures=figures,
            notes=notes,
        )
        return Scored(result, rows)

    def _rate(self, asking: Asking, prompts: Bank, event: _Event, rows: list[dict[str, Any]], controls: Mapping[str, float]) -> Figure:
        answers = asking.answers([one.prompt for one in prompts.prompts], max_new_tokens=self.selection.tokens(TOKENS))
        happened = [event(one, {"text": answer.text, "stopped": answer.stopped}) for one, answer in zip(prompts.prompts, answers, strict=True)]
        name = {"harmful": "complied", "harmless": "turned_away"}[prompts.kind]
        rows += [
            {"item": one.id, "prompt": one.prompt, "kind": prompts.kind, "response": answer.text, "stopped": answer.stopped, name: found}
            for one, answer, found in zip(prompts.prompts, answers, happened, strict=True)
        ]
        return rate(happened, clusters=[one.cluster for one in prompts.prompts], controls=controls)

    def _ece(self, asking: Asking, figures: dict[str, Figure]) -> str | None:
        """Calibration error on held-out questions before and after temperature scaling, or why there is none."""
        if not asking.model.capabilities.logprobs:
            return f"{asking.model.name} gives no log-probabilities."
        shares = asking.options(self.items, form=self.selection.form)
        values = np.zeros((len(shares), max(map(len, shares))))
        for place, row in enumerate(shares):
            values[place, : len(row)] = row
        rows = Rows(values, np.array([float(item.answer) for item in self.items]))
        try:
            found = calibrate(rows, method="temperature", holdout=0.5, score_source="option_likelihood", seed=self.selection.seed).artifact
        except CalibrationError as error:
            # Of rows that can't be calibrated it can still be said how far off they are.
            held = rows.split(0.5)[1]
            if len(held):
                raw = held.predictions(None)
                measured, interval = raw.measure(), raw.intervals(seed=self.selection.seed)["ece15"]
                figures["ece15_raw"] = _ece_figure(measured.ece15, interval, len(held), measured.ece15_floor)
            return error.problem
        for name, when in (("ece15", "after"), ("ece15_raw", "before")):
            metrics, detail = found.metrics[when], f"T = {found.numbers['temperature']:.2f}" if when == "after" else ""
            figures[name] = _ece_figure(metrics["ece15"], found.intervals[when]["ece15"], found.rows["held_out"], metrics["ece15_floor"], detail=detail)
        return None

    def _audit(self, asking: Asking) -> AuditReport:
        return audit_model(Interview(asking.model, asking.guard), self.definition, selection=PART, advance=asking.advance)[0]


def _ece_figure(value: float | None, interval: Sequence[float], n: int, floor: float | None, *, detail: str = "") -> Figure:
    return Figure(value=float(value or 0.0), interval=(interval[0], interval[1]), n=n, controls={"by chance": float(floor or 0.0)}, detail=detail)


def worst_gap(report: AuditReport, language: str) -> Figure | None:
    """The largest gap between two groups over the primary outcomes, in one language; the interval is that of this pair alone."""
    found: list[tuple[float, float, float, int, str, PairResult]] = []
    for axis, outcomes in report.axes.items():
        for outcome, result in outcomes.items():
            for pair in result.pairs if result.role == "primary" else ():
                part = pair.by_language.get(language) if pair.by_language else pair
                if part is not None:
                    found.append((part.gap, *part.ci, part.n_pairs, f"{axis}, {outcome}", pair))
    if not found:
        return None
    gap, low, high, pairs, what, pair = max(found, key=lambda one: abs(one[0]))
    more, less = (pair.a, pair.b) if gap >= 0 else (pair.b, pair.a)
    interval = (low, high) if gap >= 0 else (-high, -low)
    return Figure(value=abs(gap), interval=interval, n=pairs, detail=f"{what}: {more} above {less}; largest of {len(found)}")
