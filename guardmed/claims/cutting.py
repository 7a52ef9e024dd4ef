"""Takes claims out of an answer with what can't stand without them, and leaves whole lines and sentences.

Works on lines, sentences and clauses; which of these lean on each other is for :mod:`guardmed.claims.grammar`, what
goes along for :mod:`guardmed.claims.outcome` to say. Every pass is linear in the answer, and passes end when one of
them lets go of nothing more.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from typing import Literal

from guardmed.claims import grammar
from guardmed.claims.check import CheckedClaim
from guardmed.text import Span, clauses

Edit = tuple[int, int, str]
"""Characters from, to, and what stands there instead."""

SPARED = frozenset({"advice", "hedged", "question", "other"})
"""Kinds of claims that no lack of support is held against."""

_LETTER = re.compile(r"[^\W_]")
_PAIRS = tuple(tuple(pair) for pair in ("()", "[]", "（）", "【】", "「」", "『』", "“”", "《》"))
_SEMICOLONS, _COLONS = (";", "；"), (":", "：")


@dataclass(slots=True)
class _Part:
    """A claim in its sentence, or words between claims."""

    start: int
    end: int
    claims: list[int]
    gone: bool = False


@dataclass(slots=True)
class _Sentence:
    """A sentence after its list mark.

    ``opening`` is how it begins; ``stays`` whether it sends to a doctor; ``subject`` the earlier sentence that its opening
    pronoun stands for, ``chain`` the first of those that semicolons join it to.
    """

    start: int
    end: int
    parts: list[_Part]
    opening: str
    stays: bool
    subject: int = -1
    chain: int = -1

    @property
    def gone(self) -> bool:
        return all(part.gone for part in self.parts)

    @property
    def touched(self) -> bool:
        return any(part.gone for part in self.parts)


@dataclass(slots=True)
class _Line:
    """A line with its sentences; ``end`` is before the line break, ``depth`` the indentation, or the level of a heading."""

    start: int
    end: int
    kind: Literal["blank", "head", "row", "bullet", "number", "text"]
    depth: int
    held: list[_Sentence]
    dropped: bool = False

    @property
    def gone(self) -> bool:
        return self.dropped or (bool(self.held) and all(sentence.gone for sentence in self.held))

    @property
    def item(self) -> bool:
        return self.kind in ("bullet", "number")


class Cutting:
    """An answer with some claims to take out.

    Parameters
    ----------
    answer : str
    claims : sequence of CheckedClaim
        With spans of this answer.
    doomed : set of int
        Which of them are to go.
    """

    def __init__(self, answer: str, claims: Sequence[CheckedClaim], doomed: set[int]) -> None:
        self.answer, self.claims, self.doomed = answer, claims, doomed
        self.keys = {grammar.letters(claims[index].text) for index in doomed}
        self.lines = list(_lines(answer))
        self.sentences: list[_Sentence] = []
        self.crossing: list[tuple[int, int, int]] = []
        self.wordless: set[int] = set()
        self._read()

    def run(self) -> tuple[set[int], list[Edit]]:
        """Claims that are left, and the edits of the answer that take out the others."""
        changed = True
        while changed:
            changed = False
            for at, sentence in enumerate(self.sentences):
                if self._leans(at):
                    changed |= _let_go([sentence])
            for at in range(len(self.sentences) - 1, 0, -1):
                before = self.sentences[at - 1]
                if not before.stays and self._backs(at):
                    changed |= _let_go([before])
            changed |= self._layout()
        touched = [0]
        for sentence in self.sentences:
            touched.append(touched[-1] + sentence.touched)
        left = {index for sentence in self.sentences for part in sentence.parts if not part.gone for index in part.claims}
        left |= {index for first, last, index in self.crossing if touched[last + 1] == touched[first]}
        return left | self.wordless, self._edits()

    def _read(self) -> None:
        """Put claims into sentences and sentences into lines."""
        spans = [
            found
            for found in grammar.sentence_spans(self.answer, {claim.start for claim in self.claims})
            if _LETTER.search(self.answer, found.start, found.end)
        ]
        starts, ends, line_starts = [found.start for found in spans], [found.end for found in spans], [line.start for line in self.lines]
        inside: list[list[int]] = [[] for _ in spans]
        for index in sorted(range(len(self.claims)), key=lambda at: (self.claims[at].start, self.claims[at].end)):
            first, last = bisect_right(ends, self.claims[index].start), bisect_left(starts, self.claims[index].end) - 1
            if first == last:
                inside[first].append(index)
            elif first < last:
                self.crossing.append((first, last, index))
            else:
                self.wordless.add(index)
        for at, (found, held) in enumerate(zip(spans, inside, strict=True)):
            line = self.lines[bisect_right(line_starts, found.start) - 1]
            mark = None if line.held else grammar.LIST_MARK.match(self.answer, found.start, found.end)
            sentence = self._sentence(mark.end() if mark and mark.end() < found.end else found.start, found.end, held)
            before = self.sentences[-1] if at else None
            joined = before is not None and bool(line.held) and self._text(before).endswith(_SEMICOLONS)
            kind = grammar.pronoun(sentence.opening)
            if before and kind:
                sentence.subject = before.subject if grammar.pronoun(before.opening) == kind else at - 1
            elif line.held and not joined and grammar.continues(self._text(sentence)):
                sentence.subject = at - 1
            sentence.chain = before.chain if before and joined else at
            line.held.append(sentence)
            self.sentences.append(sentence)
        for first, last, index in self.crossing:
            if index in self.doomed:
                _let_go(self.sentences[first : last + 1])
        for sentence in self.sentences:
            self._settle(sentence)

    def _sentence(self, start: int, end: int, held: Sequence[int]) -> _Sentence:
        """A sentence in its parts; claims that overlap are one part, and stand or fall together."""
        parts: list[_Part] = []
        at = start
        for index in held:
            claim = self.claims[index]
            if parts and claim.start < at:
                parts[-1].claims.append(index)
            else:
                if _LETTER.search(self.answer, at, max(claim.start, at)):
                    parts.append(_Part(at, claim.start, []))
                    at = claim.start
                parts.append(_Part(at, at, [index]))
            at = parts[-1].end = max(at, min(claim.end, end))
        if not parts or _LETTER.search(self.answer, at, end):
            parts.append(_Part(at, end, []))
        parts[-1].end = end
        for before, part in pairwise(parts):
            before.end = part.start  # punctuation between two claims closes the first
        for part in parts:
            part.gone = not self.doomed.isdisjoint(part.claims) or (not part.claims and self._repeats(part))
        text = self.answer[start:end]
        return _Sentence(start, end, parts, grammar.opening(text), self._spared(held) and grammar.seeks_care(text))

    def _repeats(self, part: _Part) -> bool:
        """Whether words that no claim covers say again what is cut."""
        keys = [grammar.letters(found.of(self.answer)) for found in clauses(self.answer, Span(part.start, part.end))]
        return any("".join(keys[at : at + count]) in self.keys for count in range(1, 5) for at in range(len(keys)))

    def _spared(self, claims: Iterable[int]) -> bool:
        return all(self.claims[index].kind in SPARED for index in claims)

    def _text(self, part: _Part | _Sentence | _Line) -> str:
        return self.answer[part.start : part.end]

    def _settle(self, sentence: _Sentence) -> None:
        """Decide what of a sentence goes with its doomed clauses."""
        parts = sentence.parts
        if not sentence.touched or sentence.gone:
            return
        first = next(at for at, part in enumerate(parts) if part.gone)
        lost = " ".join(self._text(part) for part in parts if part.gone)
        head = self.answer[sentence.start : parts[first].start]
        clean = grammar.cuts_clean(self._text(sentence), head, lost, self._text(parts[first]))
        for part in parts[first if clean else 0 :]:
            part.gone = part.gone or not clean or not grammar.stays_after_gap(self._text(part))
        last = parts[-1]
        if last.claims and self._spared(last.claims) and grammar.seeks_care(self._text(last)) and not grammar.conditions(lost):
            last.gone = False

    def _leans(self, at: int) -> bool:
        """Whether a sentence can't stand, because what it leans on was cut or cut into."""
        sentence = self.sentences[at]
        if not at or sentence.stays or sentence.gone:
            return False
        if sentence.subject >= 0:
            return self.sentences[sentence.subject].touched
        before = self.sentences[at - 1]
        if not before.touched:
            return False
        # After a semicolon a subject may be missing; the members of a list that a colon opens never have one.
        chain = self.sentences[sentence.chain]
        listed = not chain.gone and any(mark in self._text(chain) for mark in _COLONS)
        if sentence.chain < at and not listed and not grammar.own_subject(sentence.opening):
            return True
        return grammar.leans(sentence.opening, apart=self.answer.count("\n", before.end, sentence.start) > 1)

    def _backs(self, at: int) -> bool:
        """Whether a sentence that was cut leaves the one before it saying too much."""
        sentence, before = self.sentences[at], self._text(self.sentences[at - 1])
        if sentence.gone and (grammar.completes(sentence.opening) or (sentence.chain < at and grammar.limits(self._text(sentence)))):
            return True
        return sentence.touched and grammar.bare_answer(before)

    def _layout(self) -> bool:
        """Let go of lines that hold nothing any more or hung on what went; says whether any did."""
        changed = False
        for at, line in enumerate(self.lines):
            if any(sentence.touched for sentence in line.held) and not line.gone and (line.kind == "row" or not self._balanced(line)):
                changed |= _let_go(line.held)
            if line.kind == "row" and (not at or self.lines[at - 1].kind != "row"):
                changed |= _settle_table([line, *takewhile(lambda other: other.kind == "row", self._after(at))])
        for at in range(len(self.lines) - 1, -1, -1):
            line = self.lines[at]
            if not line.held:
                continue
            lead = self._text(line.held[-1]).rstrip(grammar.CLOSERS).endswith(_COLONS)
            below = [other for other in self._below(at, lead) if other.held]
            if (line.held[-1].gone if lead else line.gone) and line.kind != "head":
                changed |= _let_go(sentence for other in below for sentence in other.held if not sentence.stays)
            elif (lead or line.kind == "head") and below and all(other.gone for other in below):
                changed |= _let_go(line.held[-1:] if lead else line.held)
            elif lead and grammar.excepts(self._text(line.held[-1])) and any(sentence.touched for other in below for sentence in other.held):
                changed |= _let_go(line.held[-1:])
        return changed

    def _below(self, at: int, lead: bool) -> Iterator[_Line]:
        """Lines that hang on one: the section of a heading, what is nested in an item, what a lead-in leads in."""
        line = self.lines[at]
        first = next((other for other in self._after(at) if other.kind != "blank"), line) if lead else line

        def hangs(other: _Line) -> bool:
            if line.kind == "head":
                return other.kind != "head" or other.depth > line.depth
            if other.kind in ("blank", "head"):
                return other.kind == "blank"
            if line.item:
                return other.depth > line.depth or (lead and first.item and other.kind == first.kind != line.kind and other.depth == line.depth)
            if first.kind == "text":
                return other is first
            return first is not line and (other.kind == first.kind or other.depth > first.depth)

        return takewhile(hangs, self._after(at))

    def _after(self, at: int) -> Iterator[_Line]:
        return (self.lines[other] for other in range(at + 1, len(self.lines)))

    def _balanced(self, line: _Line) -> bool:
        """Whether what is cut of a line takes no bracket or quote without its other half."""
        old = self._text(line)
        new = edited(old, [(edit[0] - line.start, edit[1] - line.start, edit[2]) for edit in self._line(line)])
        pairs = all(new.count(a) - new.count(b) == old.count(a) - old.count(b) for a, b in _PAIRS)
        return pairs and all((new.count(mark) - old.count(mark)) % 2 == 0 for mark in ('"', "**", "`"))

    def _edits(self) -> list[Edit]:
        """What to replace in the answer, in order, without overlaps."""
        edits: list[Edit] = []
        gap, apart, last = False, True, None
        for line in self.lines:
            if line.gone or (line.kind == "blank" and gap and apart):
                gap = True
                edits.append((line.start, min(line.end + 1, len(self.answer)), ""))
                end = self._text(line)[-1:]
                if line.item and end in ".。" and last and last.item and not last.held[-1].gone and self._text(last).endswith(_SEMICOLONS):
                    edits.append((last.end - 1, last.end, end))  # the last of a list closes it
                    last = replace(last, kind="text")
                continue
            edits += self._line(line)
            gap, apart = False, line.kind == "blank"
            last = last if apart else line
        if gap:  # the last lines went, and the line breaks before them
            kept = last.end if last else 0
            edits = [edit for edit in edits if edit[1] <= kept]
            edits.append((kept, max(kept, len(self.answer.rstrip())), ""))
        return sorted(edits)

    def _line(self, line: _Line) -> list[Edit]:
        """Edits of a line that stays, in order."""
        edits: list[Edit] = []
        held, at = line.held, 0
        while at < len(held):
            first, before = held[at], held[at - 1] if at else None
            if not first.gone:
                edits += self._clauses(first)
                at += 1
                continue
            while at < len(held) and held[at].gone:
                at += 1
            end, after = self._text(held[at - 1])[-1], held[at] if at < len(held) else None
            hangs = before is not None and self._text(before).endswith(_SEMICOLONS)
            if before and hangs and not (after and end in _SEMICOLONS):
                edits.append((before.end - 1, before.end, end if end in grammar.ENDS else ""))
            edits.append((first.start, after.start, "") if after else (before.end if before else first.start, held[at - 1].end, ""))
            if after and not hangs and end in _SEMICOLONS and not after.parts[0].gone:
                edits += grammar.capital(self.answer, after.start)
        return edits

    def _clauses(self, sentence: _Sentence) -> Iterator[Edit]:
        """Edits of a sentence that loses some of its clauses."""
        parts, at = sentence.parts, 0
        while at < len(parts):
            first = at
            while at < len(parts) and parts[at].gone:
                at += 1
            if first == at:
                at += 1
            elif at == len(parts):
                head, text = self.answer[sentence.start : parts[first].start].rstrip(" \t,;:，；：、"), self._text(sentence).rstrip(grammar.CLOSERS)
                mark = len(text.rstrip(grammar.ENDS))
                yield sentence.start + len(head), sentence.start + mark if mark < len(text) else sentence.end, ""
            elif first:
                yield parts[first].start, parts[at].start, ""
            else:
                begin = parts[at].start + grammar.joint(self._text(parts[at]))
                yield sentence.start, begin, ""
                yield from grammar.capital(self.answer, begin)


def edited(text: str, edits: Sequence[Edit]) -> str:
    """A text after edits that are in order and don't overlap."""
    out, at = [], 0
    for start, end, new in edits:
        out += [text[at:start], new]
        at = end
    return "".join([*out, text[at:]])


def _let_go(found: Iterable[_Sentence]) -> bool:
    """Let go of sentences; says whether any was still there."""
    new = False
    for sentence in found:
        new |= not sentence.gone
        for part in sentence.parts:
            part.gone = True
    return new


def _settle_table(rows: list[_Line]) -> bool:
    """A table goes with its header, and with its last row."""
    headed = len(rows) > 1 and bool(rows[0].held) and not rows[1].held
    body = [row for row in rows[1:] if row.held]
    if not headed or not (rows[0].gone or (body and all(row.gone for row in body))):
        return False
    for row in rows:
        row.dropped = True
    return _let_go(sentence for row in rows for sentence in row.held)


def _lines(answer: str) -> Iterator[_Line]:
    at = 0
    for text in answer.split("\n"):
        bare = text.strip()
        wide = text.expandtabs(4)
        line = _Line(at, at + len(text), "text", len(wide) - len(wide.lstrip()), [])
        if not bare:
            line.kind = "blank"
        elif bare.startswith("#") or (bare.startswith("**") and bare.rstrip(":：").endswith("**") and bare.count("**") == 2):
            line.kind, line.depth = "head", len(bare) - len(bare.lstrip("#")) or 7
        elif bare.startswith("|") and bare.count("|") > 1:
            line.kind = "row"
        elif grammar.LIST_MARK.match(bare):
            line.kind = "number" if grammar.NUMBERED.match(bare) else "bullet"
        yield line
        at += len(text) + 1
