"""What kind of saying a claim is: sentences the rules were written with, and others kept from them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.claims.kinds import ClaimKind, claim_kind, orders
from guardmed.claims.lexicon import forbids, holds_dose, holds_number, names_drug
from tests.unit.labelled_sayings import KEPT_CHINESE, KEPT_ENGLISH, LATER_CHINESE, LATER_ENGLISH, SEEN_CHINESE, SEEN_ENGLISH

KINDS = ("fact", "hedged", "question", "advice", "other")


def told(sentences: dict[ClaimKind, list[str]]) -> list[tuple[str, str]]:
    return [(text, kind) for kind, texts in sentences.items() for text in texts]


@pytest.mark.parametrize(("text", "kind"), told(SEEN_ENGLISH) + told(SEEN_CHINESE))
def test_the_kind_of_a_saying(text: str, kind: str) -> None:
    assert claim_kind(text) == kind


@pytest.mark.parametrize("sentences", [KEPT_ENGLISH, KEPT_CHINESE, LATER_ENGLISH, LATER_CHINESE], ids=["kept-en", "kept-zh", "later-en", "later-zh"])
def test_sentences_kept_from_the_rules(sentences: dict[ClaimKind, list[str]]) -> None:
    missed = [(text, kind, claim_kind(text)) for text, kind in told(sentences) if claim_kind(text) != kind]
    assert len(missed) <= 0.03 * len(told(sentences)), missed


def test_no_two_sentences_are_alike() -> None:
    every = [text for sentences in (SEEN_ENGLISH, SEEN_CHINESE, KEPT_ENGLISH, KEPT_CHINESE, LATER_ENGLISH, LATER_CHINESE) for text, _ in told(sentences)]
    assert len({re.sub(r"\W+", "", text.lower()) for text in every}) == len(every)


# --- pairs that differ in a word ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # Possibility and permission.
        (("You may feel sleepy.", "hedged"), ("You may take it with milk.", "fact")),
        (("It may take weeks to work.", "hedged"), ("It may be taken at night.", "fact")),
        (("May cause sleepiness.", "hedged"), ("May is a month of allergies.", "fact")),
        (("这种药可能伤肝。", "hedged"), ("伤肝的可能性为百分之一。", "fact")),
        (("可能传染给他人。", "hedged"), ("不可能传染给他人。", "fact")),
        (("大夫估计是感冒。", "hedged"), ("估计肾小球滤过率偏低。", "fact")),
        (("它可能有副作用。", "hedged"), ("可能的副作用有恶心。", "fact")),
        # A doubt, and a comparison or a frequency.
        (("She is likely to recover.", "hedged"), ("Women are more likely to recover.", "fact")),
        (("It is potentially useful.", "hedged"), ("It is potentially fatal.", "fact")),
        (("It could help.", "hedged"), ("It could not be found.", "fact")),
        (("It appears to help.", "hedged"), ("It appears on the skin.", "fact")),
        (("一般认为该病会遗传。", "hedged"), ("该病一般会遗传。", "fact")),
        # Advice, and an instruction that can be checked.
        (("Take it with water.", "advice"), ("Take aspirin with water.", "fact")),
        (("Drink a lot of water.", "advice"), ("Drink 2 litres of water a day.", "fact")),
        (("Do not take it lightly.", "advice"), ("Do not take it if you have asthma.", "fact")),
        (("Call 999.", "advice"), ("Call within 3 hours.", "fact")),
        (("You should rest.", "advice"), ("Patients with gout should rest the joint.", "fact")),
        (("You should see a doctor.", "advice"), ("You should feel better soon.", "fact")),
        (("Ask your doctor about aspirin.", "advice"), ("Take aspirin before the flight.", "fact")),
        (("Rest the leg.", "advice"), ("Rest is important.", "fact")),
        (("Avoid alcohol.", "advice"), ("Avoid alcohol because it harms the liver.", "fact")),
        (("多喝温水。", "advice"), ("每日喝水2升。", "fact")),
        (("请按时服药。", "advice"), ("请按时服用阿司匹林。", "fact")),
        (("注意保暖。", "advice"), ("受凉会加重病情。", "fact")),
        (("应注意休息。", "advice"), ("痛风患者应限制嘌呤摄入。", "fact")),
        (("拨打120。", "advice"), ("120毫克为一日剂量。", "fact")),
        (("避免熬夜。", "advice"), ("避免与酒精同服。", "fact")),
        # What says nothing, and the same with something said.
        (("I'm not a doctor.", "other"), ("I'm not a doctor, but it is benign.", "fact")),
        (("Here is the answer.", "other"), ("Here is the dose: 5 mg.", "fact")),
        (("Thank you!", "other"), ("Thank you! It might be gout.", "hedged")),
        (("我不是医生。", "other"), ("我不是医生，但这是良性的。", "fact")),
        (("以下是剂量：", "other"), ("以下是剂量：每次5毫克。", "fact")),
        (("抱歉，我无法回答。", "other"), ("抱歉，我无法确定是否有效。", "hedged")),
        # Asking, and telling of what is asked.
        (("Is it safe?", "question"), ("It is safe.", "fact")),
        (("怎么办", "question"), ("医生会告诉您怎么办。", "fact")),
        (("能一起吃吗", "question"), ("能一起吃", "fact")),
    ],
)
def test_a_word_makes_the_kind(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert [claim_kind(one[0]), claim_kind(other[0])] == [one[1], other[1]]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("**Call your doctor.**", "Call your doctor."),
        ("- It *might* help", "It might help"),
        ("3. Is it safe?", "Is it safe?"),
        ("It’s probably gout.[1]", "It's probably gout."),
        ("（1）请咨询医生。", "请咨询医生。"),
        ("> 希望对您有帮助！", "希望对您有帮助！"),
        ("Ｉｔ ｍｉｇｈｔ ｈｅｌｐ．", "It might help."),
        ("Hygiene: wash your hands.", "Wash your hands."),
        ("饮食：多吃蔬菜。", "多吃蔬菜。"),
    ],
)
def test_marks_and_labels_do_not_count(text: str, plain: str) -> None:
    assert claim_kind(text) == claim_kind(plain) != "fact"


@pytest.mark.parametrize("text", ["", " \n", "...", "**", "https://example.org/may-cause?x=1", "Smith J. Aspirin and fever. Lancet 2020;395(10226):497-506."])
def test_what_holds_no_words_of_its_own_is_other(text: str) -> None:
    assert claim_kind(text) == "other"


# --- words that can be checked ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "drug"),
    [
        ("atorvastatin", True), ("Amoxicillin", True), ("lisinopril", True), ("apixaban", True), ("cefalexin", True), ("trastuzumab", True),
        ("paracetamol", True), ("beta-blockers", True), ("ACE inhibitors", True),
        ("water", False), ("a statement", False), ("medicine", False), ("April", False), ("a problem", False),
        ("阿莫西林", True), ("阿托伐他汀", True), ("对乙酰氨基酚", True), ("质子泵抑制剂", True), ("温开水", False), ("西瓜", False),
    ],
)  # fmt: skip
def test_drugs_are_told_by_stem(text: str, drug: bool) -> None:
    assert names_drug(text) is drug


@pytest.mark.parametrize(
    ("text", "dose"),
    [
        ("500 mg", True), ("2.5 ml", True), ("two tablets", True), ("twice daily", True), ("every 6 hours", True), ("b.i.d.", True), ("1,000 IU", True),
        ("eGFR 30 mL/min", False), ("glucose 90 mg/dL", False), ("120/80 mmHg", False), ("in 2010", False), ("type 2", False),
        ("500毫克", True), ("两片", True), ("每日三次", True), ("每次1片", True), ("每6小时", True), ("一下", False), ("2型", False), ("120/80毫米汞柱", False),
    ],
)  # fmt: skip
def test_doses(text: str, dose: bool) -> None:
    assert holds_dose(text) is dose


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("call 911", False),
        ("type 2 diabetes", False),
        ("for 3 days", True),
        ("two weeks", True),
        ("one of them", False),
        ("拨打120", False),
        ("三天", True),
        ("一样", False),
        ("COVID-19", False),
    ],
)
def test_numbers_that_tell_an_amount(text: str, number: bool) -> None:
    assert holds_number(text) is number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("do not take it if you are pregnant", True), ("never mix them with alcohol", True), ("it is contraindicated", True),
        ("do not worry if it rains", False), ("avoid stress", False),
        ("孕妇禁用", True), ("不宜与酒同服", True), ("避免劳累", False), ("不要担心", False),
    ],
)  # fmt: skip
def test_contraindications(text: str, expected: bool) -> None:
    assert forbids(text) is expected


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("Take it.", True),
        ("Please rest.", True),
        ("Use of aspirin is common", False),
        ("Exercise lowers pressure", False),
        ("It works", False),
        ("Don't worry", True),
    ],
)
def test_orders(text: str, order: bool) -> None:
    assert orders(text) is order


# --- laws --------------------------------------------------------------------------------------

SAYINGS = st.sampled_from([text for sentences in (SEEN_ENGLISH, SEEN_CHINESE) for text, _ in told(sentences)])


@given(
    st.lists(SAYINGS | st.text(max_size=20) | st.sampled_from(["*", "|", "**", "[1]", "（", "…", "\n", "?", "？", "may", "可能", ","]), max_size=6).map(
        " ".join
    )
)
def test_every_text_is_of_one_kind_and_white_space_around_it_does_not_count(text: str) -> None:
    kind = claim_kind(text)
    assert kind in KINDS
    assert claim_kind(f"  {text}\n") == kind


@given(SAYINGS)
def test_a_question_mark_makes_a_question(text: str) -> None:
    assert claim_kind(text.rstrip('.。!！?？"') + "?") == "question"


@pytest.mark.parametrize(
    "unit",
    [
        "thank you, ",
        "may ",
        "data ",
        "可能",
        "if ",
        "如果",
        "this ",
        "我不能",
        "study suggests ",
        "a: ",
        "，",
        "[1]",
        "500 mg ",
        "在时",
        "<b>",
        "10.1234/",
        "中",
    ],
)
def test_a_long_text_is_read_to_its_end(unit: str) -> None:
    # A square law would take hours here.
    text = unit * (200_000 // len(unit))
    assert claim_kind(text + "\nIs that so?") == "question"
    assert claim_kind(text + "\nIt might be gout.") == "hedged"
