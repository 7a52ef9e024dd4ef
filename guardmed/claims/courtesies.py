"""Words that assert nothing about medicine: greetings, thanks, refusals, disclaimers, talk about the answer itself.

A saying is such only if all its parts are; "I'm not a doctor, but aspirin thins the blood" is not.
"""

from __future__ import annotations

import re

_I = r"(?:i|we)"
_AM = r"(?:(?:i'm|i am|we're|we are) )"
_ENGLISH = (
    # Greetings, thanks, sympathy, wishes.
    r"(?:hi|hello|hey|greetings|good (?:morning|afternoon|evening|day)|welcome|dear)(?: [\w']+){0,3}",
    rf"(?:how |so |very |it's |it is |{_AM})*(?:nice|good|glad|happy|pleased) to (?:hear|meet|see|help|assist|answer|know)\b.*",
    r"(?:many )?thank(?:s| you)\b.*|you(?:'re| are) (?:very |most )?welcome|my pleasure|no worries|good luck\b.*|congratulations\b.*",
    r"okay|ok|alright|all right|sure(?: thing)?|certainly|of course|understood|got it|i see|great|you(?:'re| are) (?:right|not alone)",
    rf"{_AM}?(?:so |very |really |truly |deeply )*sorry(?: (?:to|about|for|that|you)\b.*)?|(?:my |our )?apologies\b.*|{_I} apologi[sz]e\b.*|unfortunately",
    r"i (?:can |completely |fully |do )*(?:understand|see|hear|appreciate) (?:that )?(?:you|your|this|how|why|it)\b.*",
    "(?:it's|it is|that's|that is) (?:completely |perfectly |very |only |so )?(?:great|good|wonderful|understandable|commendable|natural"
    r"|normal)(?: that you\b.*)?",
    "(?:it's|it is|that's|that is) (?:completely |perfectly |only )?(?:understandable|natural|normal) to (?:worry|(?:feel|be) (?:uncertain|worried|anxious"
    r"|scared|nervous|overwhelmed|concerned|upset))\b.*",
    "(?:that|this|it) (?:must|can|may) (?:be|feel) (?:very |really |so |quite )*(?:frightening|stressful|difficult|hard|uncomfortable|frustrating|worrying"
    r"|scary|distressing|upsetting)\b.*",
    rf"(?:{_I} )?(?:really |sincerely )?(?:hope|trust) (?:this|that|it|you|my|these|the above|everything|all)\b.*|(?:{_I} )?wish(?:ing)? you\b.*",
    r"best (?:wishes|regards)|all the best|kind regards|yours sincerely|take care(?: of yourself)?(?: and (?:get|stay|feel|be)\b.*)?|get well(?: soon)?",
    r"stay (?:safe|healthy|well|calm|strong|positive)(?: and\b.*)?|(?:speedy|quick) recovery",
    # What the speaker is, can and can't do.
    rf"{_AM}(?:(?:not|just|only|merely|neither|always) )*(?:(?:a|an|your|qualified|licen[sc]ed|medical|health|healthcare|real|human|trained) )*"
    "(?:doctor|physician|clinician|professional|pharmacist|expert|ai|assistant|chatbot|language model|large language model|virtual|computer program|able"
    r"|in a position)\b.*",
    r"as an? (?:(?:large|medical|virtual|helpful|health) )*(?:ai|artificial|language model|assistant|chatbot|llm)\b.*|my (?:knowledge|expertise|training"
    r"|role|purpose|answers?)\b.*",
    f"{_I} (?:can't|cannot|can not|won't|will not|am unable to|are unable to|am not able to|must decline to|do not|don't|am not allowed to"
    "|could not) (?:(?:really|help|directly|legally) )?"
    "(?:provide|give|offer|help|assist|answer|diagnose|comply|discuss|replace|comment|fulfil+|engage|support|share|have (?:access|enough|the ability"
    r"|personal|any))\b.*",
    rf"{_AM}(?:unable|not able) to (?:provide|give|offer|help|assist|answer|diagnose|comply|discuss|share|replace)\b.*|i (?:don't|do not) know",
    rf"{_I} can (?:certainly |definitely |only |gladly )*(?:help|assist|explain|provide|offer|give|walk|answer|try)\b.*|{_I}(?:'d| would) be (?:happy|glad"
    r"|delighted) to\b.*",
    rf"{_AM}(?:always |so |very )?(?:here|happy|glad|ready) (?:to|for|if|that|you)\b.*|(?:allow|permit) me to\b.*|in this (?:answer|article|response|guide"
    r"|section)\b.*",
    f"{_I}(?:'ll| will| am going to|'m going to| have| 've) (?:explain|go|do my|try|help|walk|outline|list|provide|give|break|summari[sz]e|start|describe"
    r"|cover|show|put together|listed|answer)\b.*",
    # Disclaimers.
    r"(?:this|these|it|the|all|my|any|i)\b.*?\b(?:(?:educational|informational|information|general) (?:purposes|information|reference|only)|not (?:medical"
    r"|professional) advice)\b.*",
    r"(?:this|these|it|the|all|my|any|i|and|nor)\b.*?\b(?:(?:substitute|replacement) for|replace) (?:(?:the|a|an|your|any|seeing|proper|in-person) )*"
    r"(?:professional|medical|doctor|consult\w*|advice|diagnos\w*|visit|physician|care|qualified)\b.*",
    "(?:this|that|these|it) (?:is|are) (?:only |just |merely )?(?:an? |some )?(?:simplified|general|brief|short|basic) (?:explanation|overview|summary"
    r"|guide|answer|guidelines|recommendations|tips|suggestions|points)\b.*",
    # Talk about the answer and the question.
    r"let (?:me|us) (?:know|explain|help|break|go|give|walk|start|summari[sz]e|clarify|try|look|take|see|begin|outline|answer)\b.*",
    r"let's (?:go|look|take a|break|start|explore|dive|walk|discuss|see|begin|review|talk|consider)\b.*",
    r"here(?:'s| is| are| you| we)\b.*|below (?:is|are|you|we|i)\b.*|the following (?:is|are)\b.*|(?:to answer|regarding|as for) your (?:question|concern"
    r"|query)\b.*",
    r"feel free to (?:ask|reach|contact|let|share|message|write|follow|tell|come)\b.*|(?:don't|do not) hesitate to (?:ask|reach|contact me|let|write"
    r"|message)\b.*",
    "(?:ask|send|share|provide|describe|tell)(?: me)? (?:your|any|more|some|further|as much) (?:other |further )?(?:questions?|details?|information"
    r"|symptoms|concerns)\b.*",
    "(?:if|should) you (?:have|need|'d like|would like|want)(?: any| more| some)*(?: other| further| additional| more)* ?(?:questions?|concerns|help"
    r"|information|details|clarification|doubts|to know)\b.*",
    r"(?:this is |that's |that is |it's |what )?an? (?:really |very )?(?:great|good|excellent|important|common|interesting) question\b.*|(?:great|good"
    "|excellent) question",
    "in (?:summary|conclusion|short|brief)|to (?:summari[sz]e|sum up|conclude)|(?:final |key |main |short |quick )?(?:conclusion|summary|note|disclaimer"
    "|answer|introduction|references?|sources?|overview)",
    r"important(?: note)?|remember|(?:key )?points?|takeaways?|recap",
)
_NOT_ME = r"我(?:只|仅|并|也|暂时|目前)?(?:不是|并非|无法|不能|没办法|没有办法|没法|不具备|不可以|没有(?:资格|能力|权限))"
_CHINESE = (
    # 问候、感谢、安慰、祝愿
    "(?:您好|你好|大家好|早上好|上午好|下午好|晚上好|亲)[呀啊]?|(?:很|非常|十分)?高兴.*|.*(?:让人|令人|为您|替您|感到)(?:欣慰|高兴|开心|难过|遗憾|心疼)"
    "|(?:非常|十分|首先|很)?(?:感谢|谢谢|多谢).*|辛苦了",
    "(?:很|非常|十分|真的|实在)?(?:抱歉|遗憾|对不起|不好意思).*|给您.{0,6}带来.{0,8}(?:困扰|不便|麻烦|误解)|(?:对|给|为)?.{0,14}(?:深表|表示)(?:歉意|抱歉"
    "|遗憾)|(?:不|别)用?客气|不用谢",
    r"我(?:非常|很|能|完全)?能?(?:理解|明白|体会|知道)您.*|[您你](?:一定|肯定)(?:很|非常|十分|感到)?(?:担心|焦虑|难受|害怕|辛苦|着急|痛苦|难过).*",
    "希望(?:这些|这|以上|上述|我的|本|对[您你]|能对|能帮|能够帮|可以帮|[您你]).*|[祝愿](?:[您你愿]|早日|一切|健康|身体|孩子|宝宝).*|早日康复"
    "|请?多?保重(?:身体)?",
    r"好的?|好滴|当然|明白了?|收到|了解了?",
    # 说话者的身份与限度
    rf"{_NOT_ME}(?!确定|肯定|判断|排除).*|我(?:只|仅)?是(?:一个|一名|个|一款)?(?:人工智能|AI|语言模型|智能|虚拟|医疗助手|健康助手).*",
    "作为(?:一个|一名|一款|您的|你的)?(?:人工智能|AI|大?语言模型|医疗助手|健康助手|智能|虚拟|助手).*|(?:本|该|此|以上)(?:回答|回复|内容|信息)由.*(?:生成|提供)",
    "(?:容|请?允许)我.*|(?:本文|本回答|下文|接下来|这里|在此)(?:我|将|会|就|先|为|给|主要|从)*(?:介绍|说明|讲解|解释|讨论|分析|列出|回答).*|.*(?:帮不了"
    "|帮不上|无能为力|爱莫能助).*|我(?:来|会|将|可以)(?:帮|为|给|详细|逐一|向|根据|尽力|尽量|从|简单|先|继续|解释|说明).*",
    # 免责
    r"(?:以上|上述|本|此|该|这些|这)?(?:内容|信息|回答|回复|建议|资料|解答|分析)*(?:均|都|仅|只|并)+(?:供|作|做|是|为|限).*",
    "(?:这些|以上|上述).{0,6}[只仅]能?(?:提供|作为|供).{0,4}参考.*|(?:并|也|均|都|绝)?不(?:能|可|可以|得|应|构成|作为)?(?:替代|代替|取代|作为"
    "|构成).{0,6}(?:专业|医生|医师|医疗|面诊|诊断|就医|诊疗|医嘱).*",
    # 关于回答与提问
    "(?:以下|下面|下列|如下)(?:是|为|将|我|就|给|列|介绍|几|内容).*|我们?(?:为您)?(?:整理|总结|列出|归纳|罗列)了?.*|我们(?:先|逐一|一起|来|从|可以从).*"
    "|让我们?.*",
    "(?:如果?|若|假如)?[您你]?(?:还|仍|对此)?有(?:其他|任何|更多|别的|什么|不明白|疑问|疑惑)的?(?:问题|疑问|需要|地方|疑惑)?(?:的话)?|如(?:果|您"
    "|有)?(?:还)?(?:需|想)要?(?:了解|知道)?(?:更多|进一步|其他).*",
    "(?:请|欢迎|可以|可)?[您你]?随时(?:提问|告诉我|联系我|咨询我|向我|问我|来|再|与我|都).*|欢迎[您你]?(?:提问|继续|随时|再次|咨询我|追问).*"
    "|请?(?:直接)?(?:告诉|告知|联系)我.*|.*(?:再|继续|接着|尽管)来?(?:问我|提问|告诉我)|请问.*",
    r"这(?:真|确实)?是一?个?(?:很|非常|十分)?(?:好|重要|常见|有意义|有趣)的?问题|(?:(?:这个|您的|你的)问题)?(?:问得|提得)(?:很|真|非常)?(?:好|专业|有意义)",
    "综上(?:所述)?|总之|总结(?:一下)?|总的来说|总体来说|简而言之|小结|结论|提示|说明|免责声明|温馨提示|注意(?:事项)?|参考文献|参考资料|来源|答案?|回答"
    "|重要提示|概述|前言",
)
_OPENING = "(?:(?:and|so|well|also|again|oh|please|kindly|then) ){0,2}(?:(?:note|remember|keep in mind|bear in mind|be aware|understand) that )?"
_NOTHING = re.compile(f"{_OPENING}(?:{'|'.join([*_ENGLISH, *_CHINESE])})", re.IGNORECASE)
# What may stand beside such words, and alone would be an answer.
_NEUTRAL = re.compile(
    "当然可以|可以的|没问题|(?:根据|基于|结合)[您你]所?(?:提供|描述|说|给出).*|关于您.*|针对您.*|首先|接下来|现在|请(?:您)?(?:注意|知悉|记住|理解)|(?:需要"
    "|值得)(?:说明|注意|提醒)的是"
    r"|(?:especially |particularly )?(?:since|because|given|as|when) (?:you|your|this|that)\b.*|absolutely|based on (?:the|your|what)\b.*|from what you\b.*"
    "|yes|however",
    re.IGNORECASE,
)
# A segment ends here; a conjunction of contrast opens one.
_SEGMENT = re.compile(r"[,;.!:\n—…]+(?= |$)|[，；。！：\n—…]+|\s-\s|\bbut\b|(?:但是|但|不过|然而)", re.IGNORECASE)
_AROUND = " \t\n\"'.,;:!?。！？…，；：()（）[]【】「」『』“”‘’"
_WORD = re.compile(r"\w")
# "Smith J, Lee K. Title. Lancet 2020;395:497", and its end alone.
_REFERENCE = re.compile(
    r"(?:\[?\d{1,3}[\].)] )?[A-Z][\w'’-]{1,30} [A-Z]{1,3}[,.].{0,600}?\b[12]\d{3}; ?\d|[A-Z][A-Za-z .&()]{2,60} [12]\d{3}; ?\d{1,4}(?:\(\d{1,6}\))?:\S+$"
)


def says_nothing(text: str) -> bool:
    """Whether every part of a text is a courtesy, a disclaimer, talk about the answer, or a reference."""
    parts = [part for found in _SEGMENT.split(text) if (part := found.strip(_AROUND)) and _WORD.search(part)]
    empty = [_NOTHING.fullmatch(part) is not None for part in parts]
    if not all(nothing or _NEUTRAL.fullmatch(part) for nothing, part in zip(empty, parts, strict=True)):
        return refers(text)
    return any(empty) or not parts


def refers(text: str) -> bool:
    """Whether a text is an entry of a list of references."""
    return _REFERENCE.match(text.strip()) is not None
