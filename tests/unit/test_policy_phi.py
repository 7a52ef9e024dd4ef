from __future__ import annotations

import datetime
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.policy import Stage, load_policy
from guardmed.policy import identifiers as kinds
from guardmed.policy.phi import LABELS, Identifier, find_identifiers, longest, redact
from guardmed.text import Span


def found(text: str, labels: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [(one.label, one.span.of(text)) for one in find_identifiers(text, labels)]


def resident_id(first: str) -> str:
    total = sum(int(digit) * pow(2, 17 - index, 11) for index, digit in enumerate(first))
    return first + "10X98765432"[total % 11]


@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        ("身份证号11010519491231002X，请登记", "RESIDENT_ID", "11010519491231002X"),
        ("ID 11010519491231002x.", "RESIDENT_ID", "11010519491231002x"),
        ("手机13812345678", "PHONE", "13812345678"),
        ("Call +86 138 1234 5678 now", "PHONE", "+86 138 1234 5678"),
        ("电话：010-12345678", "PHONE", "010-12345678"),
        ("Call (415) 555-2671.", "PHONE", "(415) 555-2671"),
        ("1-415-555-2671", "PHONE", "1-415-555-2671"),
        ("415.555.2671", "PHONE", "415.555.2671"),
        ("Mail jane.doe+ward@st-marys.nhs.uk.", "EMAIL", "jane.doe+ward@st-marys.nhs.uk"),
        ("邮箱：zhang.wei@example.com，谢谢", "EMAIL", "zhang.wei@example.com"),
        ("SSN 123-45-6789", "SSN", "123-45-6789"),
        ("MRN: 00123456", "MRN", "00123456"),
        ("Medical record number is 445566", "MRN", "445566"),
        ("patient ID AB-123456", "MRN", "AB-123456"),
        ("住院号：A1234567", "MRN", "A1234567"),
        ("病历号12345678", "MRN", "12345678"),
        ("DOB: 03/14/1985", "DATE_OF_BIRTH", "03/14/1985"),
        ("born on 14th March 1985", "DATE_OF_BIRTH", "14th March 1985"),
        ("date of birth: March 14, 1985", "DATE_OF_BIRTH", "March 14, 1985"),
        ("出生日期：1985年3月14日", "DATE_OF_BIRTH", "1985年3月14日"),
        ("生日是1990-01-02", "DATE_OF_BIRTH", "1990-01-02"),
    ],
)
def test_found(text: str, label: str, value: str) -> None:
    assert found(text) == [(label, value)]


@pytest.mark.parametrize(
    "text",
    [
        "110105194912310021",  # check character is X
        resident_id("11010519491331002"),  # month 13
        "666-45-6789",
        "000-12-3456",
        "900-12-3456",
        "123-00-6789",
        "123-45-0000",
        "order 12345678901",
        "BP 120/80, take 500-1000 mg",
        "血压120/80，心率72",
        "The appointment is on 14 March 2025.",
        "复诊日期：2025年3月14日",
        "Paracetamol 500 mg, 2 tablets every 4-6 hours",
        "meet @ 5",
        "",
    ],
)
def test_not_an_identifier(text: str) -> None:
    assert found(text) == []


@given(st.dates(min_value=datetime.date(1900, 1, 1)), st.integers(110000, 659999), st.integers(0, 999))
def test_resident_ids_by_their_checksum(born: datetime.date, area: int, serial: int) -> None:
    number = resident_id(f"{area}{born:%Y%m%d}{serial:03d}")
    assert found(f"身份证{number}。") == [("RESIDENT_ID", number)]
    wrong = number[:-1] + ("0" if number[-1] != "0" else "1")
    assert ("RESIDENT_ID", wrong) not in found(f"身份证{wrong}。")


def test_only_the_labels_asked_for() -> None:
    text = "MRN: 00123456, mail a@b.org"
    assert found(text, ("EMAIL",)) == [("EMAIL", "a@b.org")]
    assert {label for label, _ in found(text)} == {"MRN", "EMAIL"} <= set(LABELS)


def test_redacted_in_place() -> None:
    text = "张先生，手机13812345678，病历号12345678。Mail a@b.org"
    assert redact(text, find_identifiers(text)) == "张先生，手机[PHONE]，病历号[MRN]。Mail [EMAIL]"


PIECES = st.lists(
    st.sampled_from(["13812345678", " ", "，", "a@b.org", "SSN 123-45-6789", "11010519491231002X", "MRN: 00123456", "take 2", "\n", "头痛"]), max_size=8
)


@given(PIECES)
def test_ordered_without_overlaps_and_gone_once_redacted(pieces: list[str]) -> None:
    text = " ".join(pieces)
    spans = [one.span for one in find_identifiers(text)]
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    assert find_identifiers(redact(text, find_identifiers(text))) == []


SAMPLES = [
    ("fax: 415-555-2671", "FAX", "415-555-2671"),
    ("传真：010-12345678", "FAX", "010-12345678"),
    ("He posts at https://www.facebook.com/jane.doe.5, daily", "URL", "https://www.facebook.com/jane.doe.5"),
    ("https://portal.example.org/patients/4711?tab=2", "URL", "https://portal.example.org/patients/4711?tab=2"),
    ("my website is www.janedoe.com", "URL", "www.janedoe.com"),
    ("我的微博：https://weibo.com/u/1234567", "URL", "https://weibo.com/u/1234567"),
    ("logged in from 192.168.1.20.", "IP_ADDRESS", "192.168.1.20"),
    ("IP地址：8.8.8.8", "IP_ADDRESS", "8.8.8.8"),
    ("from 2001:db8:85a3::8a2e:370:7334 today", "IP_ADDRESS", "2001:db8:85a3::8a2e:370:7334"),
    ("Member ID: W123456789", "HEALTH_PLAN_ID", "W123456789"),
    ("insurance policy number is XJ-4455667", "HEALTH_PLAN_ID", "XJ-4455667"),
    ("Medicare number 1EG4-TE5-MK73", "HEALTH_PLAN_ID", "1EG4-TE5-MK73"),
    ("NHS number 943 476 5919", "HEALTH_PLAN_ID", "943 476 5919"),
    ("医保卡号：A12345678", "HEALTH_PLAN_ID", "A12345678"),
    ("社保卡号为330106199001011234", "HEALTH_PLAN_ID", "330106199001011234"),
    ("参保号1234567", "HEALTH_PLAN_ID", "1234567"),
    ("paid with 4111 1111 1111 1111", "ACCOUNT", "4111 1111 1111 1111"),
    ("银行卡号6222021234567890128", "ACCOUNT", "6222021234567890128"),
    ("my bank account number is 00123456789", "ACCOUNT", "00123456789"),
    ("to DE89 3704 0044 0532 0130 00.", "ACCOUNT", "DE89 3704 0044 0532 0130 00"),
    ("driver's license number D1234567", "LICENSE", "D1234567"),
    ("驾驶证号：330106198001011234", "LICENSE", "330106198001011234"),
    ("执业证书编号110330000012345", "LICENSE", "110330000012345"),
    ("1HGCM82633A004352", "VEHICLE", "1HGCM82633A004352"),
    ("车牌京A12345", "VEHICLE", "京A12345"),
    ("沪AD12345停在门口", "VEHICLE", "沪AD12345"),
    ("粤Z·1234港", "VEHICLE", "粤Z·1234港"),
    ("license plate 7ABC123", "VEHICLE", "7ABC123"),
    ("pump serial number PJN123456S", "DEVICE_ID", "PJN123456S"),
    ("起搏器序列号：SN20231234", "DEVICE_ID", "SN20231234"),
    ("00:1B:44:11:3A:B7", "DEVICE_ID", "00:1B:44:11:3A:B7"),
    ("UDI (01)00643169007222(17)250101(21)ABC123", "DEVICE_ID", "(01)00643169007222(17)250101(21)ABC123"),
    ("passport no. 512345678", "PASSPORT", "512345678"),
    ("护照号码是E12345678", "PASSPORT", "E12345678"),
    ("港澳居民来往内地通行证号H12345678", "TRAVEL_PERMIT", "H12345678"),
    ("台胞证：12345678", "TRAVEL_PERMIT", "12345678"),
    ("She was admitted on March 3, 2025", "DATE", "March 3, 2025"),
    ("discharge date: 2025-03-20", "DATE", "2025-03-20"),
    ("died on 2 April 2025", "DATE", "2 April 2025"),
    ("入院日期：2025年3月14日", "DATE", "2025年3月14日"),
    ("于2025年3月20日出院", "DATE", "2025年3月20日"),
    ("死亡时间 2025-04-01", "DATE", "2025-04-01"),
    ("a 92-year-old man", "AGE_OVER_89", "92"),
    ("今年九十二岁", "AGE_OVER_89", "九十二"),
    ("年龄：101", "AGE_OVER_89", "101"),
    ("She lives at 123 Main Street, Apt 4B, Boston, MA 02115.", "ADDRESS", "123 Main Street, Apt 4B, Boston, MA 02115"),
    ("45 Oak Drive, Springfield, IL 62704", "ADDRESS", "45 Oak Drive, Springfield, IL 62704"),
    ("ZIP code 02115-1234", "ADDRESS", "02115-1234"),
    ("他家住北京市朝阳区建国路88号3号楼502室", "ADDRESS", "北京市朝阳区建国路88号3号楼502室"),
    ("请寄到杭州市西湖区文三路100号", "ADDRESS", "杭州市西湖区文三路100号"),
    ("邮编100022", "ADDRESS", "100022"),
    ("My name is Jane Doe and I cough", "NAME", "Jane Doe"),
    ("my name is jane doe and i cough", "NAME", "jane doe"),
    ("Patient: John Smith, 45", "NAME", "John Smith"),
    ("Patient name: Mary-Ann O'Neil", "NAME", "Mary-Ann O'Neil"),
    ("a woman named Ann Lee came", "NAME", "Ann Lee"),
    ("姓名：张三，性别：男", "NAME", "张三"),
    ("姓名：阿依古丽·买买提，女", "NAME", "阿依古丽·买买提"),
    ("患者李四，男，45岁", "NAME", "李四"),
    ("患者李小明因胸痛入院", "NAME", "李小明"),
    ("患者黄强，男", "NAME", "黄强"),
    ("我叫王五，头痛", "NAME", "王五"),
]


@pytest.mark.parametrize(("text", "label", "value"), SAMPLES)
def test_every_kind_is_found(text: str, label: str, value: str) -> None:
    assert found(text) == [(label, value)]


def test_every_label_has_an_example_and_stands_in_the_list() -> None:
    older = {"RESIDENT_ID", "EMAIL", "PHONE", "SSN", "MRN", "DATE_OF_BIRTH"}
    assert {label for _, label, _ in SAMPLES} | older == set(LABELS)
    assert [label for label in LABELS if f"``{label}``" not in (kinds.__doc__ or "")] == []


@pytest.mark.parametrize(
    "text",
    [
        "Call 911, 988 or 1-800-222-1222 now; (844) 764-7669 in Canada.",
        "请拨打120、110、12320、12356或400-161-9995、400-661-9995。",
        "中毒控制中心热线电话：010-83132345，医院总机电话：021-64041990",
        "Our clinic answers at 415-555-2671, the hospital's front desk at (415) 555-2672.",
        "The pharmacy is at 123 Main Street.",
        "门诊地址：北京市东城区东交民巷1号",
        "See https://www.who.int/news-room/fact-sheets/detail/diabetes, www.nhs.uk/conditions/flu/ and https://healthbox.com/a.",
        "The 2024 guideline, section 4.2.1.3, version 1.2.3.4, at 12:30:45",
        "2024年指南，第4.2.1.3节",
        "4111 1111 1111 1112",
        "1HGCM82633A004353",
        "新B12片，贵州茅台，京ABCDE",
        "(01)00643169007223",
        "DE88 3704 0044 0532 0130 00",
        "People over 90 years old, adults of 80 to 90 years old, 90 years and older, aged 90 or over",
        "90岁以上的老人，80至90岁，血压92",
        "Take 2 Tablets This Way. 5 Big Place settings",
        "走路30分钟，每天3次，服用1号药",
        "Dr. Smith and Mr. Jones; Dr. Ann Lee said so. My name is Dr. House.",
        "my name is on the list; my name is not known; Generic name: Warfarin Sodium",
        "Patient: Elderly woman. Patient Health Questionnaire. Patient: No complaints",
        "患者高热，患者黄疸，患者周围血管病，患者张口困难，患者陈述，患者何时复查，患者：头痛三天",
        "张医生说，李主任建议，我叫了120，姓名：不详",
        "Member states; the policy number of deaths; account for 12345",
        "License to practise; passport to health; serial numbers 1 to 3",
        "入院须知，出院3天后复查，手术2小时",
        "The hospital opened on 3 May 1990.",
        "布洛芬200mg，每4-6小时一次，24小时不超过1200mg",
    ],
)
def test_what_identifies_nobody_stays(text: str) -> None:
    assert found(text) == []


def test_a_persons_number_stays_theirs_beside_a_clinic() -> None:
    assert found("The clinic should call the patient at 415-555-2671") == [("PHONE", "415-555-2671")]
    assert found("医院登记的患者手机13812345678") == [("PHONE", "13812345678")]
    assert found("Our clinic is closed. 415-555-2671 reaches me.") == [("PHONE", "415-555-2671")]


def test_the_longer_wins() -> None:
    a, b, c = Identifier("A", Span(0, 4)), Identifier("B", Span(3, 9)), Identifier("C", Span(9, 12))
    assert longest([a, b, c]) == longest([c, b, a]) == [b, c]
    assert longest([Identifier("A", Span(0, 4)), Identifier("B", Span(0, 4))]) == [a]
    assert found("IBAN DE89370400440532013000") == [("ACCOUNT", "DE89370400440532013000")]


@pytest.mark.parametrize("text", ["手机：１３８１２３４５６７８。", "手机：138\u200b1234\u200b5678。", "手机：138  1234  5678。"])
def test_other_widths_and_invisible_characters_hide_nothing(text: str) -> None:
    (one,) = find_identifiers(text)
    assert one.label == "PHONE"
    assert redact(text, [one]) == "手机：[PHONE]。"


def test_an_answer_with_a_help_line_is_left_alone_and_one_with_a_name_is_masked() -> None:
    policy = load_policy("clinical")
    assert policy.check("Call 1-800-222-1222 now, and take nothing until they answer.", stage=Stage.OUTPUT).decision.value == "allow"
    verdict = policy.check("患者李四，男，医保卡号：A12345678，请复诊。", stage=Stage.OUTPUT)
    assert verdict.text == "患者[NAME]，男，医保卡号：[HEALTH_PLAN_ID]，请复诊。"
    assert [one.label for one in verdict.identifiers] == ["NAME", "HEALTH_PLAN_ID"]


FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from([text for text, _, _ in SAMPLES] + [value for _, _, value in SAMPLES]),
        st.sampled_from(
            ["我叫", "姓名：", "patient: ", "IP ", "电话", "1", "-", " ", "，", "\n", "]", "[", "|", "+86", "@", "岁", "住在", "passport ", "  ", "\u200b"]
        ),
        st.text(max_size=4),
    ),
    max_size=8,
)


@given(FRAGMENTS)
def test_nothing_is_found_once_redacted_and_the_rest_is_unchanged(pieces: list[str]) -> None:
    text = "".join(pieces)
    identifiers = find_identifiers(text)
    masked = redact(text, identifiers)
    assert find_identifiers(masked) == []
    back = masked
    for one in identifiers:
        at = one.span.start
        assert back[at:].startswith(f"[{one.label}]")
        back = back[:at] + one.span.of(text) + back[at + len(one.label) + 2 :]
    assert back == text


@pytest.mark.parametrize(
    "seed", ["北京市", "地址路", "市", "12 Main St ", "138", "1-", "a.", "患者李", "my name is ", "passport number is ", "2025年", "62 ", "http://", "a@b.org "]
)
def test_time_is_linear(seed: str) -> None:
    def seconds(size: int) -> float:
        text = (seed * size)[:size]
        start = time.process_time()
        find_identifiers(text)
        return time.process_time() - start

    seconds(1000)
    short, long = min(seconds(10_000) for _ in range(3)), min(seconds(80_000) for _ in range(3))
    assert long < 24 * short + 0.05  # eight times the text; a square would take 64 times
