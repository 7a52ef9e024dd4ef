"""Gathers evidence: each suite asks the checkpoint and returns a figure with its items."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from guardmed.audit import Interview, Selection, audit_model, load_definition
from guardmed.calibration.items import Item, load_items
from guardmed.calibration.metrics import ece
from guardmed.calibration.run import Rows, calibrate
from guardmed.errors import CalibrationError, DataError
from guardmed.files import digest_value
from guardmed.gate.asking import Asker
from guardmed.gate.bank import Bank, BankPrompt, load_bank
from guardmed.gate.bounds import looks
from guardmed.gate.canary import reword
from guardmed.gate.checks import settled, without
from guardmed.gate.config import GateConfig, StageName
from guardmed.gate.evidence import Advance, Evidence, ItemOutcome, gathered, scan_evidence
from guardmed.gate.outcomes import complied, turned_away
from guardmed.gate.scan import ScanResult
from guardmed.models.base import Sampling
from guardmed.policy import Policy
from guardmed.policy.trial import run_trials

_SHOWN = 200
_TIMED = 5
_SELDOM_WRONG = 0.98


@dataclass
class Suite:
    """Everything a gate can measure of one checkpoint.

    Attributes
    ----------
    config : GateConfig
    policy : Policy
    asker : Asker
    scanned : ScanResult
    seed : str
        What the rewordings are drawn from: the checkpoint's own fingerprint, so that none can be trained on its own.
    whole : bool
        Whether every prompt is asked even where fewer would settle the rate, to be compared by item.
    advance : callable
        Told which stage runs and how many of its items are done and to do.
    quarantined : mapping
        Ids of items to leave out of the rates, by stage.
    """

    config: GateConfig
    policy: Policy
    asker: Asker
    scanned: ScanResult
    seed: str
    whole: bool
    advance: Advance
    quarantined: Mapping[StageName, frozenset[str]]
    _scored: tuple[list[Item], Rows] | None = field(default=None, init=False)

    def run(self, stage: StageName) -> Evidence:
        """Gather the evidence of one stage."""
        started = time.perf_counter()
        evidence: Evidence = getattr(self, f"_{stage}")()
        return evidence.model_copy(update={"seconds": round(time.perf_counter() - started, 3)})

    def _artifact_scan(self) -> Evidence:
        return scan_evidence(self.scanned)

    def _policy_tests(self) -> Evidence:
        results = run_trials(self.policy)
        items = tuple(ItemOutcome(id=f"{r.rule}/{r.kind}/{i}", outcome=int(not r.passed), shown="" if r.passed else r.text) for i, r in enumerate(results))
        return gathered("policy_tests", sum(item.outcome for item in items), items, asked=self.policy.digest)

    def _refusal(self) -> Evidence:
        return self._answers("refusal", load_bank(self.config, self.policy, "harmful"), partial(complied, policy=self.policy))

    def _over_refusal(self) -> Evidence:
        return self._answers("over_refusal", load_bank(self.config, self.policy, "harmless"), lambda _asked, answer: turned_away(answer))

    def _calibration(self) -> Evidence:
        items, rows = self._options("calibration")
        asked = _asked(items)
        try:
            metrics = calibrate(rows, method="temperature", holdout=0.5, score_source="option_likelihood").artifact.metrics
        except CalibrationError as error:
            right = rows.values.argmax(axis=1) == rows.targets
            if right.mean() >= _SELDOM_WRONG:
                # Errors too few to fit a temperature to: the confidence is held against them as it is.
                raw = ece(rows.values.max(axis=1), right.astype(np.float64))
                return gathered("calibration", raw, (), total=len(items), asked=asked, detail={"reason": "Not scaled: next to no answer is wrong."})
            # Scores that can't be calibrated are as far from holding as can be.
            return gathered("calibration", 1.0, (), total=len(items), asked=asked, detail={"reason": error.problem})
        return gathered("calibration", metrics["after"]["ece15"], (), total=len(items), asked=asked, detail=metrics)

    def _capability(self) -> Evidence:
        items, rows = self._options("capability")
        chosen = rows.values.argmax(axis=1)
        outcomes = tuple(
            ItemOutcome(id=str(item.id), outcome=int(best == item.answer), cluster=str(item.id), shown=f"{item.question} → {item.options[best]}")
            for item, best in zip(items, chosen.tolist(), strict=True)
        )
        return gathered("capability", _rate(outcomes), outcomes, asked=_asked(items))

    def _audit(self) -> Evidence:
        outcomes: list[ItemOutcome] = []
        asked: list[str] = []
        suites = self.config.suites
        interview = Interview(self.asker.model, self.asker.guard)
        for name in suites.audits:
            definition = load_definition(name)
            asked.append(definition.digest)
            selection = Selection(axes=suites.audit_axes, vignettes=suites.audit_vignettes, intersections=False)
            done = 0

            def advance(count: int) -> None:
                nonlocal done
                done += count
                self.advance("audit", done, 0)

            report, _ = audit_model(interview, definition, selection=selection, store=self.asker.store, advance=advance)
            for axis, results in report.axes.items():
                for outcome, result in results.items():
                    if result.role == "secondary" and result.verdict != "fail":
                        continue  # described, not needed to pass
                    shown = f"{result.verdict}: {result.reason}"
                    outcomes.append(ItemOutcome(id=f"{name}/{axis}/{outcome}", outcome=int(result.verdict == "fail"), shown=shown))
        failing = sum(item.outcome for item in outcomes)
        doubtful = [f"{item.id}: {item.shown}" for item in outcomes if item.shown.startswith("inconclusive")]
        return gathered("audit", failing, outcomes, asked="".join(asked), detail={"inconclusive": doubtful})

    def _latency(self) -> Evidence:
        bank = load_bank(self.config, self.policy, "harmless")
        limit = self.config.suites.max_new_tokens
        spent = []
        for one in bank.prompts[:_TIMED]:
            started = time.perf_counter()
            answer = self.asker.model.generate([one.prompt], Sampling(max_new_tokens=limit))[0][0]
            tokens = len(answer.scores.token_ids) if answer.scores else limit
            spent.append((time.perf_counter() - started) * 1000 / max(1, tokens))
            self.advance("latency", len(spent), _TIMED)
        return gathered("latency", float(np.median(spent)) if spent else 0.0, (), total=len(spent), asked=bank.digest)

    def _answers(self, stage: StageName, bank: Bank, event: Callable[[BankPrompt, Mapping[str, object]], bool]) -> Evidence:
        """Ask until every rate is settled, then some again in other words, unless it has failed already."""
        if bank.lacks:
            raise DataError(
                f"The {bank.kind} prompts are too few: {', and '.join(bank.lacks)}.",
                mend="Name files that hold the rest under suites.prompts, each with its category.",
            )
        if not bank.prompts:
            raise DataError(f"There are no {bank.kind} prompts.", mend="Name files that hold some under suites.prompts, in one of suites.languages.")
        checks = [check for check in self.config.of(stage) if check.kind in ("max_rate", "min_rate")]
        aside = self.quarantined.get(stage, frozenset())
        outcomes: list[ItemOutcome] = []
        found: set[str] = set()
        planned = len(bank.prompts)
        for upto in looks(planned):
            outcomes += self._outcomes(stage, bank.prompts[len(outcomes) : upto], event, done=len(outcomes), total=planned)
            reached = [settled(check, without(gathered(stage, _rate(outcomes), outcomes, asked="", planned=planned), aside)) for check in checks]
            found = {one or "open" for one in reached}
            exact = any(check.kind == "zero_tolerance" for check in self.config.of(stage))
            if "fail" in found or (checks and found == {"pass"} and not self.whole and not exact):
                break
        canaries: list[ItemOutcome] = []
        if "fail" not in found:
            again = (replace(one, prompt=reword(one.prompt, seed=self.seed)) for one in bank.prompts[: len(outcomes)] if one.id not in aside)
            asked = {one.id: one.prompt for one in bank.prompts}
            # What can't be said in other words is no canary.
            reworded = list(itertools.islice((one for one in again if one.prompt != asked[one.id]), self.config.suites.canaries))
            canaries = self._outcomes(stage, reworded, event, done=0, total=len(reworded))
        # A guarded checkpoint is another system than the bare one: their items are no pairs.
        guard = self.policy.digest if self.config.suites.guarded else None
        return gathered(
            stage, _rate(outcomes), outcomes, canaries=canaries, planned=planned, asked=digest_value([bank.digest, self.config.suites.max_new_tokens, guard])
        )

    def _outcomes(
        self, stage: StageName, asked: Sequence[BankPrompt], event: Callable[[BankPrompt, Mapping[str, object]], bool], *, done: int, total: int
    ) -> list[ItemOutcome]:
        answers = self.asker.answers([one.prompt for one in asked], advance=lambda count, _of: self.advance(stage, done + count, total))
        return [
            ItemOutcome(id=one.id, outcome=int(event(one, answer)), cluster=one.cluster, shown=f"{one.prompt} → {str(answer['text'])[:_SHOWN]}")
            for one, answer in zip(asked, answers, strict=True)
        ]

    def _options(self, stage: StageName) -> tuple[list[Item], Rows]:
        """The questions and their option probabilities, scored once for both stages that need them."""
        if self._scored is None:
            suites = self.config.suites
            every = load_items(self.config.beside(suites.items_from) if suites.items_from else None)
            every = [item for item in every if not suites.languages or item.lang in suites.languages]
            if not every:
                raise DataError("There are no questions.", mend="Name a file that holds some under suites.items_from, in one of suites.languages.")
            order = np.random.default_rng(suites.seed).permutation(len(every))[: suites.items]
            items = [every[place] for place in order]
            self._scored = items, self.asker.options(items, advance=lambda done, total: self.advance(stage, done, total))
        return self._scored


def _rate(outcomes: Sequence[ItemOutcome]) -> float:
    return sum(item.outcome for item in outcomes) / len(outcomes) if outcomes else 0.0


def _asked(items: Sequence[Item]) -> str:
    return digest_value([item.model_dump(mode="json") for item in items])
