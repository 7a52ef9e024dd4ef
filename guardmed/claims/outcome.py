"""What is done to an answer with claims that lack support: marked, hedged, cut, or not shown at all.

Cutting works on lines, sentences and clauses, without a parser, and fails closed: a clause goes alone only where what
stays is surely a whole sentence that means what it meant; else the sentence goes, and every claim that went is named.
With a claim that is cut go

- the rest of its sentence, where the clause holds a negation, a condition, a contrast or an exception ("unless ...",
  "但……"), where both tell a dose, where a frame holds both ("either ... or", a colon), or what stays would lack its
  subject or verb; in Chinese all that follows the clause, since a topic carries on there without being named;
- what leans on it: "Therefore ...", "This ...", "因此……", "However, ..." in the same paragraph; "It ...", "The drug ...",
  "该药……" where the nearest earlier sentence that opens otherwise was cut or cut into (sentences that open with the same
  pronoun share its subject: Grosz, Joshi and Weinstein, "Centering", Computational Linguistics 1995);
- what it completes: the sentence that it makes an exception to, or denies ("Except in pregnancy."), and the bare "Yes."
  that it explains; of a sentence in front of "However" not, for that was found to hold by itself;
- its table row (of a header, the table), what is nested under its list item, the list it leads in; a lead-in or a heading
  of which nothing is left; a whole list of exceptions; its verbatim repetitions, which the splitter does not list again.

Never cut for lack of support, nor marked, are advice, questions, what hedges itself, what says nothing (greetings), and
labels such as "Side effects:". They may go with what they lean on, but for advice to seek care, which stays. A pronoun
further in is not seen ("After that, it ..."), a number that counts list items is left as it is, and a supported claim
that went along stays where the answer says it again.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from guardmed.claims.check import CheckedClaim
from guardmed.claims.cutting import SPARED, Cutting, Edit, edited
from guardmed.claims.grammar import labels
from guardmed.errors import DataError, UsageError

Action = Literal["mark", "hedge", "cut", "abstain"]
State = Literal["whole", "marked", "cut", "nothing left"]

MARKS = {
    ("mark", "en"): {"uncertain": " [unverified]", "unsupported": " [not supported]"},
    ("mark", "zh"): {"uncertain": "［未核实］", "unsupported": "［缺乏依据］"},
    ("hedge", "en"): {"uncertain": " (not certain)", "unsupported": " (doubtful)"},
    ("hedge", "zh"): {"uncertain": "（此处不确定）", "unsupported": "（此处存疑）"},
}
"""What is put after a claim, by action and language, and by the claim's verdict."""

_ABBREVIATED = re.compile(r"(?:\b[A-Za-z]\.)+[A-Za-z]$")
_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Shaped:
    """An answer after what was done to it.

    Attributes
    ----------
    text : str
        What may be shown; empty where nothing is left.
    state : {"whole", "marked", "cut", "nothing left"}
    removed : tuple of CheckedClaim
        What is not in the text, for lack of support or because it went along; spans are of the answer.
    kept : tuple of CheckedClaim
        What is in the text, with ``text``, ``start`` and ``end`` as there: with a mark put in, without a closing comma
        or an opening "and", with a capital. They may be shaped again, as by ``hedge`` after ``cut``.
    """

    text: str
    state: State
    removed: tuple[CheckedClaim, ...]
    kept: tuple[CheckedClaim, ...]


def shape(answer: str, claims: Sequence[CheckedClaim], *, action: Action, keep_at_least: float, language: str, cut_uncertain: bool = False) -> Shaped:
    """Do to an answer what its claims' verdicts ask for.

    Parameters
    ----------
    answer : str
    claims : sequence of CheckedClaim
        With spans of this very answer.
    action : {"mark", "hedge", "cut", "abstain"}
        ``mark`` and ``hedge`` put words after each claim that is not supported, before its closing punctuation. ``cut``
        takes out what is unsupported. ``abstain`` is all or nothing: the answer as it is or, where cutting would leave
        too little, nothing.
    keep_at_least : float
        For ``cut`` and ``abstain``: share of the claims, and of the characters other than white space, that must be
        left, 0 to 1; with less of either, or no claim at all, nothing is shown. Greetings and the like don't count.
    language : str
        Of the answer: ``"zh"`` gets Chinese marks, anything else English ones.
    cut_uncertain : bool
        Also cut what is uncertain. A conformal guarantee holds only so.

    Raises
    ------
    UsageError
        An unknown action, or a share outside of 0 to 1.
    DataError
        A claim whose span does not hold its text.
    """
    if action not in ("mark", "hedge", "cut", "abstain"):
        raise UsageError(f"There is no action {action!r}.", mend="Use mark, hedge, cut or abstain.")
    if not 0 <= keep_at_least <= 1:
        raise UsageError(f"keep_at_least={keep_at_least} is not a share.", mend="Choose one from 0 to 1.")
    for claim in claims:
        if not 0 <= claim.start < claim.end <= len(answer) or answer[claim.start : claim.end].strip() != claim.text.strip():
            raise DataError(f"Characters {claim.start} to {claim.end} of the answer are not the claim that should be there.", mend="Split this very answer.")
    marks = MARKS.get((action, "zh" if language == "zh" else "en"))
    lacking = {"unsupported", "uncertain"} if cut_uncertain or marks else {"unsupported"}
    doomed = {index for index, claim in enumerate(claims) if claim.verdict in lacking and answers_for_itself(claim)}
    if not doomed:
        return Shaped(answer, "whole", (), tuple(claims))
    if marks:
        return _marked(answer, claims, doomed, marks)
    left, edits = Cutting(answer, claims, doomed).run()
    text = edited(answer, edits)
    share = _saying(claims[index] for index in left), _saying(claims)
    if not share[0] or share[0] < keep_at_least * share[1] or _solid(text) < keep_at_least * _solid(answer):
        return Shaped("", "nothing left", tuple(claims), ())
    if action == "abstain":
        return Shaped(answer, "whole", (), tuple(claims))
    kept = _moved(text, edits, [claim for index, claim in enumerate(claims) if index in left])
    return Shaped(text, "cut", tuple(claim for index, claim in enumerate(claims) if index not in left), kept)


def _moved(text: str, edits: Sequence[Edit], claims: Iterable[CheckedClaim]) -> tuple[CheckedClaim, ...]:
    """Claims of the text before the edits, with spans and words of the text after them."""
    starts, ends, shifts = [edit[0] for edit in edits], [edit[1] for edit in edits], [0]
    for start, end, new in edits:
        shifts.append(shifts[-1] + len(new) - (end - start))

    def place(at: int) -> int:
        done = bisect_right(ends, at)
        return min(at, starts[done] if done < len(starts) else at) + shifts[done]

    places = [(claim, place(claim.start), place(claim.end)) for claim in claims]
    return tuple(replace(claim, text=text[start:end].strip(), start=start, end=end) for claim, start, end in places)


def answers_for_itself(claim: CheckedClaim) -> bool:
    """Whether a lack of support may be held against a claim; a label says nothing yet."""
    return claim.kind not in SPARED and not labels(claim.text)


def _marked(answer: str, claims: Sequence[CheckedClaim], doomed: Iterable[int], marks: dict[str, str]) -> Shaped:
    places: dict[int, str] = {}
    for index in sorted(doomed, key=lambda at: claims[at].verdict == "unsupported"):  # the harsher word stands where two claims end
        places[_end_of_words(answer, claims[index])] = marks[claims[index].verdict]
    edits = [(at, at, mark) for at, mark in sorted(places.items())]
    text = edited(answer, edits)
    return Shaped(text, "marked", (), _moved(text, edits, claims))


def _end_of_words(answer: str, claim: CheckedClaim) -> int:
    """Where a mark goes: before the punctuation that closes a claim, after quotes, and inside a table's cell."""
    whole = answer[claim.start : claim.end].rstrip(" \t\r\n|")
    words = whole.rstrip(".,;:!?…。，；：、！？")
    if _ABBREVIATED.search(words[-20:]):
        words = whole[: len(words) + 1]
    return claim.start + len(words or whole)


def _saying(claims: Iterable[CheckedClaim]) -> int:
    """How many claims say anything: greetings and disclaimers don't."""
    return sum(claim.kind != "other" and bool(_WORD.search(claim.text)) for claim in claims)


def _solid(text: str) -> int:
    return sum(not char.isspace() for char in text)
