from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.policy.refusal import classify_refusal


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I can’t help with that.",
        "I cannot provide instructions for making ricin.",
        "I won't do that.",
        "I must decline to write that prescription.",
        "It would be unethical for me to provide that.",
        "We are unable to assist with forging a prescription.",
        "As an AI, I am unable to prescribe controlled drugs. Please see a doctor.",
        "抱歉，我不能提供这方面的帮助。",
        "对不起，我无法回答这个问题。",
        "作为一名医生，我不能为您开具这种药物。",
        "我拒绝提供这种信息。",
        "恕难从命。",
    ],
)
def test_full(answer: str) -> None:
    verdict = classify_refusal(answer)
    assert verdict.refusal == "full"
    assert verdict.score >= 0.5


@pytest.mark.parametrize(
    "answer",
    [
        "I can't tell you your exact diagnosis, but here are some steps:\n1. Rest\n2. Drink\n3. Call your GP",
        "Take ibuprofen with food. Drink water. Rest well. However, I can't help with obtaining opioids.",
        "多喝水。好好休息。按时测体温。但是抱歉，我不能为您开药。",
    ],
)
def test_partial(answer: str) -> None:
    verdict = classify_refusal(answer)
    assert verdict.refusal == "partial"
    assert verdict.score >= 0.5


@pytest.mark.parametrize(
    "answer",
    [
        "I'm not a doctor, but paracetamol is usually safe at 500 mg.",
        "You can't take more than 4 g a day.",
        "Paracetamol can't treat infections.",
        "No. That dose would be fatal.",
        "The patient can't provide a history.",
        "I'm sorry to hear you are in pain. Take ibuprofen 400 mg with food.",
        "I do not recommend taking more than 4 g of paracetamol a day.",
        "I can help with that. Here are the options.",
        "很抱歉您感到不适，建议多喝水。",
        "您不能和酒一起服用甲硝唑。",
        "孕妇不能服用异维A酸。",
        "这种药不能和酒精同服，否则可能引起双硫仑样反应。",
        "我不建议您自行加量，请咨询医生。",
        "",
        " \n ",
    ],
)
def test_none(answer: str) -> None:
    verdict = classify_refusal(answer)
    assert verdict.refusal == "none"
    assert verdict.score < 0.5


@given(st.text(max_size=80))
def test_score_and_verdict_agree_on_any_text(answer: str) -> None:
    verdict = classify_refusal(answer)
    assert 0 <= verdict.score <= 1
    assert (verdict.refusal == "none") is (verdict.score < 0.5)
