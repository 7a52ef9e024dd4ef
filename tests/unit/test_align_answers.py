"""The refusals that alignment teaches: complete, varied, short, and seen as refusals by the guard itself."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from guardmed.align.answers import DEFAULT, LANGUAGES, Answers, Group, load_answers
from guardmed.decision import Decision
from guardmed.documents import read_yaml
from guardmed.errors import DataError, UsageError
from guardmed.policy import Policy, Stage, load_policy
from guardmed.policy.refusal import classify_refusal
from guardmed.resources import data_folder
from guardmed.text import language, sentences

CONTRAST = [
    (path.parent.name, yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
    for path in sorted((Path(__file__).parents[2] / "benchmarks" / "contrast").glob("*/*.yaml"))
]
GROUPS = [group.id for group in load_answers("en").groups]
WORDS, CHARACTERS = 45, 75
SAMPLE = 40


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy("clinical")


def group_of(lang: str, name: str) -> Group:
    return next(group for group in load_answers(lang).groups if group.id == name)


def way_to(group: Group) -> dict[str, str]:
    """What leads to the group."""
    if group.hazards:
        return {"hazard": group.hazards[0]}
    return {"rule": group.rules[0]}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_hazard_and_topic_of_the_contrast_pairs_is_named_once(lang: str) -> None:
    answers = load_answers(lang)
    assert {hazard for group in answers.groups for hazard in group.hazards} == {file["hazard"] for _, file in CONTRAST}
    assert {topic for group in answers.groups for topic in group.topics} <= {file["topic"] for _, file in CONTRAST}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_input_rule_of_the_clinical_pack_is_named_once(lang: str, policy: Policy) -> None:
    named = [rule for group in load_answers(lang).groups for rule in group.rules]
    assert sorted(named) == sorted(rule.id for rule in policy.rules if rule.stage is Stage.INPUT)


def test_both_languages_hold_the_same_groups() -> None:
    english, chinese = ([(g.id, g.hazards, g.topics, g.rules, bool(g.urgent)) for g in load_answers(lang).groups] for lang in LANGUAGES)
    assert english == chinese


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_entry_is_one_sentence_in_the_language(lang: str) -> None:
    answers = load_answers(lang)
    entries = [*answers.openings, *(text for group in answers.groups for text in group.sentences)]
    assert [text for text in entries if len(sentences(text)) != 1 or language(text) != lang] == []


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", GROUPS)
def test_the_longest_composition_is_short(lang: str, name: str) -> None:
    answers, group = load_answers(lang), group_of(lang, name)
    count = len if lang == "zh" else lambda text: len(text.split())
    longest = sum(max(map(count, texts), default=0) for texts in (group.openings or answers.openings, group.reasons, group.instead, group.urgent))
    assert longest <= (CHARACTERS if lang == "zh" else WORDS)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", GROUPS)
def test_the_guard_sees_full_refusals_and_lets_them_through(lang: str, name: str, policy: Policy) -> None:
    answers, group = load_answers(lang), group_of(lang, name)
    composed = {answers.refusal(f"{name}-{number}", **way_to(group)) for number in range(SAMPLE)}
    assert {text: classify_refusal(text).refusal for text in composed if classify_refusal(text).refusal != "full"} == {}
    verdicts = {text: policy.check(text, stage=Stage.OUTPUT) for text in composed}
    assert {text: verdict.hits for text, verdict in verdicts.items() if verdict.decision not in (Decision.ALLOW, Decision.CAVEAT)} == {}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_opening_refuses_before_any_reason(lang: str) -> None:
    answers = load_answers(lang)
    pairs = [pair for group in answers.groups for pair in product(group.openings or answers.openings, group.reasons[:1])]
    joined = [("" if lang == "zh" else " ").join(pair) for pair in pairs]
    assert [text for text in joined if classify_refusal(text).refusal != "full"] == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_same_key_same_answer_and_other_keys_vary(lang: str) -> None:
    answers = load_answers(lang)
    for name in GROUPS:
        way = way_to(group_of(lang, name))
        assert answers.refusal("one", **way) == answers.refusal("one", **way)
        assert len({answers.refusal(f"key {number}", **way) for number in range(10)}) >= 8


@pytest.mark.parametrize("lang", LANGUAGES)
def test_about_a_third_give_no_reason(lang: str) -> None:
    answers, group = load_answers(lang), group_of(lang, "privacy")
    refusals = [answers.refusal(str(number), hazard="privacy") for number in range(300)]
    without = sum(not any(reason in text for reason in group.reasons) for text in refusals)
    assert 70 <= without <= 130


@pytest.mark.parametrize("lang", LANGUAGES)
def test_where_a_life_is_at_stake_every_refusal_says_whom_to_call(lang: str) -> None:
    answers, group = load_answers(lang), group_of(lang, "self-harm")
    for number in range(SAMPLE):
        assert answers.refusal(str(number), hazard="overdose").endswith(group.urgent)
    for urgent in group.urgent:
        assert ("12356" if lang == "zh" else "988") in urgent


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_group_with_openings_of_its_own_uses_only_those(lang: str) -> None:
    answers, group = load_answers(lang), group_of(lang, "self-harm")
    assert all(answers.refusal(str(number), hazard="crisis").startswith(group.openings) for number in range(SAMPLE))
    assert all(answers.refusal(str(number), hazard="fraud").startswith(answers.openings) for number in range(SAMPLE))


def test_parts_are_joined_as_the_language_does() -> None:
    english, chinese = (load_answers(lang).refusal("key", hazard="privacy") for lang in LANGUAGES)
    assert ". " in english and "  " not in english
    assert " " not in chinese and "。" in chinese


def test_rule_goes_before_topic_before_hazard() -> None:
    answers = load_answers("en")
    assert answers.group("fraud").id == "fraud"
    assert answers.group("fraud", "falsified-records").id == "honesty"
    assert answers.group("fraud", "falsified-records", "self-harm-crisis").id == "self-harm"
    assert answers.group("fraud", "no-such-topic", "no-such-rule").id == "fraud"


def test_a_rule_without_a_subject_leaves_it_to_the_hazard() -> None:
    answers = load_answers("en")
    assert answers.group("fraud", rule="harmful-intent").id == "fraud"
    assert answers.group(None, rule="harmful-intent").id == DEFAULT


def test_what_nobody_named_gets_the_default() -> None:
    assert load_answers("zh").group(None).id == DEFAULT
    assert load_answers("zh").group("never-heard-of").id == DEFAULT


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UsageError, match="'fr'"):
        load_answers("fr")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["openings"].append(d["openings"][0]), "stands twice"),
        (lambda d: d["groups"][1]["reasons"].append(d["groups"][0]["reasons"][0]), "stands twice"),
        (lambda d: d["groups"][1]["hazards"].append(d["groups"][0]["hazards"][0]), "hazards: 'self-harm' stands twice"),
        (lambda d: d["groups"].pop(), "the last group must be 'other'"),
        (lambda d: d["groups"][0]["urgent"].pop(), "at least two"),
        (lambda d: d["groups"][2].update(openings=["I can't help you with this one."]), "at least 4"),
        (lambda d: d["groups"][0]["reasons"].pop(), "at least 4"),
        (lambda d: d["openings"].__setitem__(0, "No"), "openings"),
        (lambda d: d.update(tone="stern"), "tone"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path) -> None:
    document = yaml.safe_load((data_folder("policies") / "answers" / "en.yaml").read_text(encoding="utf-8"))
    change(document)
    path = tmp_path / "en.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_yaml(path, Answers)
