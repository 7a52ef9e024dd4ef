from __future__ import annotations

import importlib
import itertools

import pytest

from guardmed.errors import UsageError
from guardmed.policy.phi import find_identifiers, redact
from guardmed.policy.phi_openmed import find_identifiers_openmed


def found(text: str, **options) -> list[tuple[str, str]]:
    return [(one.label, one.span.of(text)) for one in find_identifiers_openmed(text, **options)]


def test_it_says_how_to_get_what_is_missing(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r'openmed is not installed\. Install it: pip install "guardmed\[openmed\]"'):
        find_identifiers_openmed("Jane")


@pytest.fixture
def openmed():
    return pytest.importorskip("openmed", reason="the optional package openmed is not installed: pip install guardmed[openmed]")


@pytest.mark.usefixtures("openmed")
class TestWithOpenMed:
    @pytest.mark.parametrize(
        ("text", "label", "value"),
        [
            ("The letter of 03/14/2025 was lost.", "DATE", "03/14/2025"),
            ("Please write to 123 Main Court soon.", "ADDRESS", "123 Main Court"),
            ("The page https://example.org/a/b is hers.", "URL", "https://example.org/a/b"),
            ("她的证件是E12345678，护照。", "PASSPORT", "E12345678"),
        ],
    )
    def test_it_finds_what_the_built_in_kinds_leave(self, text, label, value):
        assert find_identifiers(text) == []
        assert found(text) == [(label, value)]

    def test_a_label_of_its_own_stays_in_upper_case(self):
        assert ("NPI", "1234567893") in found("Provider NPI 1234567893", min_confidence=0.1)

    @pytest.mark.parametrize(
        "text",
        [
            "Patient: Jane Doe, MRN: 00123456, call 415-555-2671, mail jane@example.org, IP 10.20.30.40",
            "患者李四，男，身份证11010519491231002X，手机13812345678，车牌京A12345，医保卡号：A12345678",
        ],
    )
    def test_nothing_built_in_is_lost_and_nothing_overlaps(self, text):
        both = find_identifiers_openmed(text)
        assert all(a.span.end <= b.span.start for a, b in itertools.pairwise(both))
        for one in find_identifiers(text):
            assert any(other.span.overlaps(one.span) and other.span.end - other.span.start >= one.span.end - one.span.start for other in both)
        assert find_identifiers(redact(text, both)) == []

    def test_of_two_the_longer_wins(self):
        assert ("VEHICLE", "京A12345") in found("车牌京A12345")
        assert found("The chart says MRN: 00123456 today.") == [("MRN", "MRN: 00123456")]

    @pytest.mark.parametrize(
        "text",
        [
            "Call 1-800-222-1222, 988 or 911 now.",
            "Take 500 mg twice a day for 10 days.",
            "Our clinic answers at 415-555-2671.",
            "每次五十毫克，用量不变。",
            "请拨打120，或400-161-9995。",
            "",
        ],
    )
    def test_doses_and_help_lines_are_nobodys(self, text):
        assert found(text) == []

    def test_offsets_are_of_the_original_text(self):
        text = "手机：１３８１２３４５６７８，邮箱 zhang.wei@example.com"
        assert found(text) == [("PHONE", "１３８１２３４５６７８"), ("EMAIL", "zhang.wei@example.com")]
