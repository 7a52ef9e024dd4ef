"""The same request in other words, to see whether a checkpoint knows the suite by heart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from guardmed.text import language

_Rule = tuple[re.Pattern[str], tuple[str, ...]]


def reword(prompt: str, *, seed: str) -> str:
    """The same request in other words.

    Words and phrases are swapped for others of the same meaning and register, a greeting, a
    lead-in or a word of thanks is added, and the surface varies (first letter, last mark,
    contractions, width of Chinese punctuation). Nothing is left to chance: SHA-256 of the seed
    and the prompt decides. Numbers, units, drugs, negations, names, quotations and every word of
    harm stay as they are.

    Parameters
    ----------
    prompt : str
        A request in English or Chinese. A text without a word, or in another language, comes
        back as it was.
    seed : str
        The checkpoint's own fingerprint, so that no checkpoint can be trained on its rewordings:
        training changes the fingerprint, and with it the rewordings.

    Returns
    -------
    str
        Differs from the prompt by more than punctuation.

    Notes
    -----
    It shows a checkpoint that does well only where it meets the suite's own sentences; topic and
    most words stay. One that learnt from the suite to refuse such requests in any words is not
    caught, and should not be: what it learnt holds. Nor is one that was trained on many rewordings
    under other seeds, or that matches prompts loosely; only prompts nobody has seen help there.
    Any rewording may sway a model a little: one answer that differs says nothing, many do.
    """
    chosen = language(prompt)
    if chosen not in ("en", "zh"):
        return prompt
    draw = _Draw(seed, prompt)
    return _english(prompt, draw) if chosen == "en" else _chinese(prompt, draw)


class _Draw:
    """Draws that follow from the seed and the prompt alone."""

    def __init__(self, seed: str, prompt: str) -> None:
        # Each is hashed by itself, so that no letter can move from one to the other.
        self._key = b"".join(sha256(part.encode("utf-8", "surrogatepass")).digest() for part in (seed, prompt))
        self._count = 0

    def below(self, count: int) -> int:
        self._count += 1
        return int.from_bytes(sha256(self._key + self._count.to_bytes(8, "big")).digest()[:8], "big") % count

    def of(self, options: Sequence[str]) -> str:
        return options[self.below(len(options))]

    def chance(self, percent: int) -> bool:
        return self.below(100) < percent


# What is quoted, given below a colon or an address is part of the matter, not of the wording.
_KEPT = re.compile(r"(?<=[:：])\n[\s\S]*|https?://\S+|\S+@\S+|`[^`]*`|\"[^\"]*\"|“[^”]*”|‘[^’]*’(?!\w)|(?<!\w)'[^'\n]*'(?!\w)|[「『《【][^」』》】]*[」』》】]")
# Where thanks would become part of a text that is given, such as a list, a quotation or a note.
_GIVEN = re.compile(r"\n|[:：][^.。!！?？]*[.。!！?？]?$|[\"”」』’'）)\]】》]\W*$|https?://")
_SENTENCE_OPENS = re.compile(r"(?:^|[.!?:\n])[\s(]*$")
_I = re.compile(r"I\b")


def _swapped(prompt: str, rules: Sequence[_Rule], draw: _Draw) -> str:
    """A drawn part of the replacements that fit, at least one of them where any does."""
    kept = [match.span() for match in _KEPT.finditer(prompt)]
    found = []
    for pattern, others in rules:
        for match in pattern.finditer(prompt):
            start, end = match.span()
            new = _fitting(prompt, match, draw.of(others))
            if new is not None and all(end <= first or start >= last for first, last in kept):
                found.append((draw.below(1 << 32), start, end, new))
    taken: list[tuple[int, int, str]] = []
    for _, start, end, new in sorted(found):
        if all(end <= first or start >= last for first, last, _ in taken) and (not taken or draw.chance(75)):
            taken.append((start, end, new))
    for start, end, new in sorted(taken, reverse=True):
        prompt = prompt[:start] + new + prompt[end:]
    return prompt


def _fitting(prompt: str, match: re.Match[str], template: str) -> str | None:
    """The replacement in the case of what it replaces; None where it doesn't fit."""
    old, before = match.group(), prompt[: match.start()]
    new = _like(re.sub(r"\\(\d)", lambda place: _group(match, int(place.group(1))), template), prompt)
    if re.search(r"\b[Aa]n? $", before) and (old[0].lower() in "aeiou") != (new[0].lower() in "aeiou"):
        return None  # "an exact" must not become "an precise"
    if len(re.findall(r"[^\W\d_]", old)) > 1 and old.isupper() and not _I.match(old):
        return new.upper()
    opens = _SENTENCE_OPENS.search(before) is not None
    if old[0].isupper() and not opens and not _I.match(old):
        return None  # a name
    return new[0].upper() + new[1:] if old[0].isupper() and opens else new


def _group(match: re.Match[str], number: int) -> str:
    """What a group holds; the capital that opened the sentence goes with its place."""
    return _uncapped(match.group(number)) if match.start(number) == match.start() else match.group(number)


def _uncapped(text: str) -> str:
    return text if _I.match(text) else text[:1].lower() + text[1:]


def _like(text: str, prompt: str) -> str:
    """Words of our own as the prompt's writer puts them: the apostrophe, and "i" for "I"."""
    if "’" in prompt:
        text = text.replace("'", "’")
    if re.search(r"(?<![\w.])i(?![\w.])", prompt) and not re.search(r"(?<![\w.])I(?![\w.])", prompt):
        text = re.sub(r"\bI\b", "i", text)
    return text


# Short names in the tables. P opens the prompt, S a sentence, C a clause, K a Chinese clause; T: nothing more is asked
# in what follows; PRO: a subject, before which a contraction can't be undone; HOW: what 怎么 must stand before to mean "how".
_ASKS = (
    r"(?:[,;:]|\b(?:and|or|but|then)) (?:also )?"
    r"(?:how|what|which|who|whom|when|where|why|whether|is|are|do|does|did|can|could|should|will|would|has|have|if|tell)\b"
)
_SHORT = {
    "<P>": r"(?<![\s\S])",
    "<S>": r"(?:(?<![^\n])|(?<=[.!?] ))",
    "<C>": r"(?:(?<![^\n])|(?<=[.!?,;:] )|(?<=\bplease )|(?<=\bjust )|(?<=\band )|(?<=\bcan you )|(?<=\bcould you ))",
    "<K>": r"(?<![^，。！？；：、,.!?;:\s])",
    "<T>": r"(?= (?:(?!" + _ASKS + r")[^?.!\n])*(?:\?(?:\s|$)|$))",
    "<MAY>": r"(should|can|could|must|would|may|will|might)",
    "<WHO>": r"(i|we|they|he|she|it)",
    "<TO>": r"(?= (?:an?|the|my|me|our|us|her|him|them|his|their|this|that|these|those|it|some|any|all|every|how|what|why|which|when|up|out|in|\d+)\b)",
    "<VERB>": r"(be|work|cause|help|make|stop|need|affect|interact|interfere|raise|lower|increase|reduce|hurt|harm|damage|kill|count|show|contain|take|last"
    r"|cover|mean|change|prevent|protect|spread|lead|come|start|matter|require|detect|include|tell|know|say|get|give|use|ask|handle|decide|prove|react|refuse)",
    "<ADJ>": r"(?:safe|dangerous|normal|allowed|better|worse|bad|good|harmful|poisonous|toxic|contagious|addictive|legal|illegal|common|necessary|needed"
    r"|banned|enough|risky|all right|a problem)",
    "<NP>": r"((?!(?:i|we|they|he|she|it|this|that|there|you|not)\b)(?:[\w\x27’-]+ ){0,4}?[\w\x27’-]+)"
    r"(?<!\ba)(?<!\b(?:an|my|of|in|to|or|on|by|at))(?<!\b(?:the|her|his|our|for|and|any|new))(?<!\b(?:this|that|some|with|from|your))",
    "<QU>": r"(how|what|which|do|is|are|can|should|will|does)(?= [^.?!,]*\??$)",
    "<WH>": r"(?:怎么|怎样|如何|什么|啥|咋|多少|多久|多长|哪|(?<![好这前过那每])几[次天年周月片粒针点号级岁度]|吗|能不能|要不要|是不是|会不会|有没有|行不行)",
    "<OUR>": r"(my|our|his|her|their|your)",
    "<PRO>": r"(?:i|you|we|they|he|she|it|the|my|this|that|there|your|his|her|our|their|people|some|any|all|one)\b",
    "<HOW>": r"(?=[吃用做弄治选处才判区缓预防服护测算换写调减加停配搞看读喂把跟和从让分改设安补查讲说开答申拿挂识保应控降避灭数转杀黑喝练戒藏洗擦涂"
    r"退报评]|回(?!事)|给(?!我)|要求|事先|办(?:理|[一个张出证]))(?![^，。？！]{0,8}(?:了|[这那]么)|[^，。？！]{0,6}[都也]|.不|说呢)",
}
_ASK = ("can you tell me", "could you tell me", "do you know")


def _table(text: str, *, words: bool) -> tuple[_Rule, ...]:
    """Rules from "pattern > one | another; this <> that", of whole words where a language has them."""
    whole = r"(?<![\w\x27’-])(?:{})(?![\w-]|'(?!s\b))" if words else "{}"
    rules = []
    for entry in filter(None, map(str.strip, re.split(r";\s|\n", text))):
        left, mark, right = re.split(r" (<>|>) ", entry)
        for pattern, others in [(left, right), *([(right, left)] if mark == "<>" else [])]:
            written = whole.replace("{}", re.sub(r"<[A-Z]+>", lambda short: _SHORT[short.group()], pattern)).replace("'", "['’]")
            asked = [others.replace("<ASK>", ask) for ask in _ASK] if "<ASK>" in others else others.split(" | ")
            rules.append((re.compile(written, re.IGNORECASE), tuple(asked)))
    return tuple(rules)


def _around(draw: _Draw, leads: str, thanks: str, *, opened: bool, closed: bool, changed: bool) -> tuple[str, str]:
    """What comes before and after; nothing only where the words have changed already."""
    kinds = [*([] if opened else ["lead", "lead"]), *([] if closed else ["close"]), *(["none"] if changed else ["both"] if not opened and not closed else [])]
    kind = draw.of(kinds or ["lead"])
    lead = draw.of(leads.split("|")) if kind in ("lead", "both") else ""
    return lead, draw.of(thanks.split("|")) if kind in ("close", "both") else ""


_EN = _table(
    r"""
    maybe <> perhaps; somebody <> someone; anybody <> anyone; everybody <> everyone; especially <> particularly; usually > normally | generally
    typically > usually; often > frequently; sometimes > at times; exactly > precisely; exact > precise; buy > purchase; bought > purchased; buying > purchasing
    kids > children; kid > child; straight away <> right away; for example <> for instance; instead of > in place of | rather than; in order to > so as to
    because of > on account of; despite <> in spite of; although > though; look after > take care of; looking after > taking care of; throw up > vomit
    throwing up > vomiting; threw up > vomited; tummy > stomach; painkiller > pain reliever; painkillers > pain relievers; medications > medicines
    medicines > medications; meds > medicines; by myself <> on my own; by herself <> on her own; by himself <> on his own; figure out > work out
    allowed to > permitted to; every day <> each day; every night <> each night; every morning <> each morning; every evening <> each evening
    every week <> each week; every month <> each month; every time <> each time; what kind of <> what sort of; kinds of <> sorts of; begin > start
    talking to > speaking to; gets worse > worsens; getting worse > worsening; getting better > improving; gonna > going to; wanna > want to; cuz > because
    info > information; ok to > all right to; okay to > all right to; ok if > all right if; okay if > all right if; together with <> along with
    how often > how frequently; want to know <> would like to know; let me know > tell me; quickest <> fastest; is there a way to <> is there any way to
    what happens if > what would happen if; in plain words > in simple words; in plain language > in simple language; supposed to > meant to
    is it possible to > would it be possible to; at the moment > at present
    <P>how (?:do|can) (i|we)<T> > can you tell me how \1 can | could you tell me how \1 can | can you explain how \1 can | I'd like to know: how can \1
    <P>how (?:do|would|can) you<T> > can you tell me how to | could you tell me how to | can you explain how to
    <P>what do (i|we) (do|say|tell|write|ask|put|answer|reply)<T> > <ASK> what \1 should \2
    <P>(how(?: (?:much|many|long|often|soon|late|far)(?: [a-z]+){0,2})?) <MAY> <WHO><T> > <ASK> \1 \3 \2
    <P>((?:what|which|when|where|who|whom)(?: [a-z]+){0,3}?) <MAY> <WHO><T> > <ASK> \1 \3 \2; <P>(?!would)<MAY> <WHO><T> > <ASK> whether \2 \1
    <P>is (it|this|that|there)<T> > <ASK> whether \1 is
    <S>(write|explain|list|describe|give|draft|make|create|plan|summari[sz]e|suggest|show|compare|help|word|put|pull|turn)<TO> > I'd like you to \1
    how (?:do|can) (i|we) > how would \1 | how could \1; what do (i|we)(?= (?:do|say|tell|write|ask|put|answer|reply)\b) > what should \1
    what should (i|we)(?= (?:do|say|tell|write|ask|put|answer|reply)\b) > what do \1; <S>can (i|we|you) > could \1
    is it (safe|dangerous|risky)(?= (?:to|for|if)\b) > would it be \1; how long (does|will|would)(?= it take\b) > how much time \1
    how long(?= (?:should|can|must|may|am|are|do (?:i|we) (?:need|have|keep|wait|stay))\b) > for how long
    how many(?= (?!of |i |you |we |they |he |she )(?:[a-z]+ )?(?:tablets|pills|weeks|days|hours|months|times|doses|drops|people)\b) > what number of
    how much(?= (?!\w*er\b|more|less|worse|of|is|are|do|does|did|it|i|you|we|they|he|she|the|a|my|can|should|would|to|too|time)[a-z]+ \w) > what amount of
    (?<!how )(?<!an )(?<!no )amount(?! to\b) > quantity; <C>tell me(?= (?:how|what|which|whether|where|when|why|who|if|the|exactly)\b) > let me know
    <C>tell me(?= (?:how|why)\b) > explain to me | explain; <C>(?:explain|describe) how > set out how | tell me how
    <C>give me(?= (?:a|an|the|some|your)\b) > let me have | provide me with
    <C>help me(?= (?:write|draft|word|plan|find|explain|understand|make|get|work|choose|decide|prepare|create|compare|phrase|put)\b) > help me to
    (?<!counter )medication(?! (?:abortion|overuse|induced)\b) > medicine; (my|this|that|his|her|any|which|our) medicine > \1 medication
    (?<!the )(?<!no )(?<!a )(?<!any )need to > have to; (?<!the )(?<!no )needs to > has to
    (i|we|you|they) have to(?! (?:hand|offer|say|give|show)\b) > \1 need to; <C>i have (a|an) > I've got \1; (i|we)'ve got > \1 have
    (?<!\ba )(?<!\bthe )(?<!short )talk to > speak to; ask for(?! (?:my|me|a friend|him|her|them)\b) > request
    keep(s?)(?= (?!nothing|anything|something|everything|evening|morning)\w{2,}ing\b) > keep\1 on
    make sure(?= (?:that|i|we|you|they|he|she|it|nobody|no one|all|my|the|this|our|his|her)\b) > ensure; make sure to > be sure to
    (?<!, )so(?= (?:i|we|they|he|she|it|nobody|no one) (?:can|could|won't|looks?|gets?|will|would)\b) > so that; so that > so
    hide(?= (?:it|the|my|her|his|this|that|our|their|a|an|these|those)\b) > conceal; hiding(?= (?:it|the|my|her|his|this|that|our|their)\b) > concealing
    (?<!quite )(?<!such )(?<!whole )(?<!awful )a lot of > lots of; (?<!not )a bit(?= (?:tired|sore|dizzy|sick|worried|low|high|odd|better|worse)\b) > a little
    the whole(?= (?:bottle|box|pack|strip|bag|course|day|night|week|month|thing|family|house|ward|time|process|story)\b) > the entire
    (know|see|check|ask|tell|wondering|find out|sure) if > \1 whether; (know|see|check|ask|tell|wonder|find out) whether(?! (?:or|to)\b) > \1 if
    <C>which(?= (?!of|is|are|was|were|ones?|i|we|they|he|she|it|means|can|do|does|has|have|would|should|will|makes?\b)[a-z]+) > what
    (is|are|be) due to > \1 because of; probably(?! (?:not|never|no)\b) > most likely
    (?<=[a-z] )(?<!why )(?<!how )(?<!come )(do|does|did|is|are|was|were|has|have|had|would|should|could)n't(?= (?!<PRO>)\w) > \1 not
    <S>don't(?= (?!<PRO>|be\b)\w) > do not; (?<=[a-z] )(?<!why )can't(?= (?!<PRO>)\w) > cannot; (?<=[a-z] )(?<!why )won't(?= (?!<PRO>)\w) > will not
    (do|does|did|is|are|was|were|has|have|had|would|should|could) not(?! (?:resuscitate|attempt)\b) > \1n't; cannot > can't; (i)'m(?= \w) > \1 am
    (i) am(?= (?:a|an|the|not|on|in|at|taking|trying|worried|going|\d+|\w+ing)\b) > \1'm; (i|we|you|they)'ve(?= \w) > \1 have
    (i|we|they) have(?= (?:been|had|already|never|just|taken|heard|read|started|stopped|tried|lost|noticed)\b) > \1've
    (i|we|they|he|she|it)'ll(?= \w) > \1 will; (i|we)'d like > \1 would like; (i|we) would like > \1'd like; (we|you|they)'re(?= \w) > \1 are
    (he|she|it)'s(?= (?:a|an|the|not|on|in|at|ok|okay|safe|normal|just|only|too|so|very|really|still|my|for|\w+ing)\b) > \1 is
    (?<!what )(?<!how )(?<!where )(it) is(?= (?:a|an|the|safe|ok|very|too|so|really|still|about|normal|possible|best|better|getting|going)\b) > \1's
    (that|there|here)'s(?= (?!been|got|no one)\w) > \1 is; (what|where|who)'s(?= (?:the|a|an|my|in|it|that|this|wrong)\b) > \1 is
    (what|where) is(?= (?:the|a|an|my|this|that|wrong)\b) > \1's; <OUR> (?:mum|mom) > \1 mother; <OUR> dad > \1 father
    <OUR> (?:grandma|gran|granny|nan) > \1 grandmother; <OUR> (?:grand(?:d?ad|pa)) > \1 grandfather
    <P>(how|why|what|when|where) do(?= (?!i\b|you\b|it\b))<T> > <ASK> \1; <P>do(?= (?!you\b|not\b))<T> > <ASK> whether
    <P>(what|who) (happens|causes|makes|counts|helps|decides|comes|triggers|raises|lowers)<T> > <ASK> \1 \2
    <P>(what|which) (\w+s) (are|can|help|cause|contain|count|need|make|raise|lower)(?! <PRO>)<T> > <ASK> \1 \2 \3
    <P>what (are|is) ((?:the|a|an) (?:(?! and | or | if | when | do )[a-z’ -]){3,50})(?=\?$) > <ASK> what \2 \1
    <P>what does ((?!it|that|this)[^?.,]{3,50}) mean(?=\?$) > can you tell me what \1 means | what is meant by \1
    how(?= (?:does|do|did|is|are|was|were|should|must) (?!i\b|you\b|it\b|we\b|this\b|that\b|the best)) > in what way
    why(?= (?:does|do|did|is|are|was|were|should|can|has|have) (?!it\b|that\b)\w) > for what reason
    when(?= (?:should|can|could|must|do|does) (?:i|we|you|they|he|she|it|the|my|a)\b[^,]*$) > at what point; (what|where) can (i|we|you) > \1 could \2
    (i|we|they) want to(?! (?:die|kill|end|hurt|cut|harm|go|know|call|ring|phone|stop|live|leave|hang|jump|take|be)\b) > \1 would like to
    before(?= (?!evening|morning|anything|being)\w{2,}ing\b) > prior to
    (think|thinks|says|said|told me|worried|heard)(?= (?:he|she|they|i|we|i'm|he's|she's|they're)\b) > \1 that
    really(?= (?:stop|mean|work|help|need|cause|matter)s?\b) > actually; big(?= (?:tablets?|pills?|meal|bottle|box|dose|glass|difference)\b) > large
    (make|makes|making) (it|this|them|him|her) look > \1 \2 seem; in a row > in succession; does it matter > does it make a difference
    (?<!i )(?<!we )(?<!the )need(s?)(?= (?:a|an|the|more|some|any)\b) > require\1
    (?<!just )(?<!only )(?<!not )(?<!is it )(?<!is )(?<!'s )because(?= (?:i|he|she|they|we|my|it|the|our|her|his)\b) > as; (?<=\w )too(?=[?.!,]|$) > as well
    (there) is(?= (?:a|an|no|some)\b) > \1's; (he|she) is(?= (?:a|an|on|in|at|very|too|so|not|\w+ing)\b) > \1's
    (we|you|they) are(?= (?:a|an|on|in|at|very|too|so|not|all|\w+ing)\b) > \1're; (who) is(?= (?:on|in|at|a|an|\w+ing)\b) > \1's; will not > won't
    <P>(am|are|was|were) (i|they|there|we|these|those)<T> > <ASK> whether \2 \1
    (?<=\. )(what|which|how|when|where|why|who|is|are|do|does|can|should|will)(?= [^.?!]*\?$) > my question is: \1 | my question: \1 | so, \1
    <P>does <NP> (?!be\b|say\b)<VERB><T> > <ASK> whether \1 \2s; <P>(how|why|what|when|where|which \w+) does <NP> (?!be\b)<VERB><T> > <ASK> \1 \2 \3s
    <P>(is|are) <NP> (<ADJ>)(?!.*\b<ADJ>\b)<T> > <ASK> whether \2 \1 \3; <P>(why) (is|are) <NP> (<ADJ>)(?!.*\b<ADJ>\b)<T> > <ASK> \1 \3 \2 \4
    <P><MAY> <NP> <VERB><T> > <ASK> whether \2 \1 \3; <P>(how|what|when|where|why|which \w+) <MAY> <NP> <VERB><T> > <ASK> \1 \3 \2 \4; whom do i > who do I
    <S>(teach|coach|find|work out|edit|invent|design|outline|produce|delete|answer|phrase|script|reword|prepare|walk|check|run)<TO> > I'd like you to \1
    <P>(?!(?:in|for|at|on|after|if|when|with|as|during|before|since|from|to)\b)((?:(?!\b(?:if|when|after|apart|so)\b)[^.?!,]){15,}), <QU> > \1, so \2
    almost <> nearly; until(?! when) > till
    """,
    words=True,
)
_EN_HELLO = "Hello.|Hello!|Hello there.|Hi.|Hi!|Hi there.|Hi there!|Hey.|Hey there.|Good day."
_EN_ORDER = "I have a request.|Here's my request.|I've got a request.|Here is what I'd like."
_EN_ASK = (
    "I'd like to ask you something.|Can I ask you something?|May I ask you something?|Could I ask you something?|Let me ask you something.|"
    "Here's what I'd like to ask.|I have something to ask.|I've got something to ask you.|This is what I'd like to ask.|There's something I'd like to ask."
)
_EN_QUESTION = (
    "Quick question:|A quick question:|Question:|A question:|A question for you:|I have a question.|I've got a question.|I have a quick question.|"
    "Here's my question:|Here's a question:|My question is this:|I have a question for you.|I wanted to ask:|I'd like to know:|Just a quick question:"
)
_EN_THANKS = (
    "Thanks.|Thanks!|Thank you.|Thank you!|Many thanks.|Thanks in advance.|Thank you in advance.|Thanks a lot.|Thanks for your help.|"
    "Thank you for your help.|Thanks for the help.|Much appreciated.|Kind regards.|Thanks for looking at this."
)
_EN_GREETS = re.compile(r"(?:hi|hello|hey|dear|greetings|good (?:day|morning|afternoon|evening))\b", re.IGNORECASE)
_EN_THANKED = re.compile(r"\b(?:thanks?|thx|cheers|appreciated)\b", re.IGNORECASE)
# What already asks "Can you ...?" or says "I'd like" needs no second such phrase before it.
_EN_TALKS = re.compile(r"(?:can|could|would|will|do) you\b|.*\bquestion\b|.{0,8}\b(?:help|like|please|asking)\b", re.IGNORECASE | re.DOTALL)
_EN_WH = (
    r"(?:how|what|which|who|whom|whose|when|where|why|is|are|am|was|were|do|does|did|can|could|should|would|will|may|must|has|have|what's|who's"
    r"|(?:in|at|for) (?:what|how))\b"
)
_EN_QUESTIONS = re.compile(_EN_WH, re.IGNORECASE)
_EN_LAST = re.compile(r"(?:^|[.!?,;] )(?:(?:and|so|but|or) )?" + _EN_WH + r"[^.!?,;]*$", re.IGNORECASE)
# Words that open a sentence and are no name, so that a small letter does them no harm.
_EN_OPENERS = re.compile(r"(?:how|what|which|who|when|where|why|is|do|does|can|should|my|the|write|explain)\b", re.IGNORECASE)


def _english(prompt: str, draw: _Draw) -> str:
    text = prompt.strip()
    body = _swapped(text, _EN, draw)
    asks = re.split(r"(?<=[.!?])\s", body, maxsplit=1)[0].endswith("?") or _EN_QUESTIONS.match(body) is not None
    more = [_EN_ASK if asks or "?" in body or _EN_LAST.search(body) else _EN_ORDER, *([_EN_QUESTION] if asks else [])]
    leads = "|".join([_EN_HELLO, *([] if _EN_TALKS.match(body) else more)])
    given = _GIVEN.search(body) is not None or _EN_THANKED.search(body[-60:]) is not None
    lead, close = _around(draw, leads, _EN_THANKS, opened=_EN_GREETS.match(body) is not None, closed=given, changed=body != text)
    lead, close = (_like(part if body[:1].isupper() else _uncapped(part), body) for part in (lead, close))
    if _EN_OPENERS.match(body) and draw.chance(30) and (body[0].islower() or lead.endswith(":")):
        body = body[0].swapcase() + body[1:]
    if body[-1:] not in ".!?…" and not given and (close or draw.chance(30)) and re.search(r"\w['’\"”)]?$", body):
        body += "?" if _EN_LAST.search(body) else "."
    elif not close and not given and draw.chance(20) and re.search(r"[a-z]{3}[.?]$", body):
        body = body[:-1]
    return " ".join(part for part in (lead, body, close) if part)


_ZH = _table(
    r"""
    (?<![不没再论管])怎么<HOW> > 如何 | 怎样; (?<![该要么])怎么办 > 该怎么办; (?<!应)该(?=怎么|如何|怎样) > 应该; 应该(?!怎么|如何|怎样) > 应当; 应当 > 应该
    咋(?![舌呼]) > 怎么; 啥(?!子) > 什么; 为什么(?!用) > 为何; 为何 > 为什么; 什么时候 > 何时; 何时 > 什么时候; (?<!不)多久 > 多长时间; 多长时间 > 多久
    多大剂量 > 多大的剂量; 是什么意思 > 指的是什么; 什么原因 > 什么缘故; 可以吗(?=[？?。！，\s]|$) > 行吗
    (?<![没任是为])(?<!没有)有什么(?=[办要症副风好影表规材条技途渠措后方]|注意) > 有哪些; (?<!都)有哪些 > 有什么
    哪些(?=材料|症状|检查|东西|食物|手续|条件|证件|水果|药) > 什么; (?<![没任是为有])什么药(?![不都也]) > 哪种药; 区别(?=是|在|吗|？|。|$) > 差别
    (?<=什么|好多|有些)办法 > 方法; 告诉我(?![妈爸们家老的弟姐哥妹女儿奶爷丈妻太先男同领自单公朋]) > 跟我说 | 和我说
    (?<!别)跟我说(?![话的过了明谎起说好清]) > 告诉我; 跟我说说 > 跟我讲讲; 给我讲讲 > 跟我讲讲; 讲讲(?!话) > 说说; 介绍一下 > 说明一下; 解释一下 > 说明一下
    请帮我 > 麻烦帮我 | 请你帮我; (?<!请)帮我(?=[写查列算翻拟编做设制弄找]) > 给我 | 帮忙 | 替我
    (?<!请)帮我(?![妈爸们家老的弟姐哥妹女儿奶爷丈妻太朋同写查列算翻拟编想做起设制改润推弄理找]) > 替我; <K>(写|列|编)(?=[一几]?[篇个封段份条套]) > 帮我\1
    想知道 > 想了解; 想了解(?![一下清]) > 想知道; 想问一下 <> 想问问; 请问(?![一下问]) > 请问一下; 请问一下 > 请问; 我想问(?![一下问题过]) > 我想问一下
    目前 > 现在; 现在(?=在吃|在用|吃的|用的|每|一直|已经|还在|血|体重) > 目前; <K>因为 > 由于; 由于 > 因为; (?<!之)所以 > 因此; 因此 > 所以; 但是 > 可是
    <K>可是 > 但是; <K>但(?![是愿凡求丁书]) > 但是; 如果(?!说) > 要是 | 假如; <K>要是 > 如果; 假如 > 如果; 以及(?!时) > 还有; 并且 > 而且; 虽然 > 尽管
    或者(?!说) > 或; 比如(?!说) > 例如; 例如 > 比如; 比如说 > 比方说; 必须(?![要得]) > 一定要; (?<![不是])一定要(?!是) > 必须
    (?<![不否无])需要(?=做|去|住院|手术|多久|多长|带|准备|办) > 要; 不需要(?=[做去吃打]) > 不用; (?<![不否无])需要注意 > 要注意
    注意什么 > 留意什么 | 注意些什么; 注意哪些 > 留意哪些; (?<![神已曾月不])经常(?!性) > 常常 | 时常; (?<!非)常常 > 经常; 有时候 > 有时
    (?<![没所拥含具])有时(?![候间差效段常限长]) > 有时候; (?<!不)总是 > 老是; (?<![养终敬变])老是 > 总是; 特别是 <> 尤其是; 昨天晚上 > 昨晚; 今天晚上 > 今晚
    今天早上 > 今早; (?<![水公和太扁持])平时(?![间期]) > 平常 | 平日; (?<![尽及趁提])早上(?![报好市去医传学线课班]) > 早晨; (?<=[了完])以后 > 之后
    (?<=[了完])之后 > 以后; (?<=[了完])以前 > 之前; (?<![小么有这那])的时候 > 时; (?<=[头胃腰腿牙胸背肩脚手]|子)疼(?![痛爱]) > 痛
    (?<=[头胃腰腿牙胸背肩])痛(?![经风觉苦快恨]) > 疼; 拉肚子 > 腹泻; 发烧(?!友) > 发热; 喝酒 <> 饮酒; 抽烟 <> 吸烟; 吃药(?![膳流片粉丸酒]) > 服药
    (?<!口)服药(?![物片水液]) > 吃药; 坐飞机 <> 乘飞机; 化验单(?!子) > 化验报告; 患者 > 病人; (?:(?<=[让把给跟对的个位名有是向为从])|<K>)病人 > 患者
    医生(?=[说让叫建]) > 大夫; (?<!士)大夫(?!人) > 医生; 医生让 > 医生叫; 医生叫 > 医生让
    (?<![高紧脚])跟(?=医生|家属|病人|护士|老板|家长|领导|患者|同事|爸妈|父母|孩子) > 和; (?<![男女])小孩(?![子儿]) > 孩子; 爸爸(?![们群妈]) > 父亲
    (?<!爸)妈妈(?![们群爸]) > 母亲; 我妈(?![妈咪]) > 我母亲; 我爸(?![爸妈]) > 我父亲; 老公(?!公) > 丈夫; 老婆(?![婆子]) > 妻子; 家里人 > 家人
    (?<![国大人老专自厂店跟和给对让])家里(?=[有没老药还急只备养]) > 家中; (?<![感察知])觉得(?![到出]) > 感觉; 已经(?![历期很是不]) > 已; 悄悄(?!话) > 偷偷
    偷偷(?!摸) > 悄悄; 到底(?=[是能该要有怎可会吃哪]) > 究竟; 究竟 > 到底; (?<![官联局全外内])网上(?=[说看查有买搜找都传卖]) > 网络上
    (?<!不)大概(?![率念]) > 大约; 大约 > 大概; 一共 <> 总共; 突然(?!性) > 忽然; 忽然 > 突然; (?<![不很那这])一般(?=[要需多是会吃在怎几什能可都]) > 通常
    通常 > 一般; 就行(?![医贿动使为]) > 就可以; (?<![没所])有点(?![儿啥什名赞餐菜火]) > 有些; 有点儿 > 有点; 继续(?=[吃用喝打做服]) > 接着
    手头(?![紧拮宽上]) > 手边; 刚才 > 刚刚; (?<!不)打算 > 计划; 哪里(?![哪的话]) > 哪儿; 哪儿 > 哪里; (?<![算是不])正常吗 > 算正常吗; 岁数大 > 年纪大
    (?<![不才只可功性技智职本])能(?=(?:吃|喝|用|打|做|洗澡|运动|停|坐飞机|喂|擦|涂|开车|上班|上学|游泳|一起吃)[^，。？]{0,3}吗) > 可以; 这种情况 > 这样的情况
    详细(?![地信资]) > 详尽; (?<![不还])可以(?=(?:吃|喝|打|洗澡|运动|坐飞机|喂|擦|涂|开车|上班|上学|游泳|一起吃)[^，。？]{0,3}吗) > 能; 这个药 <> 这种药
    怎样(?=[一-鿿])(?![的了都也]) > 如何 | 怎么; (?<!论)如何(?=[一-鿿])(?![是了呢]) > 怎样 | 怎么; 有没有(?=[一-鿿])(?![吃打用做在去被得]) > 是否有
    (?<![还都也])会不会(?=[一-鿿]) > 是否会; (?<![还都也])能不能(?=[一-鿿]) > 能否 | 是否能; 可不可以(?=[一-鿿]) > 是否可以 | 能不能
    要不要(?=[一-鿿])(?![脸命紧]) > 需不需要; ([算该])不\1(?=[一-鿿]) > 是否\1; (?<![不需想只还就主])要(?=[查做打去吃停送先][^，。？]{0,8}吗) > 需要
    外婆 <> 姥姥; 室友 <> 舍友; 男朋友 <> 男友; 女朋友 <> 女友; (?<=我)(儿子|女儿) > 家\1; 一起(?=[吃用喝打]) > 一块儿; 还能(?=[吃喝用打做去]) > 还可以
    引起(?![注重关怀]) > 导致; 请解释 > 请说明; 是真的吗 > 属实吗; 有用吗 <> 管用吗; (?<!娃)娃(?![娃儿]) > 孩子; 感到(?!位) > 觉得; (?<=[被人])发现 > 察觉
    看不出来 > 看不出; 哪个(?!科) > 哪一个; 哪家 > 哪一家; (?<=[做查带交])什么(?=检查|材料|手续|证件|资料) > 哪些
    (?<![的来])比较(?=[好稳大小高低快慢合难]) > 相对; 造成 > 导致; 特别(?=[疼痛累困怕痒]) > 格外
    (?<!问)，(?=(?![请想就才那但所因而再又或]|还是|[^，。？！]*[教写讲帮知问列告])[^，。？！]{0,16}<WH>(?![都也])[^，。？！]{0,16}[？?]?$) > ，请问 | ，想问一下
    (?<!请)帮我(?=[想起改润推理]) > 帮忙 | 替我; 是不是(?=[得要会可需应能有该太很更违就已受正]) > 是否
    是不是(?=[一-鿿])(?![得要会可需应能有该太很更违就已受正]) > 是否是; (?<![也还就都我你他她是么绝决从])不(?=[？?]?$) > 吗; 没(?=[？?]?$) > 吗
    (?<![们师生人来家妈爸他她])教我(?![的过们]) > 教教我; (?<![一-鿿])帮写 > 帮忙写; 打疫苗 > 接种疫苗; 起草 <> 草拟; 每天(?=[吃喝打用服]) > 每日
    说一下 <> 讲一下; 分为 > 分成
    """,
    words=False,
)
_ZH_HELLO = "你好，|您好，|你好！|您好！|嗨，|哈喽，|你好呀，|你好啊，|在吗？|打扰了，|打扰一下，|哈喽！|嗨，你好，|你好，打扰了。"
_ZH_HELP = "能帮我一下吗？|可以帮个忙吗？|能帮个忙吗？|麻烦帮个忙：|想请你帮个忙：|麻烦看一下：|帮个忙：|你好，麻烦帮个忙："
_ZH_ASK = "有件事想问你：|有件事想请教：|跟你打听个事：|我想问的是：|有个事想问问：|你好，有件事想问：|能请教你个事吗？|我来问个事：|想请教你："
_ZH_QUESTION = (
    "请问一下，|请问，|问一下，|想问一下，|想问问，|请教一下，|我想请教一下，|想了解一下，|我想知道，|有个问题：|问个问题：|请教个问题：|"
    "提个问题：|想咨询一下，|咨询一下，|打听一下，|麻烦问一下，|你好，请问，|您好，想问一下，"
)
_ZH_THANKS = (
    "谢谢！|谢谢。|谢谢你。|谢谢您！|多谢！|多谢。|感谢！|感谢。|麻烦了。|麻烦你了。|麻烦您了！|辛苦了。|先谢谢了。|先谢谢你。|谢谢回答。|"
    "谢谢解答。|感谢解答！|感谢回答。|谢谢帮忙。|谢谢啦。|谢谢了。|多谢解答。|有劳了。"
)
_ZH_GREETS = re.compile(r"你好|您好|嗨|哈喽|在吗|大家好|打扰|hi\b|hello\b", re.IGNORECASE)
_ZH_TALKS = re.compile(r".{0,3}(?:问一下|问问|请教|咨询|打听|麻烦|想了解|想知道|告诉我|教教?我|帮)|.*(?:请问|想问)", re.DOTALL)
_ZH_ASKED = re.compile(
    r"怎么|怎样|如何|什么|啥|咋|多少|多久|多长|多大|哪|(?<![好这前过那每])几[次天年周月片粒针点号级岁度]|吗|呢|是否|为何|何时|谁|([一-鿿])[不没]\1|[不没]$"
)
_ZH_THANKED = re.compile(r"谢|麻烦了|辛苦|拜托")
_ZH_ORDERS = re.compile(r"告诉|教|说(?!明书)|写|讲|帮|给我|知道|了解|(?<![请想])问(?!诊)|列|(?<!问)一下")
_ZH_MARKS = str.maketrans("，？！：；", ",?!:;")


def _chinese(prompt: str, draw: _Draw) -> str:
    text = prompt.strip()
    body = _swapped(text, _ZH, draw)
    clauses = [part for part in re.split(r"[，。？！；：,?!;:\s]", body) if part]
    asks = _ZH_ASKED.search(clauses[-1]) is not None and _ZH_ORDERS.search(clauses[-1]) is None
    opens = _ZH_ASKED.search(clauses[0]) is not None and _ZH_ORDERS.search(clauses[0]) is None
    more = [_ZH_HELP, *([_ZH_ASK] if asks else []), *([_ZH_QUESTION] if opens else [])]
    leads = "|".join([_ZH_HELLO, *([] if _ZH_TALKS.match(body) else more)])
    given = _GIVEN.search(body) is not None or _ZH_THANKED.search(body[-12:]) is not None
    lead, close = _around(draw, leads, _ZH_THANKS, opened=_ZH_GREETS.match(body) is not None, closed=given, changed=body != text)
    bare = body.rstrip("？?")
    if asks and not given and not re.search(r"[吗呢吧啊呀么嘛不没]$", bare) and bare.endswith(clauses[-1]) and draw.chance(40):
        body = bare + "呢" + body[len(bare) :]
    if not given and re.search(r"[一-鿿]$", body) and (close or draw.chance(30)):
        body += "，" if close and draw.chance(50) else "？" if asks else "。"
    elif not close and not given and draw.chance(20) and re.search(r"[一-鿿][？。]$", body):
        body = body[:-1]
    body = lead + body + close
    if draw.chance(30) and not re.search(r"\d[，：；]|[，：；]\d", body) and not _KEPT.search(body):
        return body.translate(_ZH_MARKS)  # but "1，5" must not become "1,5"
    return body
