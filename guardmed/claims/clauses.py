"""Sentences and the clauses in them that can stand alone, for claims.

Unlike :func:`guardmed.text.clauses`, which cuts wherever a mark or a conjunction allows, a clause
is cut off here only where it and what is before it can each be read alone. The rules are
GuardMed's own; they look at words, no further than a window around a place, so that the time is
linear in the length of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator

from guardmed.claims.kinds import orders
from guardmed.claims.lexicon import holds_dose, names_drug
from guardmed.text import Span, language, sentences

# A clause shorter than this says nothing that can be checked without its neighbour.
_MIN_WORDS = 4
# So many characters are looked at on each side of a place, and so long may a bracket be.
_WINDOW = 240
_BRACKETED = 400

_CLOSERS = {")": "(", "）": "(", "]": "[", "】": "【", "」": "「", "』": "『", "》": "《", "〉": "〈", "”": "“"}
_ENCLOSING = re.compile(r"[()（）\[\]【】「」『』《》〈〉“”\"]")
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s，。；、）】」》”<>\"]+|\b(?:doi: ?)?10\.\d{4,9}/[^\s，。；、）】]+|`[^`\n]{1,200}`", re.IGNORECASE)
_QUESTION = re.compile(r"[?？][\s\"'”’)）】」』*_]*$")
_SEMICOLON = re.compile("[;；]")
_WORD = re.compile(r"[A-Za-z0-9%.]+|[一-鿿]")
_CUT = re.compile(
    r"(?P<semicolon>[;；]\s*)|(?P<comma>[,，]\s*(?=(?:and|but|yet|so|while|whereas|although|though|however|nevertheless|moreover)\b(?!,? (?:as|that|far)\b)))"
    r"|(?P<splice>(?:[,，]|\s[-–—])\s+(?=(?:it|they|this|these|you|he|she|there)\s))|(?P<bare>\s(?=(?:and|but|whereas)\s))"
    r"|(?P<chinese>[,，](?!\d{3}(?!\d))\s*|——)",
    re.IGNORECASE,
)


# "Dosage: ..." says what follows is about, and is no part of its first clause.
_LABEL = re.compile(r"[*_]*[^:：，,;；。.!?]{1,60}[:：][*_]*(?=\s*\S)")


def _listed(words: str) -> list[str]:
    return words.split()


# --- English ----------------------------------------------------------------------------------

_VERBS = frozenset(
    _listed(
        "absorb act affect aggravate aid allow appear apply assist become begin belong bind block break bring carry cause combine come comprise consist"
        " contain contribute cost cross cure"
        " decline decrease deliver depend develop differ dilate disrupt dissolve enable encourage enhance enter exceed excrete exist explain fail fall"
        " feel follow function get give go happen heal"
        " help hinder impair improve include increase indicate induce influence inhibit interact interfere involve irritate keep lack lead lie limit"
        " look lose lower maintain make mean metabolise"
        " metabolize need occur offer originate persist play prevent produce progress prolong promote protect prove provide raise range reach recommend"
        " recover reduce refer relax relieve rely"
        " remain remove replace represent require respond result return reverse rise seem serve shorten show slow speed spread start stay stimulate"
        " stop suggest support suppress take tend thin"
        " treat trigger undergo use vary weaken widen work worsen"
    )
)
_AUXILIARY = frozenset(
    _listed(
        "is are was were has have had does do did can cannot could may might must should will would shall isn't aren't wasn't weren't hasn't haven't hadn't"
        " doesn't don't didn't can't couldn't"
        " mustn't shouldn't won't wouldn't became began came felt found gave got led lost made rose said saw showed took went grew fell"
    )
)
_CONTRACTED = frozenset(_listed("it's that's there's he's she's they're you're we're it'll you'll they'll i'm"))
_PLURALS = frozenset(_listed("these those both most many people patients children men women they you we i"))
_BETWEEN = frozenset(_listed("also often usually generally typically"))


def _third(verb: str) -> str:
    if verb[-1] == "y" and verb[-2] not in "aeou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "o")) else "s")


_THIRD = frozenset(_third(verb) for verb in _VERBS)
_TOKEN = re.compile(r"[\w'’]+")
# "The causes of", "increases in" are nouns.
_NOUN = re.compile(r" (?:of|and|or|is|are|was|can|may|include|for)\b|[,.;:)]", re.IGNORECASE)
_IN = re.compile(r" in\b", re.IGNORECASE)
_BEGINS = (
    r"(?:(?:and|but|yet|so|while|whereas|although|though|however|moreover|nevertheless)[, ]+)?"
    r"(?:(?:also|then|therefore|thus|hence|please|always|often|sometimes|\w+ly),? ){0,2}"
)
_BEGINNING = re.compile(_BEGINS, re.IGNORECASE)
_FORBIDS = re.compile(rf"{_BEGINS}(?:do not|don't|never|avoid)\b", re.IGNORECASE)
_PERSON_FIRST = re.compile(rf"{_BEGINS}(?:it|they|this|these|you|he|she|there|we|i|patients|people|your|its)\b", re.IGNORECASE)
_HANGS = re.compile(
    rf"{_BEGINS}(?:if|unless|when|whenever|where|because|since|as|until|once|before|after|in case|provided|so that|that|which|who|whose|even if"
    rf"|even when|what|how|why|whether|to|for example|such as"
    r"|including|especially|particularly)\b",
    re.IGNORECASE,
)
_CONCEDES = re.compile(r"(?:although|though|while|whereas|despite|in spite)\b", re.IGNORECASE)
_INNER = re.compile(
    r"\b(?:that|which|who|whose|whom|because|if|unless|when|where|whether|since|until|as long as|so that|in case|how|what|why|such as|including)\b",
    re.IGNORECASE,
)
_CONDITIONAL = re.compile(
    r"(?:and |but |so |however, |also, )?(?:if|unless|when|whenever|in case|provided|until|once|should you|before|after|during|while|in (?:patients"
    r"|people|children|adults|women|men|those|pregnancy))\b",
    re.IGNORECASE,
)
_CONDITIONED = re.compile(r"\b(?:if|unless|when|in case|provided|until|while|before|after|during)\b", re.IGNORECASE)
_TURNS = re.compile(r"(?:but|yet|whereas|although|though|however|nevertheless)\b", re.IGNORECASE)
# In the last stretch before a comma: the comma ends what hangs from it.
_OPEN = re.compile(r"\b(?:if|when|whenever|while|although|though|because|since|after|before|once|unless|as|until)\b[^,]*,?\s*$", re.IGNORECASE)
_PAIRED = re.compile(r"\bnot (?:only|just|merely)\b", re.IGNORECASE)
_LATER = re.compile(r"[,;]\s+(?:and|but|or|yet|so|while|whereas|although|though)\b", re.IGNORECASE)
_REPORTS = re.compile(r"\b(?:that|whether)\b", re.IGNORECASE)

# --- Chinese ----------------------------------------------------------------------------------

_PREDICATE_ZH = re.compile(
    "是|为|有|可|能|会|应|需|须|必|不(?!适(?![合用宜])|良|全|安|足|等|仅|但|同|孕|稳|振|畅|规|均)|无(?!力|痰|汗)|没|未|禁|忌|慎|避免|建议|用于|适用|服用|口服|使用|引起"
    "|导致|造成|降低|升高|增加|减少|治疗|缓解|抑制|促进"
    "|属|包括|含|使|发生|出现|表现|作用|请|勿|通过|达到|保持|影响|取决|来自|位于|分为|称|指|表示|说明|提示|常见|多见|好发|起效|代谢|排泄|吸收|传播|改善"
    "|预防|控制|占|高于|低于|超过|大于|小于"
)  # fmt: skip
_LINK_ZH = r"(?:但是?|不过|然而|而且|并且|同时|另外|此外|因此|所以)?[，,]?"
# What goes on from the clause before: a reason, a result, an example, a dose, a verb without a subject.
_HANGS_ZH = re.compile(
    f"{_LINK_ZH}(?:因为|由于|从而|以便|以免|以防|以致|以[降减提增改避促保缓控确]|例如|比如|譬如|如(?!果)|包括|尤其|特别是|其中|否则|这样|那么|则|就|才"
    "|便(?!秘|血)|即(?!使)|也就是|导致|引起|造成|使"
    "|致(?!病|癌|死|命|畸)|进而|直至|直到|而后|然后|再(?!次)|或|及|和|与|等|每|[一1]日|一天|日服|饭[前后]|餐[前后]|睡前|早[上晚]|晚上|连[用服续]|疗程"
    r"|最[多大高低少]|不得?超过|总量|剂量|必要时|约|至少|\d"
    "|促使?|使得|让|来|(?:可以?|应该?|需要?)?[改换]用|增加|降低|减少|提高|缓解|促进|改善|预防|防止|加重|减轻|抑制|帮助|保护|维持|影响|达到|诱发|进一步|甚至"
    "|直接|间接|有助于|有利于|旨在|也称|又称|简称|后者|前者)"
)  # fmt: skip
# What needs the clause after it.
_OPENS_ZH = re.compile(
    f"{_LINK_ZH}(?:虽|尽管|即[使便]|由于|因(?!此)|为了|对于|随着|根据|按照|除了?|作为|关于|至于|通过|经过|与[^，,]{{1,30}}相比|如果|若|假如|倘若|要是|一旦"
    "|只要|只有|无论|不管|不论|除非|与其|不[仅但只光]|一般来说"
    "|一般情况下|通常情况下|例如|比如|此外|另外|同时|因此|总之|首先|其次|最后|请?注意|[需值][要得]注意的是|(?:一些|有|多项)?研究(?:表明|发现|显示)"
    "|[在对从当于][^，,]{1,40}(?:[时后前中上下内者人]|来说|而言|期间|人群|的话|方面)[，,])"
)  # fmt: skip
# What all that follows hangs from, up to a turn.
_CONDITION_ZH = re.compile(
    f"{_LINK_ZH}(?:一般)?(?:如果?(?!下|上|何)|若|假如|倘若|要是|一旦|只要|只有|无论|不管|不论|除非|当|凡|[^，,。；]{{0,30}}(?:时|期间|的话|情况下|之[前后]"
    "|以[前后]|患者|人群|者)[，,])"
)
_TURNS_ZH = re.compile(r"但|不过|然而|而[对在是]|另外|此外|同时|相反")
_PAIRED_ZH = re.compile(r"不[仅但只光]|除了|既|一方面|与其|虽|尽管|即使")
_REASON_ZH = re.compile(r"(?:因为|由于)[^，,]*[，,]\s*$")
_RESULT_ZH = re.compile(r"所以|因此|故|就")
_COMMA = re.compile(r"[,，]")
_PAIRS_ZH = re.compile(r"而且|并且|还|也|更|但|却|仍|又|另一方面|不如")


class Frame:
    """A text with what must not be cut in it.

    Parameters
    ----------
    text : str
        Usually one line.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._zones = _zones(text)
        self._starts = [zone.start for zone in self._zones]

    def inside(self, at: int) -> bool:
        """Whether a place lies within brackets, quotes, an address or code."""
        index = bisect_left(self._starts, at) - 1
        return index >= 0 and at < self._zones[index].end

    def sentences(self, part: Span) -> list[Span]:
        """Sentences of a part; those that a bracket, a quote or a semicolon joins are one."""
        out: list[Span] = []
        for found in sentences(part.of(self.text)):
            span = Span(part.start + found.start, part.start + found.end)
            if out and self._goes_on(out[-1], span):
                out[-1] = Span(out[-1].start, span.end)
            else:
                out.append(span)
        return out

    def told(self, sentence: Span) -> Span:
        """What a sentence tells before it asks: "Fever is harmless; is that clear?"; nothing, if it only asks."""
        said = sentence.of(self.text)
        if not _QUESTION.search(said):
            return sentence
        ends = [match.end() for match in _SEMICOLON.finditer(said) if not self.inside(sentence.start + match.start())]
        return Span(sentence.start, sentence.start + ends[-1] if ends else sentence.start)

    def clauses(self, sentence: Span) -> list[Span]:
        """The clauses of a sentence, each long and whole enough to stand alone; together they are the sentence."""
        text = self.text
        parts = _parts_zh if language(sentence.of(text)) == "zh" else _parts_en
        out: list[Span] = []
        start = sentence.start
        for match in _CUT.finditer(text, sentence.start, sentence.end):
            cut = match.end()
            if start < cut < sentence.end and not self.inside(match.start()):
                before, after = text[start : min(cut, start + _WINDOW)], text[cut : min(sentence.end, cut + _WINDOW)]
                if parts(before, after, match.lastgroup or ""):
                    out.append(Span(start, cut))
                    start = cut
        out.append(Span(start, sentence.end))
        return out

    def _goes_on(self, before: Span, span: Span) -> bool:
        last, first = self.text[before.end - 1], self.text[span.start]
        gap = self.text[before.end : span.start]
        if last in ";；" or self.inside(before.end) or ("\n" in gap and last not in ".!?。！？"):
            return True
        if last in "”’\"')）】」』…" or self.text.endswith("..", 0, before.end):
            return first.islower() or first in "的这是说等并，、"
        return False


def stands(text: str, *, words: int = _MIN_WORDS) -> bool:
    """Whether a piece of a sentence has a predicate of its own, and so many words.

    One Chinese character is about two thirds of a word. Only its first 240 characters are read.
    """
    piece = text[:_WINDOW]
    return _words(piece) >= words and (_stands_zh(piece) if language(piece) == "zh" else _stands_en(piece))


def _zones(text: str) -> list[Span]:
    """Brackets, quotes, addresses and code, outermost only, in order."""
    found = [Span(match.start(), match.start() + len(match.group().rstrip(".,;:!?"))) for match in _ADDRESS.finditer(text)]
    opened: list[tuple[str, int]] = []
    waiting: dict[str, int] = {}
    for match in _ENCLOSING.finditer(text):
        sign, at = match.group(), match.start()
        opener = _CLOSERS.get(sign, sign if sign == '"' and waiting.get(sign) else "")
        if not opener:
            sign = "(" if sign == "（" else sign
            opened.append((sign, at))
            waiting[sign] = waiting.get(sign, 0) + 1
            continue
        while waiting.get(opener):
            last, start = opened.pop()
            waiting[last] -= 1
            if last == opener:
                if at + 1 - start <= _BRACKETED:
                    found.append(Span(start, at + 1))
                break
    merged: list[Span] = []
    for zone in sorted(found):
        if merged and zone.start < merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, zone.end))
        else:
            merged.append(zone)
    return merged


def _parts_en(before: str, after: str, mark: str) -> bool:
    """Whether a place, told by what stands there, parts two clauses that can stand alone."""
    if mark == "chinese":
        return False
    before = _unlabelled(before)
    if not _both_stand(before, _LATER.split(after, maxsplit=1)[0], _stands_en):
        return False
    if mark == "semicolon":
        return True
    if _PAIRED.search(before) or (_CONDITIONAL.match(before) and not _TURNS.match(after)):
        return False
    # "Trials suggest that it works and is safe": the second clause would lose who says so.
    verb_first = _verb_first(after)
    if verb_first and _REPORTS.search(before):
        return False
    if mark == "splice":
        return _OPEN.search(before) is None
    if _orders(after) and not _TURNS.match(after):
        # "It can raise the pressure, and increase the risk" holds no order.
        return _orders(before) and (not _FORBIDS.match(before) or _FORBIDS.match(after) is not None)
    return mark == "comma" or (not _CONDITIONED.search(after) and (verb_first or _PERSON_FIRST.match(after) is not None))


def _stands_en(piece: str) -> bool:
    piece = piece.lstrip(" \t*_([\"'“")
    if _HANGS.match(piece) or _CONCEDES.match(piece):
        comma = piece.find(",")
        # A concession at the end is an assertion of its own: "although it can irritate the stomach".
        if comma < 0 and not _CONCEDES.match(piece):
            return False
        piece = piece[comma + 1 :].lstrip() if comma > 0 and piece[comma + 1 :].strip() else piece
        if _HANGS.match(piece):
            return False
        piece = _CONCEDES.sub("", piece, count=1)
    inner = _INNER.search(piece)
    return _has_verb(piece[: inner.start()] if inner else piece) or _orders(piece)


def _unlabelled(piece: str) -> str:
    label = _LABEL.match(piece)
    return piece[label.end() :].lstrip() if label else piece


def _has_verb(piece: str) -> bool:
    """Whether a finite verb is in it, as far as a list of verbs tells; after a plural the bare verb is finite: "statins lower"."""
    before = ""
    for match in _TOKEN.finditer(piece):
        word = match.group().lower()
        if word in _AUXILIARY or word in _CONTRACTED:
            return True
        if word in _THIRD and not _NOUN.match(piece, match.end()) and not (word.endswith("creases") and _IN.match(piece, match.end())):
            return True
        if word in _VERBS and (before in _PLURALS or (len(before) > 3 and before[-1] == "s" and before[-2] != "s")):
            return True
        before = before if word in _BETWEEN else word
    return False


def _verb_first(piece: str) -> bool:
    begins = _BEGINNING.match(piece)
    first = _TOKEN.match(piece, begins.end() if begins else 0)
    return first is not None and (first.group().lower() in _AUXILIARY or (first.group().lower() in _THIRD and not piece.startswith(" of", first.end())))


def _orders(piece: str) -> bool:
    begins = _BEGINNING.match(piece)
    return orders(piece[begins.end() :] if begins else piece)


def _parts_zh(before: str, after: str, mark: str) -> bool:
    if mark == "bare":
        return False
    if mark != "semicolon" and _HANGS_ZH.match(after):
        return False
    before = _unlabelled(before)
    opens = _OPENS_ZH.match(after) is not None
    chunk = after if opens or mark == "semicolon" else re.split("[,，;；]", after, maxsplit=1)[0]
    if not _both_stand(before, chunk, _stands_zh):
        return False
    if mark == "semicolon":
        return True
    turns = _TURNS_ZH.match(after) is not None
    if any(_CONDITION_ZH.match(part) for part in _opened_zh(before)) and not turns:
        return False
    return not ((_PAIRED_ZH.search(before) and _PAIRS_ZH.match(after)) or (_REASON_ZH.search(before) and _RESULT_ZH.match(after)))


def _stands_zh(piece: str) -> bool:
    *_, piece = _opened_zh(piece)
    return _OPENS_ZH.match(f"{piece}，") is None and _PREDICATE_ZH.search(piece) is not None


def _opened_zh(piece: str) -> Iterator[str]:
    """A piece, and what is left of it as the parts before its commas that need what follows are taken off."""
    piece = piece.strip(" \t\u3000*_，,")
    yield piece
    for _ in range(4):
        comma = _COMMA.search(piece) if _OPENS_ZH.match(f"{piece}，") else None
        if comma is None:
            return
        piece = piece[comma.end() :]
        yield piece


def _both_stand(before: str, after: str, alone: Callable[[str], bool]) -> bool:
    if _words(before) < _MIN_WORDS or _words(after) < _MIN_WORDS or not alone(before) or not alone(after):
        return False
    # A dose stays with its drug.
    return not (holds_dose(after) and not names_drug(after))


def _words(text: str) -> float:
    """Words; one Chinese character is about two thirds of one."""
    return sum(1.0 if found[0].isascii() else 2 / 3 for found in _WORD.findall(text))
