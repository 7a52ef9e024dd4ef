"""Words that make a saying checkable: drugs, doses, numbers, contraindications; in English and Chinese.

Drugs are told by the stems of international nonproprietary names (World Health Organization, *The
use of stems in the selection of international nonproprietary names*, 2018), by the endings that
generic names have in Chinese, and by the names of the commonest drugs and classes that have no
stem. No list of drugs is needed for that, and a drug without a stem is not seen.
"""

from __future__ import annotations

import re

_STEMS = (
    "mab pril prils sartan sartans vastatin statin statins olol azole cillin cillins mycin micin floxacin oxacin cycline cyclines dipine dipines gliptin"
    " gliflozin formin profen",
    "parin xaban gatran tidine setron triptan triptans ovir ivir avir amivir afil zepam zolam barbital caine dronate dronic thiazide semide lukast terol"
    " nisone solone cort",
    "oxetine ipramine triptyline azepine apine eridone piprazole fungin fibrate glitazone glinide glutide tinib ciclib platin taxel rubicin cetamol"
    " aminophen coxib penem",
    "trexate thyroxine oxone phylline quine",
)
_NAMES = (
    "aspirin naproxen diclofenac indometacin codeine morphine oxycodone fentanyl tramadol insulin insulins warfarin heparin digoxin lithium clopidogrel"
    " metoclopramide amiodarone",
    "spironolactone gliclazide glipizide glimepiride nitroglycerin nitrate nitrates phenytoin valproate lamotrigine levetiracetam gabapentin pregabalin"
    " sertraline citalopram",
    "escitalopram venlafaxine bupropion zolpidem haloperidol levodopa donepezil allopurinol colchicine azathioprine tamoxifen isotretinoin minoxidil"
    " finasteride chlorphenamine",
    "diphenhydramine loratadine cetirizine pseudoephedrine dextromethorphan loperamide epinephrine adrenaline salbutamol albuterol tylenol advil motrin aleve",
    "nsaid nsaids antibiotic antibiotics anticoagulant anticoagulants antidepressant antidepressants antihistamine antihistamines antacid antacids antiviral"
    " antivirals opioid",
    "opioids steroid steroids corticosteroid corticosteroids diuretic diuretics laxative laxatives vaccine vaccines ssri ssris maoi maois contraceptive"
    " contraceptives",
)
_NAMES_ZH = (
    "西林|霉素|沙星|他汀|普利|沙坦|洛尔|地平|拉唑|替丁|列汀|列净|双胍|格列|洛芬|康唑|西泮|唑仑|西汀|普仑|曲坦|西酞|洛韦|夫定|单抗|替尼|特罗|那非|司特|松龙",
    "对乙酰氨基酚|扑热息痛|阿司匹林|胰岛素|华法林|肝素|吗啡|可待因|地高辛|泼尼松|地塞米松|头孢|氯吡格雷|甲硝唑|硝酸甘油|硝酸酯|苯巴比妥|卡马西平|丙戊酸|舍曲林",
    "奥氮平|利培酮|秋水仙碱|别嘌醇|甲氨蝶呤|氯雷他定|西替利嗪|扑尔敏|奥司他韦|紫杉醇|沙丁胺醇|茶碱|蒙脱石散|多潘立酮|左甲状腺素|钙片|铁剂|叶酸|维生素",
    "抗生素|抗凝药|激素|疫苗|利尿[剂药]|阻滞剂|抑制剂|避孕药|感冒药|退烧药|止痛药|降压药|降糖药",
)
_DRUG = re.compile(
    rf"\b(?:[a-z]{{2,}}(?:{'|'.join(' '.join(_STEMS).split())})|cef[a-z]{{3,}}|{'|'.join(' '.join(_NAMES).split())}"
    r"|beta[- ]?blockers?|(?:ace|pump) inhibitors?|folic acid|st\.? john's wort)\b",
    re.IGNORECASE,
)
_DRUG_ZH = re.compile("|".join(_NAMES_ZH))

_NUMERAL_ZH = "[一二两三四五六七八九十半]"
_UNIT = (
    "mcg|µg|ug|mg|g|kg|ml|iu|tablets?|pills?|capsules?|puffs?|drops?|sprays?|sachets?|units?|doses?|teaspoons?"
    "|微克|毫克|克|毫升|国际单位|单位|片|粒|丸|袋|支|滴|喷|吸|颗|枚|剂"
)
_DOSES = (
    # An amount; what is per minute or per litre is a rate or a laboratory value.
    rf"(?<![\d.])(?:\d{{1,7}}(?:[.,]\d{{1,4}}){{0,3}}|\b(?:one|two|three|four|half)|{_NUMERAL_ZH}) ?(?:{_UNIT})(?![A-Za-z])(?! ?/ ?(?:min|d?l|ml|分|升))",
    # How often.
    r"\b(?:\d{1,2}|two|three|four|six) ?(?:times|x) (?:a|per|each) (?:day|week)|\b(?:twice|once|thrice) (?:daily|a day|per day|a week|weekly|every)",
    r"\bevery \d{1,2} ?(?:-\d{1,2} ?)?h|\b(?:b\.?i\.?d|t\.?i\.?d|q\.?i\.?d|q\d{1,2}h)\b",
    rf"[每一][日天晚周] ?(?:服|吃|用)?(?:\d{{1,2}}|{_NUMERAL_ZH})(?:-\d)? ?[次片粒]|每次(?:\d|{_NUMERAL_ZH})|每隔? ?\d{{1,2}} ?个?小时",
)
_DOSE = re.compile("|".join(_DOSES), re.IGNORECASE)

# Telephone numbers of the emergency services, and numbers that are part of a name, tell no amount.
_NAMED = re.compile(
    r"\b(?:911|999|112|111|988|24/7)\b|\b(?:type|stage|grade|covid|omega|vitamin b|b|step|option|point)[- ]?\d{1,2}\b|(?:拨打|呼叫|打) ?\d{3,5}", re.IGNORECASE
)
_NUMBERS = (
    r"\d|\b(?:twice|thrice)\b|\bonce (?:a|per|every|daily|weekly)\b",
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|half an?|several) (?:hours?|days?|weeks?|months?|years?|minutes?|times|glasses|cups|meals"
    r"|tablets?|puffs?)\b",
    rf"{_NUMERAL_ZH}{{1,3}}(?:次|[片粒颗丸枚袋支剂滴喷杯顿餐]|[天日周年岁倍度]|个月|个?小时|分钟|毫升|毫克|克|公?斤)",
)
_NUMBER = re.compile("|".join(_NUMBERS), re.IGNORECASE)

_TAKE = "take|use|give|combine|mix|drink|eat|apply|inject|drive|swallow|breastfeed|receive"
_FORBIDDEN = (
    rf"\bcontra-?indicat|\b(?:do not|don't|never|must not|should not|shouldn't|cannot|can't) (?:\w+ ){{0,2}}?(?:{_TAKE})\b[^.;]{{0,80}}?"
    r"\b(?:if|with|while|during|when|in|for|together|after|before|until|unless|under)\b",
    r"\bavoid\b[^.;]{0,60}?\b(?:if you (?:are|have)|during (?:pregnancy|breastfeeding|treatment|lactation)|while (?:taking|using|on|pregnant|breastfeeding)"
    r"|in (?:pregnan|children|patients|people))",
    r"\bnot (?:recommended|suitable|safe|advised) (?:for|in|during|if)\b|\bshould not be (?:used|taken|given|combined|crushed|chewed)",
    r"禁用|禁忌|慎用|忌[用服]|禁止|禁服|不宜|不[能可得要应](?:同时|与|和|同|合用|联用|混用|使用|服用|用于|一起|饮酒|喝酒|驾车)",
    r"(?:避免|勿|不要|切勿|别)(?:同时|与|和|合用|联用|混用|用于|使用|服用|一起|驾|开车|饮酒|喝酒)",
)
_FORBIDS = re.compile("|".join(_FORBIDDEN), re.IGNORECASE)


def names_drug(text: str) -> bool:
    """Whether a drug or a class of drugs is named."""
    return _DRUG.search(text) is not None or _DRUG_ZH.search(text) is not None


def holds_dose(text: str) -> bool:
    """Whether it says how much to take, or how often."""
    return _DOSE.search(text) is not None


def holds_number(text: str) -> bool:
    """Whether it tells an amount, a time or an age; the number of an emergency service, or of a type, is none."""
    return _NUMBER.search(_NAMED.sub(" ", text)) is not None


def forbids(text: str) -> bool:
    """Whether it says with whom, when or with what something must not be taken."""
    return _FORBIDS.search(text) is not None
