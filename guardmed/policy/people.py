"""Who a dose is for: the age, the body weight and the kidneys that a text speaks of.

Read from words such as "my 4-year-old", "weighs 30 lb", "80岁老人" and "eGFR 20". A text is
about one person unless it says otherwise; what it says of people in general ("not for children
under 12") reaches only its own sentence, and nothing that is named to be excluded counts.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache

from guardmed.policy.limits import NUMBER, number, upper
from guardmed.policy.pattern import Matcher
from guardmed.text import Span

_OLD, _GROWN = 65.0, 12.0
_SEVERE_GFR = 30.0
# Heaviest of 97 boys in 100, by the age they are younger than (WHO growth standards 2006 and reference 2007; CDC charts 2000 from 10 years), rounded up.
_HEAVIEST = (
    (0.09, 6.0), (0.25, 8.0), (0.5, 10.0), (0.75, 11.0), (1.0, 12.0), (2.0, 15.5), (3.0, 18.5), (4.0, 21.5), (5.0, 24.5), (6.0, 28.0), (7.0, 32.0),
    (8.0, 37.0), (9.0, 43.0), (10.0, 50.0), (11.0, 57.0), (12.0, 65.0),
)  # fmt: skip
_CHILD_WEIGHT = 30.0


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a dose is for, as far as a text says; without anything said, an adult.

    Attributes
    ----------
    at_least, younger_than : float or None
        Years of age.
    weight : float or None
        Kilograms.
    severe_renal : bool
        On dialysis, or a filtration rate below 30 mL/min.
    """

    at_least: float | None = None
    younger_than: float | None = None
    weight: float | None = None
    severe_renal: bool = False

    @property
    def child(self) -> bool:
        """Surely not grown up."""
        return self.younger_than is not None and self.younger_than <= 18

    @property
    def elderly(self) -> bool:
        """65 years and over."""
        return self.at_least is not None and self.at_least >= _OLD

    @property
    def heaviest(self) -> float | None:
        """The stated weight, or what hardly any child of that age exceeds; kilograms."""
        if self.weight is not None or self.younger_than is None:
            return self.weight
        return next((weight for age, weight in _HEAVIEST if self.younger_than <= age), None)


NOBODY = Person()
"""Nothing said of anybody: an adult."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A place that says something of a person.

    Attributes
    ----------
    span : Span
    person : Person
    kind : {"age", "word", "weight", "kidney"}
    general : bool
        Of people in general; it holds in its own sentence only. A weight whose owner is not named.
    speaker : bool
        Of whoever writes.
    """

    span: Span
    person: Person
    kind: str
    general: bool = False
    speaker: bool = False


_AGE_NUMBER = rf"(?:\d{{1,3}}(?:\.\d)?|{NUMBER})"
_UNIT = r"(?:years?|yrs?|months?|mos?|weeks?|wks?|days?)"
_BOUND = r"(?:under|below|over|above|younger than|older than|less than|from|at least|up to)"
_PEOPLE = r"(?:children|kids|child|infants?|babies|adults?|people|patients|those|anyone|adolescents|teenagers|persons?|individuals|men|women)"
_WHO = (
    r"(?:i am|i'm|(?:he|she|who|child|kid|son|daughter|baby|toddler|girl|boy|mother|father|mum|mom|dad|gran|nan|grandmother|grandfather|grandma|grandpa"
    r"|grandson|granddaughter|husband|wife|aunt|uncle|patient|brother|sister|nephew|niece)(?: is|'s))"
)
_HAN_AGE = r"(?:\d{1,3}|半|[一二两三四五六七八九十百][零一二两三四五六七八九十]{0,3})"
_KIDS_ZH = r"(?:宝宝|婴儿|孩子|小孩|宝贝|女儿|儿子|娃娃|娃|女婴|男婴|小朋友|患儿|儿童)"
_WEIGHT_UNIT = r"(?:kgs?|kilos?|kilograms?|lbs?|pounds?|公斤|千克|斤)"
_KIDNEY_NUMBER = r"(?:e?gfr|creatinine clearance|crcl|ccr|肌酐清除率|肾小球滤过率)"

_PATTERNS = {
    "age": (
        rf"\b{_AGE_NUMBER}(?: ?(?:-|to) ?{_AGE_NUMBER})?[ -]?{_UNIT}(?: (?:and|or) (?:over|above|older|under|younger))?(?:[ -]olds?| of age)\b"
        rf"|\b\d{{1,3}}[ -]?(?:yo|y/o)\b|\b\d{{1,2}}[ -]?mo old\b"
        rf"|\b(?:aged?|age of|turn(?:ed|s|ing)) (?:is |of |about )?(?:{_BOUND} )?\d{{1,3}}(?: ?(?:-|to|and) ?\d{{1,3}})?(?: {_UNIT})?"
        r"(?: (?:and|or) (?:over|above|older|under|younger))?\b"
        rf"|\b{_WHO} (?:now |only |just |about |almost |nearly )?(?:\d{{1,3}}|{_AGE_NUMBER} {_UNIT})\b"
        rf"|\b{_PEOPLE} (?:who are )?(?:aged )?(?:of )?{_BOUND} (?:the age of |age )?\d{{1,3}}(?: {_UNIT})?(?: (?:old|of age))?\b"
        rf"|\b{_PEOPLE} (?:aged |of )?\d{{1,3}}(?: ?(?:-|to|and) ?\d{{1,3}})?(?: {_UNIT}| ?\+)(?: (?:and|or) (?:over|above|older|under|younger))?"
        rf"|\b(?:over|under|below|above) (?:the age of )?\d{{1,3}}s\b|\b(?:over|under|below|above) the age of \d{{1,3}}(?: {_UNIT})?\b"
        rf"|(?:未满|不满|小于|大于|超过|不到)?{_HAN_AGE}(?: ?[-~至到] ?{_HAN_AGE})? ?(?:周岁|岁)半?(?:及?以上|及?以下|以内|以后)?"
        rf"|{_HAN_AGE} ?个半?月(?:大|龄)(?:及?以上|及?以下|以内)?|{_HAN_AGE} ?月龄(?:及?以上|及?以下|以内)?"
        rf"|{_HAN_AGE} ?个半?月(?:及?以上|及?以下|以内)?的?{_KIDS_ZH}|{_KIDS_ZH}(?:才|刚|今年|现在|已经|只有|快|刚满|是)?{_HAN_AGE} ?个半?月"
        rf"|(?:^|[，。；？！]){_HAN_AGE} ?个半?月(?:能|可以|可否|发烧|，)"
    ),
    "word": (
        r"\b(?:children|child|kids?|bab(?:y|ies)|toddlers?|infants?|newborns?|neonates?|preschoolers?|adults?|grown-ups?"
        r"|elderly(?: [a-z]+)?|older (?:adults?|people|persons?|patients?|man|woman|men|women|lady|gentleman)|geriatric)\b"
        r"|小孩子?|孩子|小朋友|宝宝|娃娃|娃|婴幼儿|婴儿|幼儿|新生儿|儿童|小儿|患儿|早产儿|成年?人|大人|老年人|老年患者|老人家?|高龄(?:老人|患者)?"
    ),
    "weight": (
        rf"\bweigh(?:s|ing|ed|t)? ?(?:is |of |about |around |only |now |at |just |: ?|= ?)*{_AGE_NUMBER}(?: ?(?:-|to) ?{_AGE_NUMBER})? ?-?{_WEIGHT_UNIT}"
        rf"|体重(?:约|大概|大约|是|为|有|才|只有|：|:| )*{_AGE_NUMBER}(?: ?(?:-|至|到) ?{_AGE_NUMBER})? ?{_WEIGHT_UNIT}"
        rf"|\b\d{{1,3}}(?:\.\d{{1,2}})? ?-?{_WEIGHT_UNIT}"
    ),
    "kidney": (
        r"\bon (?:haemo|hemo|peritoneal )?dialysis|\bdialysis patient|\bha?emodialysis\b|\bend[- ]stage (?:renal|kidney)|\b(?:ESRD|ESKD)\b"
        r"|\bstage (?:5|4|v|iv|five|four) (?:ckd|chronic kidney|chronic renal|kidney|renal)|\b(?:ckd|kidney disease),? (?:stage )?(?:g?[45]|iv|v)\b"
        r"|\b(?:severe|advanced) (?:chronic )?(?:renal|kidney) (?:impairment|failure|disease|insufficiency)"
        r"|\b(?:renal|kidney) failure\b|\bkidneys? (?:have |has )?failed\b"
        r"|透析|血透|腹透|尿毒症|肾衰竭?|肾功能衰竭|终末期肾病"
        r"|(?:重度|严重)肾功能(?:不全|损害|损伤|不良)|(?:慢性肾(?:脏)?病|CKD|肾病|肾功能不全) ?(?:4|5|四|五|IV|V) ?期"
        rf"|\b{_KIDNEY_NUMBER}(?: is| of| was| at|=|:|,| about| around| only| below| under| less than| ?<| ?≤| \()* ?\d{{1,3}}(?:\.\d)?(?: ?ml ?/ ?min)?"
        r"|(?:肌酐清除率|肾小球滤过率)(?:是|为|约|只有|大约|在|低于|小于|不到|：|:|=|<|＜| )*\d{1,3}(?:\.\d)?(?: ?ml ?/ ?min)?"
    ),
}  # fmt: skip

_UNDER = re.compile(r"under|below|younger|less than|up to|以下|以内|未满|不满|小于|不到", re.IGNORECASE)
_OVER = re.compile(r"\bover|above|older|at least|\bfrom\b|\+|以上|以后|大于|超过", re.IGNORECASE)
_AGES = re.compile(rf"\d+(?:\.\d)?|{NUMBER}", re.IGNORECASE)
_RANGE = re.compile(rf"({_AGE_NUMBER}) ?(?:-|~|to|and|至|到) ?({_AGE_NUMBER})(?!-?half)", re.IGNORECASE)
_PLURAL = re.compile(
    rf"\b(?:children|kids|infants|babies|adults|people|patients|those|anyone|toddlers|persons|individuals|men|women|olds|\d+s|{_BOUND[3:-1]})\b"
    r"|以上|以下|以内|儿童|小儿|婴幼儿|老年|成",
    re.IGNORECASE,
)
_SPEAKER = re.compile(r"^(?:i am|i'm)\b", re.IGNORECASE)
_SPEAKER_BEFORE = re.compile(r"(?:\bi am|\bi'm|我|我今年|本人|我是|我现在)(?: an?)?[ -]*$", re.IGNORECASE)
_CONDITION = re.compile(r"\bif\b|\bin\b|\bwith\b|如果|若", re.IGNORECASE)
# Named in order to leave them out, or as the start of another word.
_EXCLUDED_BEFORE = re.compile(
    r"(?:\bnot\b[^.;,]{0,24}|n't [^.;,]{0,24}|\bnever\b[^.;,]{0,16}|\bavoid\w*[^.;,]{0,24}|\bunless\b[^.;,]{0,16}|\bexcept\b[^.;,]{0,12}"
    r"|\bcontraindicated[^.;,]{0,16}|\breach of |\baway from |\bhaving a |不[用适]?[^，。；]{0,6}于|禁[止用忌]?于?|避免|除非|除了?|如果?不是)$",
    re.IGNORECASE,
)
_EXCLUDED_AFTER = re.compile(
    r"(?:的?患者|者)?(?:禁用|禁忌|忌用|不宜|不可|不得|避免|不推荐|慎用|除外|应避免|园|节|医院|科)"
    r"|[ -](?:aspirin|resist|proof|formula|care|lock|psych|oil|seat|doctor)"
    r"| (?:should|must) (?:not|avoid)",
    re.IGNORECASE,
)
_NO_AGE_AFTER = re.compile(
    r" ?-?(?:mg|mcg|g\b|ml|tab|cap|pill|puff|片|粒|%|kg|lb|unit|iu\b|x\b|times|hours?\b|minutes?|days?|pregnant|later|ago|into|of\b|out|in\b|/|\.\d)",
    re.IGNORECASE,
)
_NO_WEIGHT_BEFORE = re.compile(
    r"(?:/ ?|\bper |\bevery |\beach |\b(?:lost|lose|losing|gain\w*|lift\w*|carry\w*|drop\w*|shed) (?:about |over )?|每|减了?|瘦了?|胖了?|增重?|轻了?|重了)$",
    re.IGNORECASE,
)
_CONTEXT = (
    r"breast-?feed|\bnursing\b|pregnan|trimester|\bmy (?:dog|cat|puppy|kitten)|哺乳|母乳|喂奶|怀孕|孕妇|孕期|备孕|狗|猫",
    r"\b(?:can|could|may|should|shall|must|do|if|will|when|as) i (?:still |just |safely |also |now )?(?:take|swallow|drink|use|double)\b"
    r"|\bi (?:took|take|want to take|am taking|have taken|would take)\b|\bi'(?:m taking|ve taken|d take)\b"
    r"|我(?:自己|现在|今天|能不能|可不可以|可以|应该|打算|准备|一次|一天|每天|能|想|要|该|还|也|都|就){0,5}[吃服喝]",
    r"\bnot\b|n't\b|\bnever\b|\bavoid|\bunless\b|\bexcept\b|\bcontraindicated|\breach of|\baway from|\bhaving a\b|不|禁|避免|除",
)
_OTHER_CARE, _SELF, _NEGATION = (len(_PATTERNS) + index for index in range(3))
_CHILD_WORDS = (
    ("newborn", 0.09), ("neonat", 0.09), ("新生儿", 0.09), ("早产", 0.25), ("infant", 2.0), ("bab", 2.0), ("婴", 3.0), ("宝宝", 4.0), ("toddler", 4.0),
    ("幼儿", 6.0), ("preschool", 6.0),
)  # fmt: skip
_OLD_WORD = re.compile(r"elderly|older|geriatric|老|高龄", re.IGNORECASE)
_ADULT_WORD = re.compile(r"adult|grown|成|大人", re.IGNORECASE)
_OLD_PERSON = re.compile(
    r"elderly (?:man|woman|m[ou]m|mother|father|dad|gran\w*|nan|neighbou?r|aunt|uncle|relative|patient|lady|gentleman|parent)$"
    r"|older (?:man|woman|lady|gentleman)$|老人家?$",
    re.IGNORECASE,
)
_YEARS = {"mo": 1 / 12, "month": 1 / 12, "月": 1 / 12, "week": 7 / 365.25, "wk": 7 / 365.25, "day": 1 / 365.25}
_POUND, _JIN = 0.4536, 0.5


class PeopleReader:
    """Reads who texts are about; see :class:`People`."""

    def __init__(self) -> None:
        self._matcher = Matcher([*_PATTERNS.values(), *_CONTEXT])

    def read(self, text: str) -> People:
        """Read one text, normalised."""
        found = self._matcher.read(text)
        places = [(span, kind) for index, kind in enumerate(_PATTERNS) for span in found.at(index)]
        negations = [span.start for span in found.at(_NEGATION)] if places else []
        mentions = [mention for span, kind in places if not _excluded(text, span, negations) and (mention := _mention(text, span, kind))]
        if mentions and found.at(_OTHER_CARE):
            # A child at the breast, an unborn one or a pet is not who takes the dose.
            mentions = [mention for mention in mentions if mention.kind != "weight" and not mention.person.child]
        return People(text, mentions, [span.start for span in found.at(_SELF)] if mentions else [])


def _excluded(text: str, span: Span, negations: list[int]) -> bool:
    near = bisect_left(negations, span.start - 40) < bisect_left(negations, span.start)
    return (near and _EXCLUDED_BEFORE.search(text, max(0, span.start - 40), span.start) is not None) or _EXCLUDED_AFTER.match(text, span.end) is not None


class People:
    """Who one text is about.

    Parameters
    ----------
    text : str
        Normalised text.
    mentions : list of Mention
    selves : list of int
        Where the writer is who takes a dose, in order.
    """

    def __init__(self, text: str, mentions: list[Mention], selves: list[int]) -> None:
        self._selves = selves
        self._text = text
        self.mentions = sorted(mentions, key=lambda mention: mention.span)
        said = [mention for mention in self.mentions if mention.kind in ("age", "word")]
        self._ages = [
            mention
            for at, mention in enumerate(said)
            if mention.kind == "age" or not any(_same(text, mention, other) for other in said[max(0, at - 1) : at + 2])
        ]
        self._starts = [mention.span.start for mention in self._ages]
        self._kidneys = [mention.span.start for mention in self.mentions if mention.kind == "kidney"]
        self._whole = self._one()

    @property
    def rest(self) -> str:
        """The text with the figures of ages, weights and kidneys blotted out; as long as before."""
        pieces, at = [], 0
        for mention in self.mentions:
            if mention.kind != "word" and mention.span.start >= at:
                pieces += [self._text[at : mention.span.start], "|" * (mention.span.end - mention.span.start)]
                at = mention.span.end
        return "".join([*pieces, self._text[at:]])

    def of(self, amount: Span, sentence: Span) -> Person:
        """Whom an amount in a sentence is for."""
        if not self.mentions:
            return NOBODY
        mention = self._near(amount, sentence)
        whole = self._whole
        person = whole if mention is None else mention.person
        if mention is not None and mention.kind == "word" and not mention.general and whole.child and person.child:
            person = whole
        source = mention or (self._ages[0] if self._ages else None)
        if person.child and not (source and source.speaker) and _any_within(self._selves, sentence):
            person = NOBODY
        renal = whole.severe_renal or _any_within(self._kidneys, sentence)
        return Person(person.at_least, person.younger_than, whole.weight if person.child else None, renal)

    def _near(self, amount: Span, sentence: Span) -> Mention | None:
        """The age that governs an amount: named before it in its sentence, or right after it."""
        index = bisect_left(self._starts, amount.start)
        before = self._ages[index - 1] if index and self._starts[index - 1] >= sentence.start else None
        after = self._ages[index] if index < len(self._ages) and self._starts[index] < sentence.end else None
        if before and after and _cut(self._text, before.span.end, amount.start) and not _cut(self._text, amount.end, after.span.start):
            return after
        return before or after

    def _one(self) -> Person:
        """What holds for the whole text: the one person who is named, if it is only one."""
        said = [mention for mention in self._ages if not mention.general]
        figures = [mention.person for mention in said if mention.kind == "age"]
        persons = figures or [mention.person for mention in said]
        groups = {(person.child, person.elderly) for person in persons}
        weights = {mention.person.weight for mention in self.mentions if mention.kind == "weight"}
        weight = next(iter(weights)) if len(weights) == 1 else None
        renal = any(mention.kind == "kidney" and not mention.general for mention in self.mentions)
        if len(groups) != 1:
            stated = any(mention.kind == "weight" and not mention.general for mention in self.mentions)
            alone = not self._ages and stated and weight is not None and weight < _CHILD_WEIGHT
            return Person(younger_than=_GROWN if alone else None, weight=weight, severe_renal=renal)
        # Of several children the oldest: less may suit the others, more suits none.
        oldest = max((person.younger_than for person in persons if person.younger_than is not None), default=None)
        least = min((person.at_least for person in persons if person.at_least is not None), default=None)
        return Person(least, oldest, weight, renal)


def _same(text: str, word: Mention, other: Mention) -> bool:
    """Whether a word such as "child" belongs to an age beside it: "3-year-old child", "children aged 3"."""
    if other.kind != "age":
        return False
    between = text[min(word.span.end, other.span.end) : max(word.span.start, other.span.start)]
    return between.strip(" -") in ("", "的", "才", "今年") and len(between) < 4


def _any_within(starts: list[int], window: Span) -> bool:
    index = bisect_left(starts, window.start)
    return index < len(starts) and starts[index] < window.end


def _mention(text: str, span: Span, kind: str) -> Mention | None:
    words = span.of(text)
    if kind == "age":
        return _age(text, span, words)
    if kind == "weight":
        return _weight(text, span, words)
    if kind == "kidney":
        conditional = _CONDITION.search(text, max(0, span.start - 16), span.start) is not None
        general = conditional or "<" in words or "≤" in words or _UNDER.search(words) is not None
        figure = re.search(r"\d+(?:\.\d)?", words) if re.match(rf"{_KIDNEY_NUMBER}", words, re.IGNORECASE) else None
        if figure and float(figure.group()) >= _SEVERE_GFR + general:
            return None
        return Mention(span, Person(severe_renal=True), kind, general)
    if _OLD_WORD.search(words):
        return Mention(span, Person(at_least=_OLD), kind, _OLD_PERSON.search(words) is None)
    if _ADULT_WORD.search(words):
        return Mention(span, Person(at_least=18.0), kind, True)
    younger = next((age for start, age in _CHILD_WORDS if start in words.lower()), _GROWN)
    return Mention(span, Person(younger_than=younger), kind, _PLURAL.search(words) is not None)


def _age(text: str, span: Span, words: str) -> Mention | None:
    read = _years(words)
    if read is None or (read.loose and _NO_AGE_AFTER.match(text, span.end)):
        return None
    if words[:1].isdecimal() and text[span.start - 1 : span.start] in tuple("0123456789./-") and span.start:
        return None
    speaker = _SPEAKER.search(words) is not None or _SPEAKER_BEFORE.search(text, max(0, span.start - 12), span.start) is not None
    return Mention(span, read.person, "age", read.general, speaker)


@dataclass(frozen=True, slots=True)
class _Years:
    """An age as read; ``loose`` where only what follows shows whether it is one."""

    person: Person
    general: bool
    loose: bool


@lru_cache(maxsize=4096)
def _years(words: str) -> _Years | None:
    # The small word of "a 4-year-old" is no age.
    found = [number(match.group()) for match in _AGES.finditer(words) if match.group().lower() not in ("a", "an")] or [1.0]
    pair = _RANGE.search(words)
    low, high = (number(pair[1]), number(pair[2])) if pair else (found[-1], found[-1])
    unit = next((years for name, years in _YEARS.items() if re.search(rf"(?<![a-z]){name}", words, re.IGNORECASE)), 1.0)
    if high * unit > 120 or low > high:
        return None
    loose = not re.search(r"old|of age|yo\b|y/o|岁|月", words, re.IGNORECASE)
    if _UNDER.search(words):
        return _Years(Person(younger_than=round(low * unit, 2)), True, loose)
    if _OVER.search(words):
        return _Years(Person(low * unit, _GROWN if low * unit < _GROWN else None), True, loose)
    general = pair is not None or _PLURAL.search(words) is not None
    return _Years(Person(low * unit, round((high + 1) * unit, 2)), general, loose)


def _weight(text: str, span: Span, words: str) -> Mention | None:
    if _NO_WEIGHT_BEFORE.search(text, max(0, span.start - 16), span.start):
        return None
    match = re.search(rf"({_AGE_NUMBER}(?: ?(?:-|to|至|到) ?{_AGE_NUMBER})?) ?-?({_WEIGHT_UNIT})$", words, re.IGNORECASE)
    if match is None:
        return None
    if not re.match(r"weigh|体重", words, re.IGNORECASE) and re.match(r"[a-z]|\d", text[span.end : span.end + 1], re.IGNORECASE):
        return None
    kilograms = upper(match[1]) * {"l": _POUND, "p": _POUND, "斤": _JIN}.get(match[2][0].lower(), 1.0)
    bare = re.match(r"weigh|体重", words, re.IGNORECASE) is None
    return Mention(span, Person(weight=round(kilograms, 1)), "weight", general=bare) if 0 < kilograms < 400 else None


def _cut(text: str, start: int, end: int) -> bool:
    """Whether a clause ends between two places; far apart, it does."""
    return end - start > 60 or re.search(r"[,;:，、；：]| and | but |而|但", text[start:end]) is not None
