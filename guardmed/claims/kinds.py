"""What kind of saying a claim is, told from its words, in English and Chinese.

Hedges are those that Hyland counts as epistemic (K. Hyland, *Hedging in Scientific Research
Articles*, 1998), less those of quantity and frequency; the *may* of permission is kept apart from
that of possibility as in Palmer (*Mood and Modality*, 2001). The rules are GuardMed's own. No
pattern repeats an open-ended part inside another, so the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from typing import Literal

from guardmed.claims.courtesies import says_nothing
from guardmed.claims.lexicon import forbids, holds_dose, holds_number, names_drug
from guardmed.text import normalise

ClaimKind = Literal["fact", "hedged", "question", "advice", "other"]

_I = re.IGNORECASE
_MARKS = re.compile(r"[*_`~#>]+|<[^<>\n]{1,20}>|\[\d{1,3}(?:[,-] ?\d{1,3}){0,8}\]")
_ADDRESS = re.compile(r"\b(?:https?://|www\.|doi:? ?10\.)[^\s，。；）]+|\b10\.\d{4,9}/[^\s，。；）]+", _I)
_LIST_MARK = re.compile(r"(?:[-+•·●○▪◦‣]|[(（]?\d{1,2}[.)、）](?!\d)|[(（]?[一二三四五六七八九十]{1,3}[)）、]|[①-⑳])\s*")
_WORD = re.compile(r"\w")
_COMMA = re.compile(r"[,，] ?")
# As much of a text as decides whether it advises.
_OPENING = 240


def _either(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), _I)


# --- questions --------------------------------------------------------------------------------

_CLOSES = r"[\"'”’)\]）】」』\s_。.!！…]*$"
_ASKS = _either(
    r"[?？][\"'”’)\]）】」』\s_]*$",
    rf"[吗么]{_CLOSES}",
    rf"(?:什么|怎|哪|几|多|谁|没有|是否)[^。.!！]{{0,30}}呢{_CLOSES}",
    r"(?:(?<![下这好前第十分有])几|多少|多大|哪)[片粒颗次天个年周岁种家科]?$",
)
# Without a mark at its end, as in a heading.
_ASKS_BARE = _either(
    r"(?:what|why|how|who|which|where) (?:is|are|was|were|do|does|did|can|could|should|would|will|has|have|many|much|long|often)\b[^.!:：,]*$",
    r"(?:what|which|how) \w+ (?:should|can|could|do|does|is|are|will)\b[^.!:：,]*$",
    r"(?:什么是|为什么|为何|怎么|怎样|如何|哪些|哪种|哪个|多少|何时|是否|能否)[^。！!：:，,]*$",
)
_ASKS_INSIDE = _either(r"什么|哪[些种个]|怎么|如何|多久|多少|(?<![下这好前第十分有])几[片粒颗次天]|能不能|可不可以|有没有|要不要|是不是|会不会")
_TELLS_INSIDE = _either(
    "不确定|不清楚|不知道|不明确|取决|询问|告[诉知]|确[认定]|评估|判断|检查|查看|咨询|观察|了解|注意|无论|不管|不论|任何|没什么|没有什么|说明|记录|学习|掌握|。"
)

# --- advice -----------------------------------------------------------------------------------

# What stands before the saying itself.
_PREFACE = _either(
    "(?:and|but|so|or|then|also|next|first(?:ly)?|second(?:ly)?|finally|lastly|instead|therefore|however|meanwhile|additionally|in addition|furthermore"
    "|overall|generally|in general"
    "|otherwise|in that case|ideally|as always|of course|most importantly|above all|at the same time|in the meantime|tip|note|important|warning|advice"
    r"|disclaimer)\b[,:]? ",
    "(?:please )?(?:note|remember|keep in mind|bear in mind|be aware|understand|know|(?:it is|it's) (?:important|worth|essential) to (?:note|remember|know)"
    "|(?:it should be|it is) noted) that ",
    r"remember, ",
    "(?:请[您你]?(?:务必)?注意|需要?注意的?是|值得注意的是|注意|需要(?:强调|说明|提醒)的是|同时|另外|此外|还有|因此|所以|但是?|不过|而且|并且|并|且|总之"
    "|首先|其次|再次|最后|然后|接着|平时"
    r"|日常生活?中?|生活中|生活上|饮食上|一般来说|温馨提示|提示)(?:[，,：:]|(?=[请建最务记要应需尽及避不勿多少可保若如一]))",
)
_LABEL = re.compile(r"[^:：,，;；。.!?！？]{1,60}[:：] *(?=\S)")
_CONDITION = _either(
    "(?:if|when|whenever|should|before|after|while|until|once|in case|for|to|as|since|because|with|during|given|regarding|based on|despite"
    r"|although)\b[^,.;]{1,160}, ?(?:then )?",
    r"(?:如果?|若|一旦|假如|假设|要是|当|出现|万一|为了?|对于|在|由于|因为|就诊)(?:(?!请|建议|务必|及时)[^，,。；]){1,60}[，,](?:那么|则|就)?",
    r"[^，,。；]{1,24}(?:时|前|后|期间|的话|情况下)(?:[，,]|(?=[请应需要最建注避务必可先]))",
)
_HANGS = _either(r"(?:if|when|until|unless|to|for|by|as|because|with|in)\b|如|若|当|为|在|以")
_TO_DOCTOR = _either(
    r"\b(?:consult|ask|talk (?:to|with)|speak (?:to|with)|check with|contact|call|phone|dial|seek|visit|see (?:a|an|your|the)|discuss|tell|inform"
    "|follow up with|go to|schedule|book"
    r"|make an appointment|reach out|refer to|get (?:medical|emergency|urgent|immediate|professional))\b",
    "咨询|询问|请教|就医|就诊|看医生|看病|医生?指导|医师指导|药师指导|遵医嘱|遵从医|听从医|去医院|到医院|医院.{0,6}(?:检查|就)|急诊|告[知诉]医|联系医"
    "|[向问找和跟].{0,6}(?:医生|医师|药师)|拨打|呼叫|专科",
    r"(?:皮肤|内|外|儿|妇|眼|骨|神经|消化|心血管|呼吸)科",
)
_ADVISED = (
    "best|important|advisable|recommended|advised|essential|crucial|wise|better|necessary|helpful|vital|safest|worth|imperative|a good idea|good practice"
)
_SHOULD = _either(
    r"you (?:also |always |still |really )*(?:should|must|need to|needn't|ought to|have to|shouldn't|mustn't|'d better|had better"
    r"|can (?:also |simply |always )*(?:try|ask|consider|start|use|talk|speak|consult|contact)|could (?:also |always )*(?:try|ask|consider|talk|speak|use)"
    "|(?:may|might) (?:also )?(?:want|wish|need|like|prefer|benefit from|consider)(?: to)?|(?:are|'re) (?:strongly |well )?(?:advised|encouraged"
    r"|recommended|urged) to)\b"
    r"(?! (?:feel|notice|recover|expect to feel|be (?:fine|able|well|back|better)))",
    r"(?:i|we)(?:'d| would)? (?:also |strongly |highly |always )*(?:recommend|suggest|advise|encourage|urge|propose)\b|(?:your|the) (?:best|safest|first"
    r"|next) (?:\w+ )?(?:is|would be) to\b",
    rf"(?:it|this)(?:'s| is| would be| may be| might be|'d be| could be) (?:\w+ly |also |always |often |very )*(?:{_ADVISED})\b(?: for you)? ?(?:to|that you"
    r"|if you|\w+ing)\b",
)
_THEY_SHOULD = _either(r"\b(?:should|must|need to|are advised to|ought to)\b(?: \w+ly| also| first| always)? (?=\w)")
_DO = (
    "add adjust adopt allow always apply ask attend avoid be bear book breathe bring buy call carry change check choose clean combine complete consider"
    " consult contact continue cook",
    "cover cut dial discuss do don't drink dry eat elevate engage ensure establish exercise expect explore find finish focus follow gargle get give go have"
    " help hold hydrate include",
    "incorporate increase inform inject inhale join keep know learn let lie limit listen lower maintain make manage massage measure minimize moisturise"
    " moisturize monitor move never",
    "note observe opt place plan practice practise prepare prevent prioritize protect put quit raise reach read record reduce refrain relax remain remember"
    " remove repeat replace report",
    "rest return review rinse schedule see seek select set share sit skip sleep soak speak start stay stop store stretch swallow take talk tell test think"
    " track treat trust try turn use",
    "visit wait walk warm wash watch wear write",
)
_DO_TOO = "bathe brush dab dilute dress elevate floss flush lean lift loosen pat press prop rub stand support swap switch taper undergo update verify"
_NOUN_TOO = (
    "cut exercise help increase limit note place plan practice protect report rest return review sleep start stretch test treat use visit walk watch change"
    " check cover drink focus",
    "measure move reach record share store track trust turn wash work",
)
_DOES = _either(
    rf"(?:please |kindly |just |simply |always |do |strictly |carefully |immediately )*(?:{'|'.join(' '.join([*_DO, _DO_TOO]).split())})\b(?!['’-])"
)
# "Rest is as good", "use of": things, no orders.
_THING = _either(
    rf"(?:{'|'.join(' '.join(_NOUN_TOO).split())})s? (?:is|are|was|were|has|have|can|may|might|could|should|will|must|does|of|for|in|and \w+ (?:is|are|can)"
    r"|\w+(?:[^s\W]s|ed))\b(?! (?:your|the))"
)
_DO_ZH = _either(
    # 直接的要求与劝告
    "(?:(?:您|你|患者您)(?:也|还|可|平时|一定|目前|现在|需|最好)*)?(?:请|建议|最好|务必|记得|切记|注意|尽量|尽快|尽早|不妨|推荐|避免|不要|别|勿|切勿|切忌"
    "|千万|及时|立即|马上|需要?|必须|一定要|要|宜|还是"
    "|也|先|平时|日常|如有|应(?!该?(?:是|没|不会|会|能|问题不大|就是|只是|属于)|激|用)[该当]?|可以?(?:尝试|考虑|咨询|试|先|适当|通过|多|记录|选择|到|去|向"
    "|问|找))",
    # 以动词开头、没有主语的生活指导
    "(?:多(?:喝|休|吃|饮|运|锻|晒|做|注|补|摄|听|与)|少(?:吃|喝|食|量|抽|熬)|保[持证暖护湿]|确保|坚持|遵|定期|咨询|就医|就诊|前往|去|到.{1,8}(?:科|医院)|必要时"
    "|拨打|联系|告[知诉]|观察|戒[烟酒]|适当|适[量度]"
    "|加强|控制|合理|清淡|规律|注重|做好|养成|改善|调整|选择|监测|复查|随访|卧床|学会|放松|均衡|低[盐脂糖]|忌|减少|减轻|补充|抬高|冷敷|热敷|局部[冷热]敷"
    "|严格|按照|遵照|常备|家中|准备|随时|关注|留意|远离|杜绝|尝试|佩戴|涂抹|漱口|锻炼|等.{1,12}再|穿|避|密切|按时|听从|随身|睡前"
    "|饭[前后]|餐[前后]|用药前|服药前|使用前|洗)",
    "[^，,。]{0,14}(?:不要|切勿|勿|不能|不可|不得|别)(?:擅自|自行|随意|盲目|轻易)|[^，,。]{1,8}要(?:规律|适量|适度|清淡|均衡|充足|轻|慢|及时|注意)|最(?:好"
    "|稳妥|安全"
    "|佳)的?(?:办法|方法|选择|做法)是",
)
_OTHERS_ZH = _either(
    "(?:患者|病人|人群|[^您你]者|孕妇|产妇|妇女|女性|男性|儿童|婴儿|幼儿|新生儿|老人|老年人|成人|青少年|学龄童)[^，,。]{0,8}?(?:应|需|要|必须|不宜|不能"
    "|避免|可)"
)
_ADVISE_ZH = re.compile(r"[^，,。]{0,16}(?:请|建议|应|需|最好|尽快|及时|务必|要|先)")
# A reason or an effect, which can be checked.
_ASSERTS = _either(
    r"\bbecause\b|, (?:since|as it|as they|which)\b|\botherwise\b|因为|由于|否则|会(?:导致|引起|加重|增加|使)",
    r"(?:以|可以|能够?|有助于|有利于)(?:降低|减少|缓解|预防|改善|促进|提高|避免)",
)

# --- hedges -----------------------------------------------------------------------------------

_PERMITTED = (
    "taken use used given give repeat repeated resume resumed drink eat drive stop stopped start started continue continued switch apply applied return"
    " increased reduced administered",
    "crushed chewed swallowed mixed stored opened combined prescribed bathe shower exercise travel go receive breastfeed ask choose call contact",
)
# Of possibility only: no month, no permission.
_MAY = re.compile(
    r"(?:^May(?! (?:is|was|has|had|and|to)\b)|\bmay\b)(?! \d)(?! (?:not )?(?:also |still |then |only |usually |be |safely |either |always |instead )*"
    # What takes time is no permission.
    f"(?:{'|'.join(' '.join(_PERMITTED).split())}|take(?! (?:some|several|up|long|longer|time|years|months|weeks|days|hours|place|effect|a (?:few|while"
    r"|long|little)|\d)))\b)"
)
_SOURCES = "stud(?:y|ies)|research|evidence|data|trials?|reports?|findings?|results?|experts?|scientists?|researchers?"
_HEDGES = _either(
    r"\bmight\b|\bcould\b(?! not\b|n't)|\b(?:possibly|perhaps|maybe|probably|presumably|conceivably|supposedly|allegedly|reportedly|apparently|seemingly)\b",
    r"\bpotentially\b(?! (?:fatal|life|dangerous|harmful|serious|toxic|lethal|inappropriate|deadly|hazardous|severe))",
    # "More likely to" compares risks.
    r"(?<!more )(?<!less )(?<!as )\b(?:un)?likely\b(?! than)|(?<!not )\bpossible that\b|\bit is (?:possible|plausible|conceivable|probable)\b",
    r"\b(?:is|are|was|were|been) (?:thought|believed|suspected|assumed|supposed|presumed|hypothesi[sz]ed|speculated|said) (?:to|that)\b",
    r"\bseems?\b|\bappears? (?:to|that|as if)\b|\b(?:it|this|that) (?:looks?|sounds?) (?:like|as if|as though)\b|\bthere (?:is|'s) a (?:chance|possibility)\b",
    rf"\b(?:{_SOURCES})\b(?: \w+){{0,3}} (?:suggests?|hints?|believes?|thinks?|suspects?|speculates?)\b|\bsuggest(?:s|ing|ed)? that\b",
    r"\b(?:i|we) (?:\w+ )?(?:think|believe|suspect|guess|assume|suppose|feel that)\b|\bin my (?:opinion|view)\b|\b(?:as|so) far as (?:i|we) know\b"
    r"|\bto my knowledge\b",
    r"\b(?:not|n't|un|not be|n't be)(?: entirely| quite| completely| really)? ?(?:sure|certain|clear) (?:whether|if|that|how|why|what)\b|\b(?:can't"
    r"|cannot) be (?:sure|certain)\b",
    r"\bunclear\b|\buncertain\b|\b(?:i|we) (?:don't|do not) know (?:whether|if)\b|\bin theory\b|\btheoretically\b",
    # 可能性、不可能、尽可能、“可能的副作用”不算
    r"(?<!不)(?<!尽)(?<!如有)(?<!只要有)可能(?!性|的话|的情况下|的(?:副作用|不良反应|原因|并发症|病因|症状|风险|诊断))|不太可能|不大可能",
    r"也许|或许|大概|似乎|好像|貌似|看起来|看上去|看来|听起来|听上去|说不定|恐(?:怕|已|为|会|将)|八成|多半|推测|据说|据称|疑为|理论上|不好说|据我们?所知",
    r"[据被]认为|(?:一般|普遍|目前|通常|有人|学者|专家|多数人?)认为|(?:我|个人|本人)(?:认为|觉得|感觉|猜|想)|我们?怀疑|怀疑(?:是|为|与)",
    # “估计肾小球滤过率”不算
    r"^估计(?!肾|值|算|的)|我估计|[，,]估计(?!肾|值|的)|估计(?:没|是|不|会|可能|要|有|和|与|只|属)|我[也还]?(?:不|不能|不敢|无法)太?(?:确定|肯定)",
    r"(?:尚|还|仍|目前)(?:不|未|没有?|并不|无法)(?:完全|十分)?(?:清楚|明确|肯定|确定|定论)|应该(?:是|没|不会|不是|能|问题不大|就是|只是|属于)",
    r"(?:研究|证据|数据|文献|资料)\w{0,4}提示|或(?:与|和|因|由).{1,24}(?:有关|相关|所致|引起)|[尚仍]无定论|不得而知|(?:尚|仍)?(?:存在|有)争议"
    "|有待(?:进一步)?(?:研究|证实|明确)",
)


def claim_kind(text: str) -> ClaimKind:
    """What a saying does: assert, assert with a doubt, ask, advise, or nothing of these.

    Parameters
    ----------
    text : str
        A claim, in English, Chinese, or both; Markdown marks and a list mark before it are not read.

    Returns
    -------
    {"fact", "hedged", "question", "advice", "other"}
        ``"question"``
            Asks: ends with a question mark, or has the form of a question without one.
        ``"other"``
            Asserts nothing about medicine: greetings, thanks, refusals, disclaimers, what the
            answer says of itself ("Here is ...", "希望对您有帮助"), references. A text is this
            only if all its parts are.
        ``"advice"``
            Tells the person to do or ask something, and nothing in it can be checked. An
            instruction that holds a number, a dose, a drug or a contraindication is a fact; that
            a drug is named does not make one of the advice to ask a doctor. So is one with its
            reason or effect. What *others* should do ("patients with ... should") is a
            guideline, thus a fact.
        ``"hedged"``
            Asserts, and the speaker limits his own certainty: *may*, *might*, *probably*, *it is
            thought*, 可能, 大概, 据认为. The *may* of permission, how often something happens
            (*usually*, *in some people*, 有时) and 可能性 are no hedges.
        ``"fact"``
            The rest.

    Notes
    -----
    Only the words are read. Not seen are: irony and rhetorical questions; hedges by tone or by a
    bare adjective ("a possible link"); *may* of permission with a rare verb; questions in reported
    speech; drugs whose names have no usual stem; courtesies and advice in rare words, which pass
    for facts; a doubt that lies in an earlier sentence.
    """
    said = _ADDRESS.sub(" ", _MARKS.sub("", normalise(text).text)).replace("|", ", ").strip()
    said = _LIST_MARK.sub("", said, count=1) if _LIST_MARK.match(said) else said
    if not _WORD.search(said):
        return "other"
    if _asks(said):
        return "question"
    if not holds_dose(said) and says_nothing(said):
        return "other"
    if _advises(said):
        return "advice"
    return "hedged" if _MAY.search(said) or _HEDGES.search(said) else "fact"


def orders(text: str) -> bool:
    """Whether an English text opens with an order: "take ...", "do not ..."."""
    return _DOES.match(text) is not None and _THING.match(text) is None


def _asks(said: str) -> bool:
    if _ASKS.search(said[-80:]) or (len(said) <= 160 and _ASKS_BARE.match(said)):
        return True
    return len(said) <= 40 and _ASKS_INSIDE.search(said) is not None and not _TELLS_INSIDE.search(said)


def _advises(said: str) -> bool:
    """Whether it tells the person to do something, and holds nothing that can be checked."""
    # "Hygiene: wash your hands" tells; "Better sleep: melatonin shortens ..." does not.
    label = _LABEL.match(said)
    main = said[label.end() :] if label and not _HANGS.match(said, label.end()) else said
    hangs = False
    for _ in range(4):
        condition = _CONDITION.match(main)
        opening = _PREFACE.match(main) or condition
        if not opening:
            break
        hangs = hangs or condition is not None
        main = main[opening.end() :].lstrip()
    main = main[:_OPENING]
    consults = _TO_DOCTOR.search(main) is not None
    # "If there is pain, swelling, or pus, call ...": the order may stand after a later comma.
    orders_at = [0, *(comma.end() for comma in _COMMA.finditer(main))][: 8 if hangs else 1]
    if not any(_tells(main[at:], consults=consults) for at in orders_at) or (not consults and _OTHERS_ZH.search(said[:60])):
        return False
    if _ASSERTS.search(said) or holds_number(said) or holds_dose(said):
        return False
    return consults or not (names_drug(said) or forbids(said))


def _tells(main: str, *, consults: bool) -> bool:
    if _SHOULD.match(main) or orders(main):
        return True
    if consults:
        should = _THEY_SHOULD.search(main)
        if (should and _TO_DOCTOR.match(main, should.end())) or _ADVISE_ZH.match(main):
            return True
    return _DO_ZH.match(main) is not None
