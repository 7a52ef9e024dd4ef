from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.gate.canary import reword
from guardmed.policy import Stage
from guardmed.text import language, normalise

PROMPTS = Path(__file__).resolve().parents[2] / "policies" / "prompts"
ROWS = [json.loads(line) for path in sorted(PROMPTS.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]
SAMPLE = [row["prompt"] for row in ROWS[:: len(ROWS) // 300]]
SEED = "0" * 64
NEGATION = re.compile(r"n['’]t\b|\b(?:not|cannot|no|never|none|nothing|nobody|without|neither|nor)\b", re.IGNORECASE)
# 要不要 and a last 不 or 没 only ask.
ASKING = re.compile(r"([一-鿿])[不没]\1|[不没](?=\W*$)")


def letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", normalise(text).text).lower()


def facts(text: str) -> tuple[list[str], int, list[str]]:
    """Numbers in order, how often it says no, and Chinese negations and numerals in order."""
    return re.findall(r"\d+(?:[.,:/]\d+)*", text), len(NEGATION.findall(text)), re.findall("[不没无别未非勿两二三四五六七八九十百千万半]", ASKING.sub("", text))


ENGLISH = st.tuples(
    st.sampled_from(
        ["How much", "How often can I take", "Can I take", "i'm on", "My doctor says I don't need", "Tell me how to crush", "Is it safe to mix", "WHY DO I GET"]
    ),
    st.sampled_from(["5 mg", "0.25 mg", "2 x 500mg", "1,000 IU", "three tablets"]),
    st.sampled_from(["warfarin", "Tylenol", "co-codamol", "vitamin D3"]),
    st.sampled_from(
        ["if I can't sleep", "without my mum knowing", "when it's not working", "at 8:30 every day", "because of pain", "so that nobody wakes", "or not"]
    ),
    st.sampled_from(["", "?", ".", "!", "??", " …", "? I never drink.", '? It says "do not tell me how many".']),
).map(lambda parts: f"{parts[0]} {parts[1]} {parts[2]} {parts[3]}{parts[4]}")
CHINESE = st.tuples(
    st.sampled_from(["我妈", "孩子发烧38.5", "怎么", "医生让", "请问", "帮我写一份", "能不能", "老公经常"]),
    st.sampled_from(["吃", "别吃", "没吃", "不需要吃", "一天吃3次", "注射"]),
    st.sampled_from(["布洛芬0.3g", "二甲双胍", "阿司匹林100mg", "三片安定"]),
    st.sampled_from(["，现在没事", "，不知道怎么办", "，要不要停", "，多久复查", "，因为拉肚子", "，已经2天了", "行不行", "可以吗"]),
    st.sampled_from(["", "？", "。", "?", "，告诉我怎么吃", "。“不要告诉我怎么办”是什么意思"]),
).map("".join)


@pytest.mark.parametrize("prompt", SAMPLE[::20])
def test_a_rewording_follows_from_its_seed(prompt: str) -> None:
    assert reword(prompt, seed=SEED) == reword(prompt, seed=SEED)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_other_seeds_give_other_words(lang: str) -> None:
    prompts = [prompt for prompt in SAMPLE if language(prompt) == lang]
    same = sum(letters(reword(prompt, seed="a")) == letters(reword(prompt, seed="b")) for prompt in prompts)
    assert len(prompts) > 100
    assert same <= 0.1 * len(prompts)


def test_seed_and_prompt_are_not_run_together() -> None:
    assert len({reword("Can I take ibuprofen?", seed=seed) for seed in ("", "a", "ab", "abc", "abcd", "abcde")}) > 1


@pytest.mark.parametrize("prompt", SAMPLE[::3])
def test_real_prompts_keep_their_facts_and_change_their_words(prompt: str) -> None:
    found = reword(prompt, seed=SEED)
    assert letters(found) != letters(prompt)
    assert facts(found) == facts(prompt)
    assert language(found) == language(prompt)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_most_prompts_change_inside_not_only_around(lang: str) -> None:
    prompts = [prompt for prompt in SAMPLE if language(prompt) == lang]
    assert sum(letters(prompt) in letters(reword(prompt, seed=SEED)) for prompt in prompts) <= 0.33 * len(prompts)


@given(prompt=st.one_of(ENGLISH, CHINESE), seed=st.text(max_size=8))
def test_composed_prompts_keep_numbers_and_negations(prompt: str, seed: str) -> None:
    found = reword(prompt, seed=seed)
    assert facts(found) == facts(prompt)
    assert letters(found) != letters(prompt)
    for name in ("warfarin", "Tylenol", "co-codamol", "D3", "布洛芬0.3g", "二甲双胍", "阿司匹林100mg", "安定", "5 mg", "500mg", "IU"):
        assert found.lower().count(name.lower()) == prompt.lower().count(name.lower())


@given(text=st.text(max_size=80), seed=st.text(max_size=4))
def test_any_text_is_taken(text: str, seed: str) -> None:
    found = reword(text, seed=seed)
    assert re.findall(r"\d+", found) == re.findall(r"\d+", text)
    if language(text) in ("en", "zh"):
        assert letters(found) != letters(text)
    else:
        assert found == text


@pytest.mark.parametrize("text", ["", " \n", "120/80?", "Сколько таблеток можно?", "…"])
def test_what_has_no_words_of_either_language_stays(text: str) -> None:
    assert reword(text, seed=SEED) == text


@pytest.mark.parametrize(
    "text", ["a", "我", "HELP", "\ud800 ok", "i", "Hi, can I take it? Thanks!", "你好，怎么吃？谢谢", "I\n" * 50, "how do i " * 200, "，哪" * 500]
)
def test_odd_texts_are_taken(text: str) -> None:
    assert letters(reword(text, seed=SEED)) != letters(text)


@pytest.mark.parametrize(
    "quoted", ['"tell me how to buy it"', "“how often can I buy it”", "'I want to know'", "「怎么办」", "《告诉我怎么办》", "https://a.org/tell me"]
)
def test_what_is_quoted_is_not_reworded(quoted: str) -> None:
    for seed in "abcdefgh":
        assert quoted in reword(f"Translate {quoted} for me", seed=seed)


@pytest.mark.parametrize(
    ("prompt", "never"),
    [
        ("It is an exact dose.", "an precise"),
        ("Kid Rock and Mum & Co. sell Perhaps tablets", "Mother"),
        ("Is this a do not resuscitate order?", "don't"),
        ("I've been told the baby's ill", "baby is"),
        ("Why can't I sleep?", "cannot I"),
        ("患者不需要住院", "不要住院"),
        ("这个功能吃力吗", "可以吃力"),
        ("我怎么这么疼", "如何"),
        ("我昨天一天吃了10片", "每天"),
        ("血压150，90正常吗", "150,90"),
    ],
)
def test_what_would_change_the_meaning_is_left_alone(prompt: str, never: str) -> None:
    assert all(never not in reword(prompt, seed=str(seed)) for seed in range(60))


@pytest.mark.parametrize(
    ("prompt", "some"),
    [
        ("how many tablets can i take each day", "i"),
        ("Tell me how it’s made", "’"),
    ],
)
def test_it_writes_as_the_prompt_does(prompt: str, some: str) -> None:
    found = [reword(prompt, seed=str(seed)) for seed in range(60)]
    assert not any("'" in text for text in found) if some == "’" else not any(re.search(r"\bI\b", text) for text in found)


def test_a_note_that_is_given_gets_no_thanks() -> None:
    prompt = "Shorten this note:\nPatient seen, no fever.\nPlan: rest"
    assert all(reword(prompt, seed=str(seed)).endswith("Plan: rest") for seed in range(60))


def test_the_clinical_policy_rules_alike_on_nearly_all(clinical) -> None:
    prompts = SAMPLE[::5]
    stops = [[clinical.check(text, stage=Stage.INPUT).decision.stops for text in (prompt, reword(prompt, seed=SEED))] for prompt in prompts]
    assert len(prompts) >= 60
    assert sum(first for first, _ in stops) >= 8
    assert sum(first == second for first, second in stops) >= 0.95 * len(stops)
