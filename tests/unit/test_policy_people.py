from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.policy.people import NOBODY, PeopleReader, Person
from guardmed.text import Span, normalise, sentences

READER = PeopleReader()


def person(text: str, sentence: int = -1, place: str = "DOSE") -> Person:
    """Whom the place in a sentence is for; by default the end of the last sentence."""
    folded = normalise(text).text
    spans = sentences(folded)
    start = folded.find(place)
    at = Span(start, start + len(place)) if start >= 0 else Span(spans[sentence].end, spans[sentence].end)
    return READER.read(folded).of(at, next((span for span in spans if span.contains(at)), spans[sentence]))


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("my 4-year-old", 4), ("a 4 year old boy", 4), ("4yo girl", 4), ("aged 6", 6), ("She is 7.", 7), ("an eight-year-old", 8), ("turned 3", 3),
        ("8 months old", 8 / 12), ("an 18-month-old", 1.5), ("3岁", 3), ("三岁", 3), ("孩子今年5周岁", 5), ("8个月的宝宝", 8 / 12), ("宝宝8个月", 8 / 12),
    ],
)  # fmt: skip
def test_the_age_of_a_child(text: str, years: float) -> None:
    found = person(text)
    assert found.child
    assert found.at_least == pytest.approx(years)
    assert found.younger_than is not None
    assert found.younger_than > years


@pytest.mark.parametrize("text", ["my toddler", "an infant", "the baby", "小孩", "宝宝发烧", "孩子咳嗽", "a child of 4", "children under 12"])
def test_a_child_without_figures(text: str) -> None:
    assert person(text).child


@pytest.mark.parametrize(
    "text",
    ["a 78-year-old man", "my grandmother who is 85", "I'm 70", "80岁老人", "给老人吃", "people over 65", "65岁以上", "an elderly woman", "She turned 90"],
)
def test_older_adults(text: str) -> None:
    assert person(text).elderly
    assert not person(text).child


@pytest.mark.parametrize(
    ("text", "kilograms"),
    [
        ("The child weighs 12 kg", 12), ("15kg的孩子", 15), ("孩子体重20公斤", 20), ("my toddler, 30 lb", 13.6), ("宝宝20斤", 10),
        ("a child weighing about 14.5 kg", 14.5),
        ("体重12公斤", 12), ("weighs 25 pounds", 11.3),
    ],
)  # fmt: skip
def test_the_weight_of_a_child(text: str, kilograms: float) -> None:
    assert person(text).child
    assert person(text).weight == pytest.approx(kilograms, abs=0.05)
    assert person(text).heaviest == person(text).weight


@pytest.mark.parametrize(
    "text",
    [
        "I'm on dialysis", "my eGFR is 20", "eGFR 20", "creatinine clearance 15", "CrCl of 25 ml/min",
        "stage 5 kidney disease", "stage IV CKD", "end-stage renal disease",
        "severe renal impairment", "在做透析", "尿毒症", "肌酐清除率15", "肾小球滤过率只有20", "慢性肾病5期", "重度肾功能不全",
    ],
)  # fmt: skip
def test_kidneys_that_fail(text: str) -> None:
    assert person(text).severe_renal


@pytest.mark.parametrize(
    "text",
    [
        "Take it for 4 years", "3 years ago", "She is 4 months pregnant", "every 8 hours", "50 mg", "I am 40", "He is 30 minutes late",
        "我今年45岁", "吃了8个月",
        "I weigh 70 kg", "I lost 5 kg", "eGFR 75", "stage 2 kidney disease", "adults", "成人", "baby aspirin", "a child-resistant cap",
        "幼儿园放假", "keep away from children",
        "not for children under 12", "12岁以下禁用", "unless on dialysis", "I'm breastfeeding my 3-month-old",
        "我在哺乳期，宝宝3个月", "children aged 12 and over", "18岁以上", "",
    ],
)  # fmt: skip
def test_an_adult_or_nobody(text: str) -> None:
    found = person(text + " DOSE")
    assert not (found.child or found.elderly or found.severe_renal)


def test_what_is_said_earlier_holds_later() -> None:
    found = person("My son is 4. He weighs 15 kg. May he have it?")
    assert (found.child, found.weight) == (True, 15.0)
    assert person("我妈80岁，在透析。能吃吗？") == Person(at_least=80.0, younger_than=81.0, severe_renal=True)


def test_people_in_general_do_not_reach_other_sentences() -> None:
    assert person("Not meant for small children. Children under 6 need less. Take it DOSE.") == NOBODY
    assert person("eGFR below 30 is severe. Take it DOSE.") == NOBODY


def test_the_nearest_person_governs() -> None:
    assert not person("Adults DOSE, children less").child
    assert person("Adults more, children DOSE").child
    assert person("more for adults, DOSE for toddlers").child


def test_a_parent_who_takes_it_is_no_child() -> None:
    assert not person("My 4-year-old gave me a cold, can I take DOSE?").child
    assert person("Can I give my 4-year-old DOSE?").child
    assert person("I am 10, can I take DOSE?").child


def test_figures_of_a_person_are_blotted_out() -> None:
    text = "My 4-year-old weighs 15 kg, eGFR 20; give 250 mg"
    rest = READER.read(text).rest
    assert len(rest) == len(text)
    assert [figure in rest for figure in ("4", "15", "20 ", "250 mg")] == [False, False, False, True]


def test_older_children_may_be_heavier() -> None:
    weights = [Person(younger_than=float(years)).heaviest or 0.0 for years in range(1, 13)]
    assert weights == sorted(weights)
    assert Person(younger_than=15.0).heaviest is None


@given(st.integers(0, 120))
def test_every_age_is_read(years: int) -> None:
    for text in (f"a {years}-year-old", f"{years}岁"):
        assert person(text).at_least == years
        assert person(text).elderly == (years >= 65)


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    folded = normalise(f"my 4-year-old {text}").text
    assert len(READER.read(folded).rest) == len(folded)
