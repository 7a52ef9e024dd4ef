from __future__ import annotations

import datetime
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.policy.phi import LABELS, find_identifiers, redact


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
