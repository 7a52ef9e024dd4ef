"""From an answer to the claims in it.

First the layout is read, line by line: headings, lists and what leads into them, tables, fences.
Then each line is split into sentences, and each sentence into the clauses that can stand alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from guardmed.claims.clauses import Frame, stands
from guardmed.claims.courtesies import refers
from guardmed.claims.kinds import ClaimKind, claim_kind
from guardmed.text import Span, language, sentences

# The longest lead, in characters.
_LEAD = 160
# So many items above an item belong to its lead.
_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """A part of an answer that says one thing.

    Attributes
    ----------
    text : str
        As it stands in the answer, Markdown marks inside it and all.
    span : Span
        In the answer; ``span.of(answer) == text``.
    kind : {"fact", "hedged", "question", "advice", "other"}
        See :func:`guardmed.claims.kinds.claim_kind`.
    lead : str
        What it hangs from, without which an item of a list may say nothing: the line that leads
        into the list ("Side effects include"), the items above it, the heading; of a row of a
        table the head of the table, its cells joined by " | ".
    """

    text: str
    span: Span
    kind: ClaimKind = "fact"
    lead: str = ""

    @property
    def statement(self) -> str:
        """The claim to be read by itself: after its lead, without Markdown marks; a row as "head: cell; head: cell"."""
        said = _plain(self.text)
        heads, cells = (_PIPE.split(part) for part in (self.lead, said))
        if len(heads) == len(cells) > 1:
            return "; ".join(f"{head.strip()}: {cell.strip()}" for head, cell in zip(heads, cells, strict=True) if cell.strip())
        return f"{self.lead}{'：' if language(self.lead) == 'zh' else ': '}{said}" if self.lead else said


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of an answer, or a row of a table, with what it hangs from."""

    span: Span
    lead: str
    form: str  # "text", "item", "row" or "title"


def split_claims(answer: str, *, question: str = "") -> list[Claim]:
    """Sentences, then their clauses where each is long enough to stand alone.

    Left out are questions and what is of kind ``"other"``, for they assert nothing; headings and
    the lines that lead into lists (they are the ``lead`` of what follows), unless a heading makes
    a statement; the heads of tables; entries of lists of references; code between fences; what the
    question has stated already, sentence for sentence; and what repeats earlier words of the
    answer under the same lead. List marks are not part of a claim, nor are the outer pipes of a
    table's row.

    A clause is split off at a comma, a semicolon or a conjunction where it and what is before it
    both have a predicate and four words or more (one Chinese character is two thirds of a word).
    Kept whole are: brackets and quotes up to 400 characters; what hangs from a condition, a
    reason, *that* or *which*; alternatives (*or*); a dose and the drug before it. An answer that
    has nothing but headings is read as if they were sentences.

    Parameters
    ----------
    answer : str
        With or without Markdown, in English or Chinese.
    question : str, optional
        What was asked.

    Returns
    -------
    list of Claim
        In the order of the answer; no two overlap. Kinds are ``"fact"``, ``"hedged"`` and
        ``"advice"``. A bare item of a list that leads in with a doubt or an advice ("It may
        cause:") is of that kind.
    """
    lines = list(_layout(answer))
    asked = {_key(span.of(question)) for span in sentences(question) if claim_kind(span.of(question)) != "question"}
    claims = _claims(answer, lines, asked)
    return claims or _claims(answer, [_Line(line.span, "", "text") for line in lines if line.form == "title"], asked)


def _claims(answer: str, lines: list[_Line], asked: set[str]) -> list[Claim]:
    claims: list[Claim] = []
    seen: set[tuple[str, str]] = set()
    for line in lines:
        text = line.span.of(answer)
        if refers(text):
            continue
        for piece, lead in _pieces(text, line):
            said = piece.of(text)
            key = (_key(lead), _key(said))
            if not key[1] or (key[1].isdigit() and "[" in said) or key[1] in asked or key in seen:
                continue
            kind = _kind(said, lead) if line.form == "item" and lead else claim_kind(said)
            if kind not in ("question", "other") and (line.form != "title" or stands(said)):
                seen.add(key)
                claims.append(Claim(said, Span(line.span.start + piece.start, line.span.start + piece.end), kind, lead))
    return claims


# --- pieces -----------------------------------------------------------------------------------

_BECAUSE = re.compile(r"[,，]?\s*(?:\bbecause\b|因为|由于)[^,，]{0,160}[:：][\s*_`]*$", re.IGNORECASE)
_ENDS = tuple(";；。.:：,，")
_INLINE = re.compile(
    r"(?P<circled>[①-⑳])|(?P<bullet>[•●])[ ]|(?:(?<=[:：;；,，。.!！ ])|^)[(（]?(?P<number>\d{1,2})[)）](?!\d)"
    r"|(?:(?<=[:：;；。])|(?<=[:：;；。] ))(?P<pointed>\d{1,2})[、.．](?=[ ]?\D)"
)


def _pieces(text: str, line: _Line) -> Iterator[tuple[Span, str]]:
    """The clauses of a line, each with its lead."""
    if line.form == "row":
        yield Span(0, len(text)), line.lead
        return
    frame = Frame(text)
    for part, lead in _parts(frame, line):
        label = _LABEL.match(text, part.start, part.end) if line.form == "item" or lead != line.lead else None
        for number, sentence in enumerate(frame.sentences(part)):
            clauses = frame.clauses(frame.told(sentence))
            if _COLON.search(sentence.of(text)) and line.form != "title" and not text[sentence.end : part.end].strip():
                # "It is not for him, because of the following:" says something before it leads in.
                last = clauses.pop()
                reason = _BECAUSE.search(text, last.start, last.end)
                if reason and stands(text[last.start : reason.start()]):
                    clauses.append(Span(last.start, reason.start()))
            for clause in clauses:
                trimmed = _trimmed(text, clause)
                if trimmed is not None:
                    yield trimmed, _joined(lead, _plain(label[1])) if number and label else lead


def _parts(frame: Frame, line: _Line) -> Iterator[tuple[Span, str]]:
    """A line, or what stands before a list inside it ("(1) ...; (2) ...") and the items of that list."""
    text = frame.text
    places = [match for match in _INLINE.finditer(text) if not frame.inside(match.start())]
    marks = _counted(places, 1)
    if len(marks) < 2:
        # The layout has taken the first mark of an item away; what follows is a list only where a clause has ended.
        marks = (
            _counted([match for match in places if text[max(0, match.start() - 2) : match.start()].rstrip().endswith(_ENDS) or match["bullet"]], 2)
            if line.form == "item"
            else []
        )
    if not marks:
        yield Span(0, len(text)), line.lead
        return
    head = Span(0, marks[0].start())
    led = _lead_of(head.of(text)) if _COLON.search(head.of(text)) else ""
    yield head, line.lead
    for match, end in zip(marks, [*(later.start() for later in marks[1:]), len(text)], strict=True):
        yield Span(match.end(), end), _joined(line.lead, led)


def _counted(places: list[re.Match[str]], first: int) -> list[re.Match[str]]:
    """The marks that count on from a number, bullets apart."""
    marks: list[re.Match[str]] = []
    for match in places:
        number = ord(match["circled"]) - 0x245F if match["circled"] else int(match["number"] or match["pointed"] or first + len(marks))
        if number == first + len(marks):
            marks.append(match)
    return marks


def _trimmed(text: str, span: Span) -> Span | None:
    """Without white space, a list mark, and marks of emphasis that nothing in it answers."""
    found = _stripped(text, span.start, span.end)
    mark = _ITEM.match(text, found.start, found.end) if found else None
    found = _stripped(text, mark.end(), found.end) if found and mark else found
    if found and _DASH.search(text[max(found.start, found.end - 2) : found.end]):
        found = _stripped(text, found.start, found.end - 1, "—")
    while found is not None:
        said = found.of(text)
        opening, closing = _EMPHASIS_BEFORE.match(said), _EMPHASIS_AFTER.search(said)
        sign = opening or closing
        if sign is None:
            break
        count = said.count(sign.group())
        if opening and closing and opening.group() == closing.group() and count == 2:
            found = _stripped(text, found.start + opening.end(), found.start + closing.start())
        elif opening and count % 2:
            found = _stripped(text, found.start + opening.end(), found.end)
        elif closing and said.count(closing.group()) % 2:
            found = _stripped(text, found.start, found.start + closing.start())
        else:
            break
    return found if found and re.search(r"\w", found.of(text)) else None


def _kind(said: str, lead: str) -> ClaimKind:
    """The kind of an item of a list: "nausea" under "It may cause" is no firmer than that."""
    led = lead.rsplit(": ", 1)[-1]
    if _GOES_ON.search(led):
        # "It can:" and "Increase the risk" are one sentence, and the second no order.
        return claim_kind(f"{led} {said}")
    kind = claim_kind(said)
    if kind == "fact" and not stands(said, words=1):
        inherited = claim_kind(f"{led}, {said}")
        return inherited if inherited in ("hedged", "advice") else kind
    return kind


# --- layout -----------------------------------------------------------------------------------

_BREAK = re.compile(r"\r\n|[\n\r\u2028\u2029\x0b\x0c\x85]")
_QUOTED = re.compile(r"(?:[ \t]*>)+[ \t]?")
_FENCE = re.compile(r"[ \t]*(```+|~~~+)([^`]*)$")
_HEADING = re.compile(r"[ \t]*#{1,6}(?!\d)[ \t]*(?=\S)")
_ITEM = re.compile(
    r"[ \t\u3000]*(?:(?:[-+*–—][ \t]+|[•●○▪◦‣·][ \t]*|[(（]\d{1,2}[)）]|\d{1,2}[)）、](?!\d)|\d{1,2}[.．](?!\d)|[(（][a-zA-Z一二三四五六七八九十]{1,3}[)）]"
    r"|[a-zA-Z][)）]|[一二三四五六七八九十]{1,3}[、.．](?![一二三四五六七八九十])"
    r"|[①-⑳❶-❿]|[ivx]{1,4}[.)](?=[ \t])|[a-z]\.(?=[ \t])|[A-HJ-Z]\.(?=[ \t]+[A-Z一-鿿*]))[ \t\u3000]*(?:\[[ xX]\][ \t]+)?){1,3}"
)  # fmt: skip
_RULED = frozenset("-*_= \t")
_TABLE_RULE = frozenset("|｜-:+ \t")
_GOES_ON = re.compile(r"\b(?:can|could|may|might|will|would|should|must|to|not|is|are|be|by|you|who|that|if|when|helps?)$|[能会可应需要若果]$", re.IGNORECASE)
_PIPE = re.compile(r"(?<!\\)[|｜]")
_BOLD = re.compile(r"(\*\*|__)(?=\S)([^*\n]{1,160}?)[:：]?\1[:：]?\s*$")
_COLON = re.compile(r"[:：][\s*_`]*$")
_DASH = re.compile(r"(?:\s[-–—]|——)$")
_EMPHASIS_BEFORE = re.compile(r"\*{1,3}|_{1,3}|`+")
_EMPHASIS_AFTER = re.compile(r"(?:\*{1,3}|_{1,3}|`+)$")
_WRAPPED = re.compile(r"[^\s.!?。！？:：;；|>*_]$")
_MARKS = re.compile(r"\*{1,3}|(?<!\w)_{1,3}|_{1,3}(?!\w)|`+|^#{1,6} ")
_LABEL = re.compile(r"[*_]*([^:：。.!?！？；;，,]{1,60}?)[*_]*[:：][*_]*\s*\S")


def _layout(answer: str) -> Iterator[_Line]:
    """Lines that may hold claims, each with its lead; wrapped lines are joined."""
    bounds = _bounds(answer)
    closing = _closing_fences(answer, bounds)
    above = _Above()
    index = -1
    while (index := index + 1) < len(bounds):
        start, end = bounds[index]
        quoted = _QUOTED.match(answer, start, end)
        start = quoted.end() if quoted else start
        text = answer[start:end].strip()
        if index in closing:
            index = closing[index]
        elif not text or _is_ruled(text):
            above.blank, above.heads = True, ""
        elif _PIPE.search(text) and (_is_rule(text) or (index + 1 < len(bounds) and _is_rule(answer[slice(*bounds[index + 1])]))):
            above.heads = above.heads if _is_rule(text) else " | ".join(_plain(cell) for cell in _cells(text))
        elif (row := _row(answer, start, end, above.heads)) is not None:
            yield _Line(row, above.heads, "row")
        else:
            heading = _HEADING.match(answer, start, end)
            mark = None if heading else _ITEM.match(answer, start, end)
            at = heading.end() if heading else mark.end() if mark else start
            while index + 1 < len(bounds) and not heading and _is_wrapped(answer, at, end, *bounds[index + 1]):
                index += 1
                end = bounds[index][1]
            span = _stripped(answer, at, end, "|｜" if text[0] in "|｜" else "")
            if span is not None:
                indent = mark.group().expandtabs(4) if mark else None
                yield from above.hung(answer, span, heading=heading is not None, indent=None if indent is None else len(indent) - len(indent.lstrip()))


class _Above:
    """What stands above a line: heading, line that leads in, items of the lists it lies in, head of the table."""

    def __init__(self) -> None:
        self.title = self.led = self.heads = ""
        self.items: list[tuple[int, str]] = []
        self.former: list[tuple[str, int]] = []
        self.depth = -1
        self.blank = True

    def hung(self, answer: str, span: Span, *, heading: bool, indent: int | None) -> Iterator[_Line]:
        """A line with its lead; ``indent`` is that of an item of a list, and None for any other line."""
        said = span.of(answer)
        leads_in = _COLON.search(said) is not None
        if heading or (indent is None and _BOLD.match(said)):
            self.title, self.led, self.items, self.former, self.depth = _plain(said).rstrip(":："), "", [], [], -1
            if not leads_in:
                yield _Line(span, "", "title")
        elif indent is not None:
            self.items = [one for one in self.items if one[0] < indent]
            while indent < self.depth and self.former:
                self.led, self.depth = self.former.pop()
            self.depth = indent if self.depth < 0 else self.depth
            yield _Line(span, _joined(self.led or self.title, *(lead for _, lead in self.items[-_DEPTH:])), "item")
            self.items.append((indent, _lead_of(said)))
        else:
            if self.blank:
                self.led, self.former, self.depth = "", [], -1
            yield _Line(span, "" if self.items else self.led, "text")
            if leads_in:
                # A line between items may lead into a list deeper than theirs.
                self.former = [*self.former, (self.led, self.depth)] if self.items else []
                self.led, self.depth = _lead_of(said), -1
            self.items = []
        self.blank = False


def _bounds(answer: str) -> list[tuple[int, int]]:
    bounds, start = [], 0
    for match in _BREAK.finditer(answer):
        bounds.append((start, match.start()))
        start = match.end()
    return [*bounds, (start, len(answer))]


def _closing_fences(answer: str, bounds: list[tuple[int, int]]) -> dict[int, int]:
    """Of each line that opens a fence the line that closes it; a fence that nothing closes is no fence."""
    fences = [(index, match[1], match[2].strip()) for index, (start, end) in enumerate(bounds) if (match := _FENCE.match(answer, start, end))]
    last = {mark[0]: index for index, mark, info in fences if not info}
    pairs: dict[int, int] = {}
    opened: tuple[int, str] | None = None
    for index, mark, info in fences:
        if opened is None:
            opened = (index, mark) if last.get(mark[0], -1) > index else None
        elif not info and mark.startswith(opened[1]):
            pairs[opened[0]] = index
            opened = None
    return pairs


def _is_rule(text: str) -> bool:
    return "-" in text and set(text) <= _TABLE_RULE and _PIPE.search(text) is not None


def _cells(text: str) -> list[str]:
    cells = [cell.strip() for cell in _PIPE.split(text.strip())]
    return cells[(not cells[0]) : len(cells) - (not cells[-1])]


def _row(answer: str, start: int, end: int, heads: str) -> Span | None:
    """A row of a table from its first cell to its last; nothing where only one cell is filled."""
    span = _stripped(answer, start, end, "|｜ \t")
    if span is None or (not heads and answer[start:end].lstrip()[0] not in "|｜"):
        return None
    return span if sum(bool(cell) for cell in _cells(span.of(answer))) > 1 else None


def _is_wrapped(answer: str, start: int, end: int, below: int, stop: int) -> bool:
    """Whether a line goes on below: it is long, no mark ends it, and a small letter follows."""
    follows = answer[below:stop].lstrip()
    return end - start >= 50 and follows[:1].islower() and _WRAPPED.search(answer[end - 1 : end]) is not None and not _ITEM.match(answer, below, stop)


def _lead_of(said: str) -> str:
    """The last sentence of a line, as the lead of what follows."""
    last = re.split(r"(?<=[.!?])\s|[。！？；]", said[-_LEAD * 2 :].strip())[-1]
    return _plain(last)[-_LEAD:].rstrip(":：,，;；. ")


def _is_ruled(text: str) -> bool:
    return len(text) > 2 and set(text) <= _RULED and len(set(text) - {" ", "\t"}) == 1


def _joined(*leads: str) -> str:
    return ": ".join(lead for lead in leads if lead)


def _key(text: str) -> str:
    return re.sub(r"\W+", "", text.lower())


def _plain(text: str) -> str:
    return " ".join(_MARKS.sub("", text).split())


def _stripped(text: str, start: int, end: int, also: str = "") -> Span | None:
    while start < end and (text[start].isspace() or text[start] in also):
        start += 1
    while end > start and (text[end - 1].isspace() or text[end - 1] in also):
        end -= 1
    return Span(start, end) if start < end else None
