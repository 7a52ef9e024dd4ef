"""Laws of the policy engine, and the packs' own tests."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardmed.decision import Decision, strictest
from guardmed.errors import PolicyError
from guardmed.policy import Policy, Stage
from guardmed.policy.lint import lint
from guardmed.policy.load import load_pack
from guardmed.policy.packs import pack_names
from guardmed.policy.schema import Rule
from guardmed.policy.trial import run_trials

PACK = load_pack("clinical")
TEXTS = [text for rule in PACK.rules for text in (*rule.tests.violating, *rule.tests.near_miss)]
ORDER = ["allow", "caveat", "redact", "abstain", "refuse", "escalate"]


def policy_of(rules) -> Policy:
    return Policy([replace(PACK, rules=tuple(rules))])


SLICES = [policy_of(PACK.rules[start::4]) for start in range(4)]
PAIRS = {(a, (a + 1) % 4): Policy([*SLICES[a].packs, *SLICES[(a + 1) % 4].packs]) for a in range(4)}

MILDER = tuple(rule.model_copy(update={"action": Decision.CAVEAT}) for rule in PACK.rules[:10])
ALONE = policy_of(PACK.rules[:10])
BOTH = Policy([replace(PACK, rules=PACK.rules[:10]), replace(PACK, rules=MILDER)])


@settings(max_examples=150, deadline=None)
@given(text=st.sampled_from(TEXTS), pair=st.sampled_from(sorted(PAIRS)), stage=st.sampled_from([Stage.INPUT, Stage.OUTPUT]))
def test_adding_rules_never_weakens_a_verdict(text, pair, stage):
    few = SLICES[pair[0]].check(text, stage=stage).decision
    more = PAIRS[pair].check(text, stage=stage).decision
    assert more >= few


@settings(max_examples=60, deadline=None)
@given(text=st.sampled_from(TEXTS))
def test_a_pack_with_a_rule_of_the_same_id_never_weakens_either(text):
    assert BOTH.check(text, stage=Stage.INPUT).decision >= ALONE.check(text, stage=Stage.INPUT).decision


@given(st.lists(st.sampled_from(list(Decision))))
def test_the_lattice_joins_to_the_strictest(decisions):
    joined = strictest(decisions)
    assert all(joined >= decision for decision in decisions)
    assert joined in decisions or joined is Decision.ALLOW


def test_the_order_of_decisions_is_strictness_not_the_alphabet():
    assert [decision.value for decision in sorted(Decision)] == ORDER
    assert Decision.ESCALATE > Decision.REFUSE >= Decision.REFUSE > Decision.ABSTAIN
    assert Decision.ALLOW < Decision.CAVEAT <= Decision.CAVEAT


@pytest.mark.parametrize("name", pack_names())
def test_every_rule_passes_its_own_tests_in_every_language(name):
    from guardmed.policy import load_policy

    results = run_trials(load_policy(name))
    assert len(results) >= 12 * 12
    assert [f"{r.rule}: {r.kind}: {r.text}" for r in results if not r.passed] == []


@pytest.mark.parametrize("name", pack_names())
def test_every_pack_lints_clean(name):
    from guardmed.policy import load_policy

    assert lint(load_policy(name), today=datetime.date(2026, 12, 1)) == []


def test_the_pack_covers_what_it_must():
    text = " ".join(f"{rule.id} {rule.title['en'].lower()}" for rule in PACK.rules)
    hazards = ("overdose", "dose limit", "self-harm", "emergency", "prescri", "diver", "record", "fraud", "pregnan", "child", "stop", "discriminat", "cure")
    assert [hazard for hazard in (*hazards, "privacy") if hazard not in text.replace("patient data", "privacy")] == []
    assert len(PACK.rules) >= 12


RULE = {
    "id": "test-rule",
    "title": {"en": "Test"},
    "severity": "high",
    "stage": "input",
    "when": {"phrase": {"en": ["falsify the (chart|record)"]}},
    "action": "refuse",
    "template": {"en": "No."},
    "rationale": "r",
    "source": "s",
    "owner": "o",
    "reviewed": "2026-11-01",
    "tests": {"violating": ["Help me falsify the chart."], "near_miss": ["How are charts kept?"]},
}


def rule(**changes) -> Rule:
    return Rule.model_validate(RULE | changes)


def decide(text: str, **changes) -> str:
    return policy_of([rule(**changes)]).check(text, stage=Stage.INPUT).decision.value


def test_an_exemption_reaches_only_its_own_clause():
    exempt = {"phrase": {"en": ["to detect"]}}
    assert decide("Tools to detect who would falsify the chart", exempt=exempt) == "allow"
    assert decide("Tools to detect fraud exist, but help me falsify the chart", exempt=exempt) == "refuse"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"severity": "critical", "exempt": {"phrase": {"en": ["x"]}}}, "critical"),
        ({"action": "allow"}, "can't allow"),
        ({"action": "escalate"}, "escalate_to"),
        ({"unknown": 1}, "unknown"),
        ({"when": {"none_of": [{"phrase": {"en": ["x"]}}]}}, "at least one"),
    ],
)
def test_a_rule_that_makes_no_sense_does_not_load(changes, message):
    with pytest.raises(ValueError, match=message):
        rule(**changes)


@pytest.mark.parametrize("scope", ["clause", "sentence", "text"])
def test_scope_says_how_far_the_parts_may_lie_apart(scope):
    when = {"all_of": [{"phrase": {"en": ["bleach"]}}, {"phrase": {"en": ["tumour"]}}]}
    texts = ["bleach for a tumour", "use bleach, it cures the tumour", "I have bleach. I have a tumour."]
    expected = {"clause": 1, "sentence": 2, "text": 3}[scope]
    assert [decide(text, when=when, scope=scope) for text in texts] == ["refuse"] * expected + ["allow"] * (3 - expected)


@pytest.mark.parametrize(
    "text",
    ["HELP ME FALSIFY THE CHART", "falsify  the\tchart", "ｆａｌｓｉｆｙ the chart", "fal\u200bsify the chart", "fаlsify thе chart", "falsify the 'chart'"],
)
def test_disguised_words_are_still_found(text):
    assert decide(text) == "refuse"


def test_spans_point_into_the_original_text():
    text = "请\u200b帮我：ｆａｌｓｉｆｙ　the chart now"
    hit = policy_of([rule()]).check(text, stage=Stage.INPUT).hits[0]
    assert text[hit.start : hit.end] == "ｆａｌｓｉｆｙ　the chart"


@pytest.mark.parametrize("text", ["a" * 200_000, "falsify " * 25_000, "(" * 50_000, "我不想" * 60_000, "\u200b" * 100_000])
def test_hostile_length_is_only_length(clinical, text):
    clinical.check(text, stage=Stage.INPUT)


def test_a_broken_pack_names_file_and_place(tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "pack.yaml").write_text("schema_version: 1\nid: mine\ntitle: {en: T}\nversion: '1'\nowner: o\ndescription: {en: d}\n", encoding="utf-8")
    broken = tmp_path / "rules" / "a.yaml"
    broken.write_text("rules:\n  - id: x\n    title: [oops\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"a\.yaml, line \d+"):
        load_pack(tmp_path)
    broken.write_text("rules:\n  - {id: x, id: y}\n", encoding="utf-8")
    with pytest.raises(PolicyError, match="stands twice"):
        load_pack(tmp_path)
    broken.write_text("rules:\n  - {id: my-rule}\n", encoding="utf-8")
    with pytest.raises(PolicyError, match="my-rule"):
        load_pack(tmp_path)
    broken.write_bytes(b"rules: \xff\xfe")
    with pytest.raises(PolicyError, match="not UTF-8"):
        load_pack(tmp_path)
    with pytest.raises(PolicyError, match="no policy pack"):
        load_pack("nonesuch")
