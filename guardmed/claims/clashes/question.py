"""What a question says of the person it is about, and whether a claim says otherwise."""

# Tables and patterns read better whole.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from guardmed.claims.clashes.lazy import Lazy
from guardmed.claims.clashes.lexicon import poles_agree
from guardmed.claims.clashes.match import Relation, relation
from guardmed.claims.clashes.numerals import NUMBER, value
from guardmed.claims.clashes.reading import Reading, Unit
from guardmed.claims.clashes.search import Clash, Kind, quantity_kind
from guardmed.claims.clashes.tokens import Token
from guardmed.text import Span

_UNITS = {
    "year": 365.25,
    "yr": 365.25,
    "yo": 365.25,
    "岁": 365.25,
    "周岁": 365.25,
    "month": 30.4375,
    "个月": 30.4375,
    "月龄": 30.4375,
    "week": 7.0,
    "周": 7.0,
    "day": 1.0,
    "天": 1.0,
}
_AGE = Lazy(
    rf"(?P<en>{NUMBER})[- ]?(?P<unit>year|yr|month|week|day)s?[- ]old\b|(?P<yo>\d{{1,3}}) ?(?P<unit_yo>yo)\b|\b(?:i am|i'm|you are|you're|(?:he|she)(?: is|'s)|aged|age(?: is|:)?|at age) (?P<of>\d{{1,3}})(?! ?(?:%|mg|ml|weeks|months|kg|times|days|or))"
    rf"|(?P<zh>{NUMBER})(?P<unit_zh>周岁|岁|个月大|月龄)(?![以之及或至到时后起前-])"
)
# A bound or a range of ages is about people in general.
_IN_GENERAL = Lazy(r"(?:over|under|above|below|than|least|most|to|-|and|between|大于|小于|超过|低于|高于|满|未满|不足|至|到|约|≥|≤|<|>) ?$")
_PERSON_EN = r"(?:year[- ]old|yo|this|the|your|as an?|you are an?|you're an?|i am an?|i'm an?|my|(?:he|she) is an?) (?:[a-z-]{1,20} ){0,2}?"
_SEX = Lazy(
    rf"\b{_PERSON_EN}(?:(?P<male>man|male|boy|husband|father|son|brother|gentleman|grandfather|uncle)|(?P<female>woman|female|girl|wife|mother|daughter|sister|lady|grandmother|aunt))\b"
    r"|(?P<male_zh>男性患者|(?:岁|作为|位|名|[，,]|^)的?(?:成年|老年)?男(?:性|士|孩|子|人|童|患)?(?!女|友|科|方|朋)|先生|(?:我|您|你)(?:爸|父亲|老公|丈夫|儿子|爷爷|哥哥|弟弟|外公|公公))"
    r"|(?P<female_zh>女性患者|(?:岁|作为|位|名|[，,]|^)的?(?:成年|老年)?女(?:性|士|孩|子|人|童|患)?(?!男|友|方|朋)|(?:我|您|你)(?:妈|母亲|老婆|妻子|女儿|奶奶|姐姐|妹妹|外婆|婆婆))"
)
_PREGNANT = Lazy(
    r"(?P<no>\b(?:not|isn't|is not|never been|no longer) pregnant|\bnon-?pregnant|没有?怀孕|未怀孕|未孕|非孕|并未怀孕|没有?妊娠)"
    r"|(?P<yes>\b(?:i am|i'm|i'm now|you are|you're|she is|she's|since you are|currently|is|am|are) (?:now |currently |already )?(?:\w+ (?:weeks?|months?) )?pregnant"
    r"|\bpregnant (?:woman|patient|wife)|\bmy pregnan\w+|\byour pregnan\w+|(?:我|您|你|她|患者|妻子|老婆)(?:现在|目前|已经?|正)?(?:怀孕|妊娠)|怀孕(?:了|\d|[一二三四五六七八九十])|孕\d{1,2}周|孕妇(?=[，,。]|$))"
)
_ALLERGY = Lazy(
    r"(?P<none>\b(?:no (?:known )?(?:drug )?allerg(?:y|ies)|not allergic to any\w*|without any allerg(?:y|ies)|(?:do|does)(?:n't| not) have any (?:\w+ )?allerg(?:y|ies))\b(?! to)"
    r"|无(?:已知)?(?:药物)?过敏|没有(?:任何)?(?:药物)?过敏|否认(?:药物)?过敏)"
    r"|\b(?P<denied>not |n't |no )?(?:an? )?(?:allergic|allerg(?:y|ies)) to (?:the )?(?P<to>[a-z][\w-]{1,30})|\b(?P<before>[a-z][\w-]{4,30}) allergy\b"
    r"|对(?P<zh>[^，。；,\s]{1,8}?)(?:药物)?(?P<zh_denied>不|无|没有?|并不|并无)?过敏|(?P<zh_before>(?:(?![对我您你他她有曾])[\u4e00-\u9fff]){1,4}[素林霉类药奶蛋生粉])过敏"
)
_CURRENT = Lazy(
    r"\b(?:you (?:are|take|currently|already|have been|use)|you're (?:on|taking|currently)|your (?:current|present|usual|\w+ dose)|currently|current dose|at present|(?:he|she|the patient) (?:takes|is taking|is on|currently))"
    r"|您?(?:目前|现在|正在|当前|已在|已经)|您(?:服|吃|用)|患者(?:服|吃|用)"
)
_OTHER_SIDE = Lazy(r"\b(?:other|opposite|contralateral|compare|comparison|both|healthy|unaffected|spread|also)\b|对侧|健侧|另一侧|双侧|两侧|比较|对比|也")
_GENERAL_PEOPLE = Lazy(
    r"\b(?:in|among|for|most|many|some) (?:men|women|males|females|people|adults|children)\b|\b(?:men|women) (?:are|have|should|with|who|of|aged|over|under)\b|(?:男性|女性)(?:比|较|多|更|患者(?:多|较))"
)


# Nobody names the side of one part of the body, or the amounts of a drug, more often than this.
_FEW = 50


@dataclass(frozen=True, slots=True)
class _Fact:
    """Something that a text says of one person."""

    about: str
    value: str | float
    span: Span


def search_question(claim: Reading, question: Reading) -> tuple[Clash, ...]:
    """Clashes of a claim with what the question states; see :func:`guardmed.claims.clashes.against_question`."""
    stated = list(_facts(question.text.text))
    said = list(_facts(claim.text.text))
    found: list[Clash] = []
    general = _GENERAL_PEOPLE.search(claim.text.text) is not None
    for about in dict.fromkeys(fact.about for fact in said):
        asked = [fact for fact in stated if fact.about == about]
        given = [fact for fact in said if fact.about == about]
        if not asked or (general and about in ("age", "sex")):
            continue
        # Two ages or both sexes in a text: more than one person, or people in general.
        if len({fact.value for fact in asked}) > 1 or len({fact.value for fact in given}) > 1 or any(_same(fact, asked[0]) for fact in given):
            continue
        found.append(_clash(claim, question, "number" if about == "age" else "negation", given[0].span, asked[0].span))
    found += _sides(claim, question)
    if _CURRENT.search(claim.text.text):
        found += _doses(claim, question)
    return tuple(sorted({(clash.claim_span, clash.other_span): clash for clash in found}.values(), key=lambda clash: clash.claim_span))


def _same(fact: _Fact, other: _Fact) -> bool:
    if isinstance(fact.value, float) and isinstance(other.value, float):
        # Someone of 14 months is one year old.
        return abs(fact.value - other.value) < 0.06 * max(fact.value, other.value) or (int(fact.value / 365.25) == int(other.value / 365.25) > 0)
    return fact.value == other.value


def _facts(text: str) -> Iterator[_Fact]:
    for match in _AGE.finditer(text):
        if _IN_GENERAL.search(text, max(0, match.start() - 12), match.start()):
            continue
        number = value(match["en"] or match["yo"] or match["of"] or match["zh"])
        unit = (match["unit"] or match["unit_yo"] or match["unit_zh"] or "year").lower().removesuffix("大")
        if number:
            yield _Fact("age", number * _UNITS[unit], Span(*match.span()))
    for match in _SEX.finditer(text):
        name = next(name for name, found in match.groupdict().items() if found)
        start = match.start(name) + (match[name][0] in "，,")
        yield _Fact("sex", name.removesuffix("_zh"), Span(start, match.end(name)))
    for match in _PREGNANT.finditer(text):
        yield _Fact("pregnancy", "no" if match["no"] else "yes", Span(*match.span()))
    yield from _allergies(text)


def _allergies(text: str) -> Iterator[_Fact]:
    for match in _ALLERGY.finditer(text):
        span = Span(*match.span())
        if match["none"]:
            yield _Fact("allergy", "none", span)
            continue
        allergen = (match["to"] or match["before"] or match["zh"] or match["zh_before"]).lower()
        if match["denied"] or match["zh_denied"]:
            yield _Fact(f"allergy to {allergen}", "none", span)
        else:
            yield _Fact("allergy", "some", span)
            yield _Fact(f"allergy to {allergen}", "some", span)


def _sides(claim: Reading, question: Reading) -> Iterator[Clash]:
    """The claim speaks of the left knee where the question only ever speaks of the right one."""
    if _OTHER_SIDE.search(claim.text.text):
        return
    asked: dict[str, list[Token]] = {}
    for unit in question.sentences:
        for index in unit.poles:
            if unit.tokens[index].key == "lat":
                for place in _beside(unit, index):
                    asked.setdefault(place, []).append(unit.tokens[index])
    for unit in claim.sentences:
        for index in unit.poles:
            token = unit.tokens[index]
            rivals = [rival for place in _beside(unit, index) for rival in asked.get(place, [])[:_FEW]]
            if token.key != "lat" or token.part is None or not rivals:
                continue
            if not any(rival.part is not None and poles_agree("lat", token.part.pole, rival.part.pole) for rival in rivals):
                yield _clash(claim, question, "side", token.span, rivals[0].span)


def _doses(claim: Reading, question: Reading) -> Iterator[Clash]:
    """Amounts of the same drug that the claim says are taken now, and the question says otherwise."""
    asked = [(unit, index) for unit in question.sentences for index, token in enumerate(unit.tokens) if token.quantity is not None][:_FEW]
    for unit in claim.sentences:
        for index, token in enumerate(unit.tokens):
            mine = token.quantity
            if mine is None or not (mine.taken or mine.measure == "rate") or mine.derived:
                continue
            drug = unit.part_of(index)
            rivals = [(rival.tokens[at], rival.tokens[at].quantity) for rival, at in asked if drug & rival.part_of(at)]
            relations = [(there, relation(mine, theirs, drug)) for there, theirs in rivals if theirs is not None]
            differing = [there for there, found in relations if found is Relation.DIFFER and there.quantity is not None and not there.quantity.derived]
            if differing and not any(found is Relation.AGREE for _, found in relations):
                theirs = differing[0].quantity
                assert theirs is not None  # chosen for its quantity
                yield _clash(claim, question, quantity_kind(mine, theirs), token.span, differing[0].span)


def _beside(unit: Unit, index: int) -> frozenset[str]:
    """The first concept after a side: what is left or right."""
    return frozenset(unit.around(index, 1)[1])


def _clash(claim: Reading, question: Reading, kind: Kind, span: Span, asked: Span) -> Clash:
    here, there = claim.back(span), question.back(asked)
    return Clash(kind, here, there, f"The claim says {here.of(claim.text.original)!r}, the question {there.of(question.text.original)!r}.")
