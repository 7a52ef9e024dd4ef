# ruff: noqa: E501 - patterns read better whole
"""The kinds of protected health information that can be found by form, or because they are announced.

===================  ==========================================================================================
``RESIDENT_ID``      Chinese resident identity number, 18 characters with a true GB 11643-1999 checksum
``EMAIL``            e-mail address
``FAX``              a telephone number that says it is a fax (fax, 传真)
``PHONE``            Chinese mobile, North American number, Chinese landline after 电话 or the like; never a toll-free
                     or known help line, nor the number of a clinic or service that says so
``SSN``              US social security number
``MRN``              medical record, patient, admission or out-patient number, said as such
``HEALTH_PLAN_ID``   member, subscriber, policy, Medicare, Medicaid or NHS number, 医保卡号, 社保卡号, 参保号, 保单号, said as such
``ACCOUNT``          payment card by issuer prefix and Luhn check, IBAN by its check digits, bank account said as such
``LICENSE``          driver's or professional licence, 驾驶证号, 执业证书编号, said as such
``VEHICLE``          vehicle identification number by its check digit or said as such, Chinese plate by form (new-energy
                     plates too), other plates said as such
``DEVICE_ID``        serial number, IMEI, 序列号 said as such; MAC address; UDI that opens with a true GTIN
``PASSPORT``         passport number, said as such
``TRAVEL_PERMIT``    permits of Hong Kong, Macau and Taiwan residents (回乡证, 台胞证, 往来港澳通行证), said as such
``URL``              a personal page: profile of a social network, a path that names a user or patient, or one called
                     one's own. Other addresses are references, not identifiers
``IP_ADDRESS``       IPv4 said as such, or by form unless it may be a section number; IPv6
``DATE_OF_BIRTH``    date of birth, said as such
``DATE``             day or month of admission, discharge, visit, operation or death, with its word
``AGE_OVER_89``      the age of one person of 90 or more (HIPAA); not an age group
``ADDRESS``          US street with number (the ambiguous Way, Drive, Court only with a ZIP), post office box, ZIP code
                     or 邮编 said as such; Chinese address down to the road and number. Not the address of a clinic that says so
``NAME``             only when announced: "my name is", "patient:", "named"; 姓名：, 我叫, 患者 and a surname. Not "Dr. X", not "张医生"
===================  ==========================================================================================

It does not see names that nobody announces, faces, voices, fingerprints or free-text descriptions.

Every repetition is bounded, so the time of each pattern is linear in the text.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One way in which an identifier is written.

    Attributes
    ----------
    label : str
    pattern : re.Pattern
        The identifier is its group ``value``, or the whole match without one.
    check : callable or None
        What no pattern can tell: check digits, calendars, what stands before.
    cues : tuple of str
        Lower-case words of which one must stand in the text; cheap to look for. A kind without cues needs a digit.
    """

    label: str
    pattern: re.Pattern[str]
    check: Callable[[re.Match[str]], bool] | None = None
    cues: tuple[str, ...] = ()


def _value(match: re.Match[str]) -> str:
    return match["value"] if "value" in match.re.groupindex else match.group()


def _digits(match: re.Match[str]) -> str:
    return "".join(char for char in _value(match) if char.isdecimal())


def _resident_id(match: re.Match[str]) -> bool:
    """GB 11643-1999: 17 digits, a plausible date of birth, and a check character mod 11-2."""
    text = _value(match)
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], weights, strict=True))
    if "10X98765432"[total % 11] != text[17].upper():
        return False
    try:
        born = datetime.date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    return born.year >= 1850


def _social_security(match: re.Match[str]) -> bool:
    """Areas 000, 666 and 900 to 999, group 00 and serial 0000 were never issued (SSA)."""
    area, group, serial = _value(match).split("-")
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    return sum(int(digit) if index % 2 == 0 else sum(divmod(2 * int(digit), 10)) for index, digit in enumerate(reversed(digits))) % 10 == 0


def _card(match: re.Match[str]) -> bool:
    return 14 <= len(_digits(match)) <= 19 and _luhn(_digits(match))


def _iban(match: re.Match[str]) -> bool:
    """ISO 13616: the number with its first four characters moved to the end is 1 modulo 97."""
    text = match.group().replace(" ", "")
    return 15 <= len(text) <= 34 and int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def _vehicle(match: re.Match[str]) -> bool:
    """ISO 3779 as used in North America and China (GB 16735): position 9 checks the rest."""
    text = _value(match)
    values = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", [*range(1, 9), *range(1, 6), 7, 9, *range(2, 10), *range(10)], strict=True))
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(values[char] * weight for char, weight in zip(text, weights, strict=True))
    return text[8] == "0123456789X"[total % 11] and not text.isdigit()


def _plate(match: re.Match[str]) -> bool:
    return len(_digits(match)) >= 3


def _gtin(match: re.Match[str]) -> bool:
    """GS1 General Specifications 7.9: weights 3 and 1 from the left of the first thirteen digits."""
    digits = match["gtin"]
    return (10 - sum(int(digit) * (3, 1)[index % 2] for index, digit in enumerate(digits[:13])) % 10) % 10 == int(digits[13])


def _address_of_machine(match: re.Match[str]) -> bool:
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return False
    # 4.2.1.3 may number a section; 192.168.1.20 or 203.0.113.7 does not.
    return address.version == 6 or (not address.is_loopback and sum(len(part) > 1 for part in match.group().split(".")) >= 2)


_SERVICE_LINES = frozenset({"01083132345", "4001619995", "18002221222", "8002221222"})
_TOLL_FREE = frozenset({"400", "800", "833", "844", "855", "866", "877", "888"})
_SERVICE = re.compile(
    r"hot ?line|help ?line|life ?line|crisis|poison|samaritans|clinic\b|hospital|pharmac|front desk|reception|switchboard|office|department|health (?:center|centre|service)"
    r"|emergency (?:room|department|number|line)|advice line|nurse line|support line|customer"
    r"|热线|专线|总机|客服|前台|护士站|急诊|急救|医院|诊所|门诊|卫生院|卫生服务中心|卫健委|疾控|药房|药店|科室|挂号|预约|咨询|服务台|投诉",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\b(?:patient|patients?'s?|my|mine|his|her|hers|their|him|them|home|cell|mobile|personal|mother|father|wife|husband|son|daughter|relative|contact|next of kin|lives|resides)\b"
    r"|患者|病人|本人|我(?!们|院|科|市|省)|他|她|家属|手机|家庭|个人|联系人|联系方式|家住|住在|住址",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"[.!?](?=\s)|[。！？；;\n]")


def is_service_line(number: str) -> bool:
    """Whether a telephone number belongs to no person: toll-free, or a help line of the emergency contacts."""
    digits = "".join(char for char in number if char.isdecimal())
    return (
        digits in _SERVICE_LINES or (len(digits) == 10 and digits[:3] in _TOLL_FREE) or (len(digits) == 11 and digits[0] == "1" and digits[1:4] in _TOLL_FREE)
    )


def is_published(text: str, start: int) -> bool:
    """Whether what stands at ``start`` is said, in its own sentence, to be a clinic's or service's and not a person's."""
    before = _BEFORE.split(text[max(0, start - 80) : start])[-1]
    return _SERVICE.search(before) is not None and _PERSON.search(before) is None


def _private(match: re.Match[str]) -> bool:
    return not is_published(match.string, match.start())


def _phone(match: re.Match[str]) -> bool:
    return not is_service_line(_value(match)) and _private(match)


def _code(match: re.Match[str]) -> bool:
    return len(_digits(match)) >= 4


def _age(match: re.Match[str]) -> bool:
    """One person's age, not the bound of a group."""
    before, after = match.string[max(0, match.start() - 12) : match.start()], match.string[match.end() : match.end() + 14]
    return _GROUP_BEFORE.search(before) is None and _GROUP_AFTER.match(after) is None


_GROUP_BEFORE = re.compile(r"(?:\b(?:over|above|beyond|under|below|than|least|most|to|until|and|or)|[-~<>≥≤至到超过大于小于满])\s?$", re.IGNORECASE)
_GROUP_AFTER = re.compile(
    r"(?:\s(?:years?\s)?(?:and|or)\s(?:over|older|above|under|younger)|\s?(?:[-~+]|to\b|至|到)\s?\d|\s?\+|(?:岁)?(?:以上|以下|及以|或以|左右|之后|之前))",
    re.IGNORECASE,
)

# Words between an announcement and what it announces: "number is:", "no. #", 号码为：
_SO = r"(?:'s)?(?:[\s:：=#]{0,2}\b(?:is|was|are|number|no\.?|num\.?)(?![A-Za-z])){0,3}[\s:：=#\"]{0,3}"
_WEI = r"(?:号码|号|编号)?(?:\s|是|为|：|:|=|“|\"){0,3}"
_FORM = r"[A-Za-z]{0,4}-?\d[A-Za-z0-9-]{2,18}[A-Za-z0-9]"
_CODE = rf"(?P<value>{_FORM})(?![A-Za-z0-9])"

_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DATE = (
    r"(?:\d{4}\s?[-/.年]\s?\d{1,2}(?:\s?[-/.月]\s?\d{1,2}(?!\d)\s?[日号]?|\s?月(?:份)?)|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})(?!\d)"
    rf"|(?:\d{{1,2}}(?:st|nd|rd|th)?\s)?{_MONTHS}\s(?:\d{{1,2}}(?:st|nd|rd|th)?,?\s)?\d{{4}}(?!\d))"
)

_HAN = r"[\u4e00-\u9fff]"
# Particles that stand before a place or name, never in it.
_PLACE = r"[^\W\da-zA-Z_在到住于从往去是为和与及他她我你您的请]"
_PROVINCES = r"(?:北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门)"
_ROAD = r"(?:路|街|大道|大街|巷|胡同|弄|村|镇|小区|社区|家园|花园|公寓|新村|苑|里)"
_DOOR = r"(?:[\da-zA-Z一二三四五六七八九十百-]{1,8}(?:号院|号楼|号|弄|栋|幢|座|单元|楼|层|室|户|组)){1,6}(?:\d{2,5}(?!\d))?"

_STREET = r"\d{1,6}[A-Z]?\s(?:[NSEW]{1,2}\.?\s|North\s|South\s|East\s|West\s)?(?:(?:[A-Z][a-z'’-]{1,20}|\d{1,3}(?:st|nd|rd|th))\s){1,3}"
_UNIT = r"(?:,?\s(?:Apt|Apartment|Suite|Ste|Unit|#)\.?\s?#?[A-Za-z0-9-]{1,6})?"
_ZIP = r"(?:,?\s(?:[A-Z][a-z]{1,20}\s?){1,3})?,?\s[A-Z]{2}\.?,?\s\d{5}(?:-\d{4})?(?!\d)"

# The 130 commonest surnames (Ministry of Public Security, 2020) and the commonest double ones.
_SURNAME = (
    r"(?:欧阳|上官|司马|诸葛|夏侯|皇甫|尉迟|慕容|司徒|令狐|东方|西门"
    r"|[王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧肖程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢路岳齐梅莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景薄单包司柏宁柯阮桂闵])"
)
# Surnames that also begin words of medicine and everyday speech: 高热, 黄疸, 白带, 何时.
_PLAIN_SURNAME = r"(?:欧阳|上官|司马|诸葛|皇甫|尉迟|慕容|令狐|[王李张刘陈杨赵吴徐孙胡朱林郭罗梁宋郑谢韩冯董萧肖曹袁邓沈彭吕苏卢蒋蔡贾丁魏薛阎潘戴汪姜姚谭廖邹熊郝崔邱侯邵孟钱尹黎贺赖龚庞樊殷陶翟倪俞葛韦聂邢岳祁耿詹靳甄裴鲍覃翁阮闵])"
_NOT_NAMED = re.compile(r".某|张口|张嘴|张力|张开|陈述|陈旧|杨梅|胡言|胡乱|苏醒|丁香|林巴|刘海|谢绝|吴茱|孙子|孙女|马上|何|未填|必填|不详|未知|保密|本人|匿名")
_NAME_ENDS = r"$|[\s，,、。；;：:（()）|/？?！!“”\"]|男|女|于|因|在|的|今|现|来|入院|出院|住院|年龄|性别|是|有|先生|女士|\d"
_GIVEN = rf"(?:{_HAN}{{1,2}}?(?={_NAME_ENDS})|{_HAN}{{1,2}})"

_TOKEN = r"[A-ZÀ-Þ][A-Za-zÀ-ÿ'’-]{1,20}"
_FULL_NAME = rf"(?:(?:Mr|Mrs|Ms|Miss)\.?\s)?{_TOKEN}(?:\s[A-Z]\.)?(?:\s{_TOKEN}){{0,2}}"
_NO_NAMES = frozenset({"a", "about", "adult", "age", "all", "also", "an", "and", "anonymous", "any", "are", "as", "at", "back", "because", "being", "but", "by", "called", "child", "children", "confidential", "date", "doctor", "does", "dr", "e", "education", "elderly", "female", "for", "from", "going", "gp", "had", "has", "have", "having", "he", "i", "i'm", "if", "im", "in", "information", "is", "it", "its", "just", "keep", "like", "male", "me", "mentioned", "my", "n/a", "name", "names", "none", "not", "nothing", "nurse", "of", "on", "or", "professor", "prof", "protected", "redacted", "right", "she", "so", "spelled", "spelt", "still", "that", "the", "there", "they", "this", "to", "unknown", "up", "used", "was", "we", "what", "when", "where", "which", "who", "why", "with", "withheld", "written", "wrong", "you", "your"})  # fmt: skip


def _named(match: re.Match[str]) -> bool:
    words = _value(match).lower().split()
    return words[0].rstrip(".") not in _NO_NAMES and _NOT_NAMED.match(_value(match)) is None


_PERSONAL_HOST = re.compile(
    r"(?<![A-Za-z0-9-])(?:facebook|instagram|twitter|x|linkedin|tiktok|weibo|zhihu|xiaohongshu|douyin|bilibili|threads|vk|t)\.(?:com|me|net|org|cn|tv)/[^/\s?]|(?:blogspot|wordpress|tumblr|substack)\.com/",
    re.IGNORECASE,
)
_PERSONAL_PATH = re.compile(
    r"/[~@]\w|/(?:u|user|users|profile|profiles|people|person|member|members|patient|patients)/\w|[?&](?:patient|patient_?id|mrn|uid|user|user_?id|member|token)=\w",
    re.IGNORECASE,
)


def _personal_page(match: re.Match[str]) -> bool:
    return _PERSONAL_HOST.search(match.group()) is not None or _PERSONAL_PATH.search(match.group()) is not None


_WEB = r"(?:https?://|www\.)[A-Za-z0-9._~%/?#=&+@:!,;-]{1,2000}[A-Za-z0-9/_~=-]"
_PHONES = r"(?:\+?\d{1,3}[- ]?)?\(?0?\d{2,4}\)?[-. ]?\d{3,4}[-. ]?\d{4}(?!\d)"


def _kind(label: str, pattern: str, check: Callable[[re.Match[str]], bool] | None = None, *, cues: str = "", flags: int = 0) -> Kind:
    return Kind(label, re.compile(pattern, flags), check, tuple(cues.split("|")) if cues else ())


_I = re.IGNORECASE

# Of two kinds that find the same characters the earlier names them, so what is announced comes first.
KINDS: tuple[Kind, ...] = (
    _kind("RESIDENT_ID", r"(?<![0-9A-Za-z])[1-9]\d{16}[0-9Xx](?![0-9A-Za-z])", _resident_id),
    _kind("EMAIL", r"(?<![A-Za-z0-9_.+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}(?![A-Za-z0-9_-])", cues="@"),
    _kind("FAX", rf"(?:(?<![A-Za-z])fax|传真){_SO}{_WEI}(?P<value>{_PHONES})", _phone, cues="fax|传真", flags=_I),
    _kind("MRN", r"(?<![A-Za-z])(?:MRN|medical record (?:number|no\.?)|patient (?:ID|number))\s?(?:(?:is|#|:|：|=|no\.?)\s?){0,3}(?P<value>[A-Za-z]{0,4}-?\d{4,12})\b", cues="mrn|medical record|patient", flags=_I),
    _kind("MRN", r"(?:病历号|住院号|门诊号|就诊卡号|病案号)(?:码)?(?:是|为)?[：:\s]?(?P<value>[A-Za-z]{0,3}\d{4,12})", cues="病历号|住院号|门诊号|就诊卡号|病案号"),
    _kind("HEALTH_PLAN_ID", rf"(?<![A-Za-z])(?:(?:member|subscriber|beneficiary|policy|policyholder|insurance|health plan|group plan)\s(?:id|number|no\b|#)|(?:medicare|medicaid|NHS|health card)(?:\s(?:id|number|no\b|#|beneficiary identifier))){_SO}(?P<value>\d{{3}} \d{{3}} \d{{4}}|{_FORM})(?![A-Za-z0-9])", _code, cues="member|subscriber|beneficiary|policy|insurance|plan|medicare|medicaid|nhs|health card", flags=_I),
    _kind("HEALTH_PLAN_ID", rf"(?:医保卡|社保卡|医疗保险|社会保障卡?|医保|参保人?|新农合|合作医疗证?|保险单|保单)(?:号码|编号|号){_WEI}{_CODE}", _code, cues="保|新农合|合作医疗"),
    _kind("ACCOUNT", r"(?<![\d-])(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|3[47]\d\d|3[05689]\d\d|35\d\d|6011|65\d\d|62\d\d|81\d\d)(?:[ -]?\d{2,6}){2,4}(?![\d-])", _card),
    _kind("ACCOUNT", r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Za-z0-9])", _iban),
    _kind("ACCOUNT", rf"(?<![A-Za-z])(?:(?:bank|checking|savings) account|account (?:number|no\b|#)|acct\.?(?: no\b| #)?){_SO}(?P<value>\d(?:[ -]?\d){{5,19}})(?![\d-])", cues="account|acct", flags=_I),
    _kind("ACCOUNT", rf"(?:银行卡|储蓄卡|信用卡|借记卡|银行账|银行帐|开户账|收款账|账户|账|帐)(?:号码|号){_WEI}(?P<value>\d(?:[ -]?\d){{7,22}})(?!\d)", cues="卡号|账号|帐号|账户"),
    _kind("LICENSE", rf"(?<![A-Za-z])(?:(?:driver'?s?'?|driving|medical|nursing|physician|professional|pilot'?s?) licen[cs]e(?:\s(?:id|number|no\b|#))?|licen[cs]e (?:number|no\b|#)|DL (?:number|no\b|#)){_SO}(?:[A-Z]{{2}}\s)?{_CODE}", _code, cues="licen|dl ", flags=_I),
    _kind("LICENSE", rf"(?:驾驶证|驾照|驾驶执照|行医执照|执业证书?|执业医师证书?|执业护士证书?|护士执业证书?|医师资格证书?|医师执业证书?|资格证书?)(?:档案)?(?:编号|号码|号)?{_WEI}(?P<value>[A-Za-z]{{0,2}}\d[\dA-Za-z]{{6,20}})", _code, cues="驾|执业|资格证|执照"),
    _kind("VEHICLE", r"(?<![A-Za-z0-9])[A-HJ-NPR-Z0-9]{17}(?![A-Za-z0-9])", _vehicle),
    _kind("VEHICLE", rf"(?:(?<![A-Za-z])(?:VIN|vehicle identification number)\b{_SO}|(?:车架号|车辆识别代号|车辆识别码|发动机号){_WEI})(?P<value>[A-HJ-NPR-Z0-9]{{6,17}})(?![A-Za-z0-9])", _code, cues="vin|vehicle|车架|车辆识别|发动机", flags=_I),
    _kind("VEHICLE", r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·•.\s]?(?:[A-HJ-NP-Z0-9]{6}|[A-HJ-NP-Z0-9]{5}|[A-HJ-NP-Z0-9]{4}[挂学警港澳])(?![A-Za-z0-9])", _plate),
    _kind("VEHICLE", rf"(?:(?<![A-Za-z])(?:licen[cs]e plate|number plate|plate number|registration plate){_SO}|车牌号?{_WEI})(?P<value>(?=[A-Z -]{{0,4}}\d)[A-Z0-9]{{2,4}}[ -]?[A-Z0-9]{{2,5}})(?![A-Za-z0-9])", cues="plate|车牌", flags=_I),
    _kind("DEVICE_ID", rf"(?<![A-Za-z])(?:(?:device |pump |pacemaker |implant )?serial\s(?:number|no\b|#)|S/N|IMEI|device (?:id|identifier)){_SO}{_CODE}", _code, cues="serial|s/n|imei|device", flags=_I),
    _kind("DEVICE_ID", rf"(?:序列号|出厂编号|设备编号|设备号|器械编号|起搏器编号|机身号){_WEI}{_CODE}", _code, cues="序列|编号|设备号|机身"),
    _kind("DEVICE_ID", r"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])", cues=":|-"),
    _kind("DEVICE_ID", r"[(（]01[)）](?P<gtin>\d{14})(?:[(（](?:10|11|17|21)[)）][A-Za-z0-9-]{1,20}){0,4}", _gtin, cues="01)|01）"),
    _kind("PASSPORT", rf"(?:(?<![A-Za-z])passport{_SO}|护照{_WEI})(?P<value>[A-Za-z]{{0,2}}\d{{6,9}})(?![A-Za-z0-9])", cues="passport|护照", flags=_I),
    _kind("TRAVEL_PERMIT", rf"(?:(?<![A-Za-z])(?:home return permit|mainland travel permit|travel permit|exit-entry permit){_SO}|(?:内地通行证|大陆通行证|港澳通行证|台湾通行证|回乡证|台胞证|居民居住证|居住证){_WEI})(?P<value>[A-Za-z]{{0,2}}\d{{7,10}})(?![A-Za-z0-9])", cues="permit|通行证|回乡证|台胞证|居住证", flags=_I),
    _kind("URL", rf"(?<![A-Za-z0-9@]){_WEB}", _personal_page, cues="://|www."),
    _kind("URL", r"(?:(?<![A-Za-z])my (?:own |personal )?(?:website|web page|home ?page|page|blog|profile)\b(?:\sis|\sat)?[\s:：]{1,2}|(?:个人主页|我的(?:网站|主页|博客|微博)|个人网站)(?:是|为|在)?[：:\s]{0,2})(?P<value>(?:https?://|www\.)?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}(?:/[A-Za-z0-9._~%/?#=&+@-]{0,200})?)", cues="my |个人|我的", flags=_I),
    _kind("IP_ADDRESS", r"(?<![\w.])(?:(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])|(?:[0-9A-Fa-f]{1,4}:){2,6}(?::[0-9A-Fa-f]{1,4}){1,5}(?![\w:]))", _address_of_machine),
    _kind("IP_ADDRESS", rf"(?<![A-Za-z])IP(?: address|地址)?{_SO}{_WEI}(?P<value>(?:\d{{1,3}}\.){{3}}\d{{1,3}})(?!\w|\.\d)", cues="ip", flags=_I),
    _kind("DATE_OF_BIRTH", rf"(?<![A-Za-z])(?:DOB|date of birth|born on|birth ?date)\s?(?:is|:|：|=)?\s?(?P<value>{_DATE})", cues="dob|birth|born", flags=_I),
    _kind("DATE_OF_BIRTH", rf"(?:出生日期|出生年月日?|生日)(?:是|为)?[：:\s]?(?P<value>{_DATE})", cues="出生|生日"),
    _kind("DATE", rf"(?<![A-Za-z])(?:admi(?:ssion|tted)|discharged?|died|deceased|passed away|date of (?:admission|discharge|death|visit|service|surgery)|death|visit(?:ed)?|operated|surgery|seen)(?: (?:date|to hospital|to the hospital|from hospital|from the hospital|in clinic|home))?\s?(?:on|in|was|is|:|：|=)?\s?(?P<value>{_DATE})", cues="adm|discharge|died|dece|passed|death|visit|operated|surgery|seen|service", flags=_I),
    _kind("DATE", rf"(?:入院|出院|住院|转院|死亡|去世|逝世|就诊|手术|门诊)(?:日期|时间|日)?(?:是|为|于)?[：:\s]?(?P<value>{_DATE})", cues="院|死亡|世|就诊|手术|门诊"),
    _kind("DATE", rf"(?P<value>{_DATE})(?:因{_HAN}{{1,8}})?(?:在我院|在本院)?(?:入院|出院|住院|转院|死亡|去世|逝世|就诊|手术)", cues="院|死亡|世|就诊|手术"),
    _kind("AGE_OVER_89", r"(?<![\d.])(?P<value>(?:9\d|1[0-2]\d)(?=(?:[\s-]years?[\s-]old|[\s-]y/?o\b|\s?岁)))", _age, cues="year|y/o|yo|岁"),
    _kind("AGE_OVER_89", r"(?:(?<![A-Za-z])(?:aged?|age is)[\s:：=]{1,2}|年龄(?:是|为)?[：:\s]{0,2})(?P<value>9\d|1[0-2]\d)(?![\d.%])", _age, cues="age|年龄", flags=_I),
    _kind("AGE_OVER_89", r"(?P<value>(?:九十|一百)[一二三四五六七八九]?(?=岁))", _age, cues="岁"),
    _kind("ADDRESS", rf"(?<![\d.])(?:{_STREET}(?:(?:Street|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Parkway|Pkwy|Highway|Hwy)\b\.?|St\b\.?(?!\s[A-Z][a-z])){_UNIT}(?:{_ZIP})?|{_STREET}(?:Drive|Dr|Court|Ct|Way|Place|Pl|Terrace|Circle|Cir|Square|Sq|St)\b\.?{_UNIT}{_ZIP})", _private),
    _kind("ADDRESS", r"(?<![A-Za-z])P\.? ?O\.? Box \d{1,6}(?!\d)", _private, cues="box", flags=_I),
    _kind("ADDRESS", rf"(?:(?<![A-Za-z])(?:zip(?: code)?|post(?:al )?code){_SO}(?P<value>\d{{5}}(?:-\d{{4}})?)(?!\d))", _private, cues="zip|post", flags=_I),
    _kind("ADDRESS", rf"(?:邮编|邮政编码){_WEI}(?P<value>\d{{6}})(?!\d)", _private, cues="邮"),
    _kind("ADDRESS", rf"(?:{_PROVINCES}(?:省|市|(?:壮族|回族|维吾尔)?自治区|特别行政区)?(?:{_PLACE}{{2,6}}?(?:市|自治州|地区|盟))?(?:{_PLACE}{{1,6}}?(?:区|县|旗|市))?|{_PLACE}{{2,4}}市(?:{_PLACE}{{1,5}}?(?:区|县))?|{_PLACE}{{2,4}}[区县])(?:{_PLACE}{{1,8}}?(?:街道|乡|镇))?{_PLACE}{{1,10}}?{_ROAD}{_DOOR}", _private, cues="省|市|区|县|路|街|巷|村|镇"),
    _kind("ADDRESS", rf"(?:家庭地址|家庭住址|现住址|住址|户籍地址|户口所在地|居住地址?|通讯地址|收货地址|联系地址|地址|家住|住在)(?:是|为|在|：|:|\s){{0,2}}(?P<value>(?:{_PLACE}|\d){{2,30}}?{_ROAD}(?:{_DOOR})?(?:{_PLACE}{{1,6}}{_DOOR})?)", _private, cues="址|家住|住在|居住|所在地"),
    _kind("NAME", rf"(?i:(?<![A-Za-z])(?:my (?:full |first |last )?name is|my name's|i am called|(?:his|her|their|the patient'?s?) (?:full |first |last )?name is)\s)(?P<value>{_FULL_NAME}|[a-z]{{2,20}}(?:\s(?!(?:and|i|im|but|from|age|aged|in|is|my|a|the|with|who|have|at|so|for|on)\b)[a-z]{{2,20}}){{0,1}})", _named, cues="name|called"),
    _kind("NAME", rf"(?i:(?<![A-Za-z])(?:patient(?:'s)?|client|full|first|last|family|given|maiden|father's|mother's|guardian(?:'s)?) name|(?<![A-Za-z])surname)\s?(?:[:：=]|is\b)\s?(?P<value>{_FULL_NAME})", _named, cues="name"),
    _kind("NAME", rf"(?:^|[\n.;,(|{{])[\s\"]{{0,3}}(?i:name)\"?\s?[:：]\s?\"?(?P<value>{_FULL_NAME})", _named, cues="name"),
    _kind("NAME", rf"(?i:(?<![A-Za-z])(?:patient|pt)\s?[:：]\s?|(?<![A-Za-z])(?:patient|man|woman|boy|girl|son|daughter|husband|wife|mother|father|brother|sister|child)(?:,)? (?:named|called) )(?P<value>(?:(?:Mr|Mrs|Ms|Miss)\.?\s){_TOKEN}(?:\s{_TOKEN}){{0,2}}|{_TOKEN}(?:\s[A-Z]\.)?\s{_TOKEN}(?:\s{_TOKEN})?)", _named, cues="patient|pt|named|called"),
    _kind("NAME", rf"(?<!药品)(?:姓名|名字)(?:是|为|叫|：|:|\s){{1,2}}(?P<value>{_HAN}{{2,4}}(?:·{_HAN}{{1,6}}){{0,2}}(?=$|[\s，,、。；;/|（(]|性别|年龄)|{_SURNAME}{_GIVEN})", _named, cues="姓名|名字"),
    _kind("NAME", rf"(?:我叫|我名叫|本人叫|我的名字叫|(?:儿子|女儿|孩子|丈夫|妻子|老公|老婆|父亲|母亲|爸爸|妈妈|爷爷|奶奶|患者|病人)(?:名叫|叫)|名叫)(?P<value>{_SURNAME}{_GIVEN})", _named, cues="叫"),
    _kind("NAME", rf"(?:患者|病人|病患|受检者|就诊人|家属)(?:姓名)?[：:\s]?(?P<value>{_PLAIN_SURNAME}{_HAN}{{1,2}}?(?={_NAME_ENDS})|{_SURNAME}{_HAN}{{1,2}}?(?=[，,、\s（(]{{0,2}}(?:男|女|先生|女士|\d{{1,3}}岁)))", _named, cues="患者|病人|病患|受检者|就诊人|家属"),
    _kind("PHONE", r"(?<![\d-])(?:\+?86[- ]?)?1[3-9]\d(?:[- ]?\d{4}){2}(?![\d-])", _phone),
    _kind("PHONE", r"(?<![\d-])(?:\+?1[-. ]?)?\(?[2-9]\d{2}\)?[-. ][2-9]\d{2}[-. ]\d{4}(?![\d-])", _phone),
    _kind("PHONE", r"(?:电话|手机|联系方式)[号码]{0,2}(?:是|为)?[：:\s]?(?P<value>0\d{2,3}[- ]?\d{7,8})(?!\d)", _phone, cues="电话|手机|联系方式"),
    _kind("SSN", r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])", _social_security),
)  # fmt: skip
