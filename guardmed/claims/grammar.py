"""Which sentences and clauses can do without those around them, told from words alone, in English and Chinese.

For taking claims out of an answer (:mod:`guardmed.claims.cutting`). Without a parser the tests err to one side: what is
not surely whole by itself counts as leaning on its neighbour. That sentences which open with the same pronoun share its
subject is from Grosz, Joshi and Weinstein, "Centering", Computational Linguistics 1995.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from guardmed.text import Span, language, sentences

_I = re.IGNORECASE
_NO_LETTER = re.compile(r"\W+")
_SMALL = re.compile(r"[a-z][A-Za-z0-9]*")
OPENERS = "\"'“‘([（【『「*_# \t>"
CLOSERS = "\"'”’)]）】』」*_"
_TIGHT = "\"'“‘([（【『「*_"
ENDS = ".!?。！？…;；"
NUMBERED = re.compile(r"\(?\d{1,3}[.)](?=[ \t])|[(（]?\d{1,3}[)）、．]|[①-⑳]|[(（]?[一二三四五六七八九十]{1,3}[、)）]")
LIST_MARK = re.compile(rf"(?:[-*+•·](?=[ \t])|[•·]|{NUMBERED.pattern})[ \t]*")


def _any(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words.split())})(?![a-z])", _I)


# What narrows, turns or conditions the words beside it.
_LIMITS = _any(
    r"\w{1,12}n['’]t not no never none nor neither without unless except\w* exclud\w* only but however although though while whereas until till if when "
    r"whenever provided rather instead avoid\w* stop\w* contraindicat\w* caution\w* unlike despite otherwise or false wrong myth incorrect untrue than"
)
_LIMITS_ZH = re.compile(
    r"不(?![适良足全稳])|无(?!力)|非(?![甾洛那布诺])|免(?!疫)|(?<![清消去])除|(?<![性特个识])别|(?<![相适])当(?!归)|时(?!间)"
    r"|[没未勿莫忌禁慎但否若仅只限误错假谣或虽避停]|如[果有]|然而|而是|尽管"
)
_CONDITION = re.compile(r"\b(?:if|when|unless|once|in\s+case)\b|[如若当时]|一旦", _I)
_DENIES = re.compile(
    r"\bno\s+(?:need|reason)\b|(?:\bnot|n['’]t|\bnever)\s+(?:need|have|require|necessary|see|call|go|consult|bother|visit|want)|\bwithout\b|\binstead\s+of\b"
    r"|\brather\s+than\b|不(?:必|用|需|要|应|宜|去)|无[需须]|没有?必要|[别勿]",
    _I,
)
_REPORTS = re.compile(r"\b(?:that|whether|myth|doubt\w*|den(?:y|ies)|claim(?:s|ed)?)\b", _I)
# What tells a dose or how often: a clause of it tempers another.
_AMOUNT = re.compile(
    r"\b\d{1,6}(?:[.,]\d{1,3})?\s?(?:mg|g|µg|mcg|ml|l|iu|units?|tablets?|pills?|capsules?|drops?|puffs?|times|hours?|minutes?|days?|weeks?|months?)\b"
    r"|\b(?:one|two|three|four|half)\s+(?:tablets?|pills?|capsules?|drops?|puffs?|hours?|days?|weeks?)\b|\b(?:once|twice|daily|hourly|every|maximum|minimum)\b"
    r"|[\d一二两三四五六七八九十半]\s?(?:[片粒次丸袋支滴天周克]|个?小时|个月|毫|微克|单位)|每[日天次晚]|最[多少]",
    _I,
)
_EXCEPTS = re.compile(r"\b(?:unless|except|excluding|without|apart\s+from|other\s+than)\b|除", _I)
_BARE_ANSWER = re.compile(
    r"(?:yes|no|yeah|yep|nope|correct|sure|certainly|absolutely|definitely|of\s+course|right|true|false|indeed|never)?"
    r"(?:[,\s]*(?:it|they|you|that|this|there)\s+(?:is|are|does|do|can|may|will|should|has|have)(?:\s*not|n['’]t)?)?"
    r"|(?:是的?[，,])?不?(?:是|可以?|能|会|对|行|应该|需要|正确|安全)的?|没错|当然(?:可以|能|会)?|没?有|错误?|否",
    _I,
)
# What holds two clauses together, so that neither can go alone.
_FRAMES = re.compile(
    r"\b(?:either|both|neither|not\s+only|whether|between|the\s+more|the\s+less|one\s+of\s+the)\b|不仅|不但|不光|既|要么|一方面|与其|宁可|越"
    r"|[:：](?!\d)|——|\s[-–—]\s",
    _I,
)
_SUBORDINATE = _any(
    r"if when whenever because since as although though while whereas unless until after before once given despite in for on at with without during among "
    r"to by from under over through between of who which that whether where depending according like unlike due instead rather not only"
)
_SUBORDINATE_ZH = re.compile(r"[如若倘当因虽只除既]|由于|尽管|无论|不论|不管|为了|对|在|随着|根据|按照|鉴于|一旦|即使|作为|关于")
_HANGING_ZH = re.compile(r"[时后前者下中则的因即间上如是为]$|方面$")
_PREDICATE_ZH = re.compile(r"[是为即指]|就是|包括|例如|比如|也就是")
_VERB = _any(
    r"is are was were has have had does did can could may might must should will would cannot causes? lowers? reduces? increases? raises? helps? treats? "
    r"prevents? works? lasts? affects? acts? includes? needs? requires? occurs? leads? makes? takes? improves? relieves? blocks? inhibits? protects? "
    r"contains? begins? starts? shows? remains? becomes? depends? means? slows? kills? gives? comes? thins? opens? widens? spreads? damages? controls? "
    r"produces? binds? cures? eases? heals? triggers? worsens? interacts? enters? leaves? rises? falls? drops? stimulates? suppresses? absorbs? breaks? "
    r"passes follows? appears? develops? persists? resolves? varies ranges? involves? supports? allows? removes? dissolves? strengthens? weakens? relaxes? "
    r"constricts? narrows? stays? keeps? lets? happens? goes says"
)
_VERB_ZH = re.compile(
    r"[是有为可能会应需使令致含属]|用于|引起|降低|升高|增加|减少|包括|治疗|抑制|促进|影响|改善|缓解|预防|保护|作用于|发生|出现|服用|扩张|损[伤害]|分泌|控制"
)
# What a clause can't begin with if it has a subject of its own.
_SUBJECTLESS = _any(
    r"it its they them their this that these those he his she her such which who whom whose where so then thus hence therefore yet also often usually "
    r"sometimes is are was were has have had can could may might must should will would does did be been being to but or nor because"
)
_SUBJECTLESS_ZH = re.compile(
    r"[是有为能会应需要使令致含属不没无未勿也还都又再仅只因由在从将被把常较最则就即且并而但故所以它其该此这禁忌慎她]"
    r"|对(?!乙酰)|可(?!待因|乐定)|多(?![西巴潘柔塞奈])|更(?!昔)|那(?![格他屈])|他(?![汀克莫达唑扎])|通常|一般|主要|建议|必须|每[日天]|分次"
)
_AND = re.compile(r"[\s,;]*and\s", _I)
_JOIN = re.compile(r"[\s,;，；、]*(?:(?:and|so|then|therefore|thus|hence)\b[\s,]*|(?:因此|所以|因而|故|并且|而且|并|且)[，,]?)?", _I)
_TRAILER = re.compile(r"[\s,;]*(?:(?:which|who|because|since|so)\b|[a-z]{2,20}ing\b)", _I)
_EXPLETIVE = re.compile(
    r"it(?:['’]s|\s+(?:is|was|may\s+be|can\s+be))\s+(?:(?:very|also|[a-z]{2,15}ly)\s+)?(?:(?:important|essential|advisable|necessary|best|possible"
    r"|crucial|vital|better|safer|wise)"
    r"\s+(?:to|that|for)|(?:known|thought|estimated|believed|recommended|unclear|clear|likely|true)\s+(?:that|whether))\b",
    _I,
)
_PRONOUN = re.compile(
    r"(?P<it>its?\b)|(?P<they>(?:they|them|their)\b)|(?P<he>(?:he|his)\b)|(?P<she>(?:she|her)\b)"
    r"|(?P<the>the\s+(?:drug|medicine|medication|tablet|condition|disease|disorder|illness|treatment|procedure|test|vaccine|dose"
    r"|infection)s?\b(?!\s+(?:of|for|in|that)\b))"
    r"|(?P<ta>它们?|其(?![他它实余次中])|该|本[品病]|此[药病类])|(?P<person>他(?![汀克莫达唑扎])们?|她们?)",
    _I,
)
_ADDS = re.compile(
    r"(?:also|in\s+addition|additionally|moreover|furthermore|besides|finally|first(?:ly)?|second(?:ly)?|third(?:ly)?|next|lastly|generally"
    r"|usually|typically|sometimes|often"
    r"|overall|and)\b[\s,]*|(?:此外|另外|同时|而且|并且|再者|还有|首先|其次|最后|通常|一般)[，,]?",
    _I,
)
_LEANS = re.compile(
    r"(?:therefore|thus|hence|so|consequently|accordingly|as\s+a\s+(?:result|consequence)|because|for\s+(?:this|that|these)\s+reasons?|this|that"
    r"|these|those|such|then|otherwise"
    r"|in\s+(?:this|that|such)|if\s+(?:so|not)|for\s+(?:example|instance)|e\.g|similarly|likewise|instead|rather|nevertheless|nonetheless|however"
    r"|but|yet|still|or"
    r"|(?:in|by)\s+contrast|on\s+the\s+other\s+hand|conversely|the\s+(?:former|latter|same)|which|who|even\s+so|in\s+other\s+words|namely"
    r"|specifically|in\s+particular"
    r"|(?:since|until|by|before)\s+then|(?:after|before|during)\s+(?:this|that)|at\s+(?:that|this|the\s+same)|afterwards|meanwhile)(?![a-z])"
    r"|因此|所以|故|因而|由此|于是|这|那(?![格他屈])|从而|为此|据此|可见|其中|上述|以上|前者|后者|两者|二者|同样|同理|反之|相反|否则|不然|然而|但"
    r"|不过|可是|却|则|例如|比如|换言之"
    r"|也就是说|具体|并(?!发)|且|此后|之后|随后|接着|此时|届时"
    r"|(?:most|some|many|all|none|few|others?|each|both|neither|another|one)\s+(?:of\s+(?:them|these|those)|are|is|were|was|can|may|might|will"
    r"|have|has|do|does|go|need)\b"
    r"|(?:大?多数?|部分|少数|有[些的])(?=[会可能在无不是为需])",
    _I,
)
_TURNS = re.compile(
    r"(?:however|but(?!\s+not)|yet|still|nevertheless|nonetheless|even\s+so|(?:in|by)\s+contrast|on\s+the\s+other\s+hand|conversely)(?![a-z])|然而|但(?!不包括|除)|不过|可是|相反|反之",
    _I,
)
# Sentences that change the one before: without them it would say more than it did.
_COMPLETES = re.compile(
    r"(?:except|unless|only\s+(?:if|when|in|for)|provided|as\s+long\s+as|but\s+not|not\s+(?:in|for|with|during|when|if)|excluding|apart\s+from)\b"
    r"|(?:this|that|it)\s+(?:is|was)\s+(?:[a-z]{1,15}\s+)?(?:false|wrong|incorrect|untrue|a\s+myth|not\s+(?:true|so|the\s+case))\b"
    r"|除非|除外|除[^外]{1,20}外(?![，,]?.{0,6}[还也另])|前提是|但不包括|但除|仅限|只限|只有|并非如此|事实并非|(?:这|那|此|该|上述).{0,8}(?:错误|不对|误区|谣言"
    r"|不实|不正确)",
    _I,
)
_CARE = re.compile(
    r"\b(?:doctors?|physicians?|pharmacists?|emergency|ambulance|hospital|911|999|112|medical\s+(?:help|care|attention|advice))\b|就医|就诊|医生"
    r"|医师|药师|急诊|急救|医院|120",
    _I,
)


def sentence_spans(text: str, opens: Iterable[int]) -> Iterator[Span]:
    """Sentences of a text; one also ends where a claim ``opens`` after a full stop in bold ("**Rest helps.** Honey heals.")."""
    places = sorted(opens)
    for found in sentences(text):
        start = found.start
        for at in places[bisect_right(places, start) : bisect_left(places, found.end)]:
            lead = text[max(start, at - 12) : at]
            begin = at - len(lead) + len(lead.rstrip(_TIGHT))
            stopped = lead.rstrip(OPENERS + CLOSERS).endswith((".", "!", "?", "。", "！", "？"))
            if stopped and text[begin - 1].isspace() and not LIST_MARK.fullmatch(text, start, begin):
                yield Span(start, start + len(text[start:begin].rstrip()))
                start = begin
        yield Span(start, found.end)


def letters(text: str) -> str:
    """Letters and digits of a text, small: what tells whether two say the same words."""
    return _NO_LETTER.sub("", text.lower())


def opening(sentence: str) -> str:
    """How a sentence begins, without marks and without words that only add ("Moreover, ", "此外，")."""
    text = sentence[:200].lstrip(OPENERS)
    while added := _ADDS.match(text):
        text = text[added.end() :]
    return text


def pronoun(begin: str) -> str | None:
    """The pronoun that a sentence opens with, by its kind; none where "it" stands for nothing ("It is important to ...")."""
    found = _PRONOUN.match(begin)
    return found.lastgroup if found and not _EXPLETIVE.match(begin) else None


def continues(sentence: str) -> bool:
    """Whether a sentence begins as none does, in brackets or small letters: it was split off the one before."""
    return sentence[0] in "([（【,，" or (sentence[0].isascii() and bool(capital(sentence, 0)))


def leans(begin: str, *, apart: bool) -> bool:
    """Whether a sentence that begins so draws on the one before, and means little or something else without it.

    Parameters
    ----------
    begin : str
    apart : bool
        Whether a paragraph ends between them: a contrast ("However, ...") then turns on the whole of it.
    """
    return bool(_LEANS.match(begin) or _COMPLETES.match(begin)) and not (apart and _TURNS.match(begin))


def completes(begin: str) -> bool:
    """Whether a sentence that begins so is an exception to the one before, or denies it."""
    return bool(_COMPLETES.match(begin))


def seeks_care(text: str) -> bool:
    """Whether a text sends to a doctor, and does not say that none is needed."""
    return bool(_CARE.search(text)) and not _DENIES.search(text)


def limits(text: str) -> bool:
    """Whether a text holds a negation, a condition, a contrast or an exception."""
    return bool((_LIMITS_ZH if language(text) == "zh" else _LIMITS).search(text))


def excepts(text: str) -> bool:
    """Whether a lead-in makes exceptions of what it leads in."""
    return bool(_EXCEPTS.search(text))


def bare_answer(sentence: str) -> bool:
    """Whether a sentence is a yes or a no, which the next one gives the sense of."""
    return len(sentence) < 40 and bool(_BARE_ANSWER.fullmatch(sentence.strip(OPENERS + CLOSERS + ENDS + ",，")))


def conditions(text: str) -> bool:
    """Whether a text says when something else holds."""
    return bool(_CONDITION.search(text))


def labels(text: str) -> bool:
    """Whether a text only names what follows, like "Side effects:": short, without a verb, with a colon."""
    bare = text.rstrip("*_ ")
    return bare.endswith((":", "：")) and not (_VERB.search(bare) or _VERB_ZH.search(bare)) and len(bare) <= 30 and len(bare.split()) <= 4


def joint(clause: str) -> int:
    """How many characters at the beginning of a clause only join it to the one before."""
    found = _JOIN.match(clause)
    return found.end() if found else 0


def own_subject(clause: str) -> bool:
    """Whether a clause names what it is about, so that it can open a sentence."""
    body = clause[joint(clause) :]
    if language(body) == "zh":
        return not _SUBJECTLESS_ZH.match(body)
    verb = _VERB.search(body)
    return verb is not None and verb.start() > 0 and not _SUBJECTLESS.match(body) and not _SUBORDINATE.match(body)


def cuts_clean(sentence: str, head: str, lost: str, first: str) -> bool:
    """Whether the clauses ``lost`` can go and leave what was meant.

    Parameters
    ----------
    sentence : str
    head : str
        What comes before the first lost clause; empty where the sentence begins with it.
    lost : str
        All lost clauses.
    first : str
        The first of them.
    """
    chinese = language(sentence) == "zh"
    if _FRAMES.search(sentence) or limits(lost):
        return False
    if _AMOUNT.search(head) and _AMOUNT.search(lost):
        return False
    head, first = head.lstrip(OPENERS).rstrip(" \t,，、;；"), first.lstrip(OPENERS)
    if not head:
        return not chinese and not _REPORTS.search(lost)
    if chinese:
        return bool(_VERB_ZH.search(head)) and not (_SUBORDINATE_ZH.match(head) or _HANGING_ZH.search(head) or _PREDICATE_ZH.match(first))
    if not _VERB.search(head) or _SUBORDINATE.match(head) or (_LIMITS.search(head) and not _AND.match(first)):
        return False
    # A clause, or the only thing that was added: the end of a list of three would be missed.
    return bool(_VERB.search(first) or _TRAILER.match(first)) or "," not in head


def stays_after_gap(clause: str) -> bool:
    """Whether a clause may stay where the one before it was cut.

    Never in Chinese, where a topic carries on without being named: it could be taken for another's.
    """
    return language(clause) != "zh" and _AND.match(clause) is not None and own_subject(clause)


def capital(text: str, at: int) -> list[tuple[int, int, str]]:
    """The edit that gives a word in small letters the capital that opens a sentence; none for "pH" or "5 mg"."""
    word = _SMALL.match(text, at)
    return [(at, at + 1, text[at].upper())] if word and word.group().islower() else []
