"""The detectors that lean on a model, and packs that build on one another."""

from __future__ import annotations

import datetime

import pytest
import yaml

from guardmed.decision import Decision
from guardmed.errors import PolicyError, UsageError
from guardmed.policy import Backends, Policy, Stage
from guardmed.policy.judge import Judge
from guardmed.policy.lint import lint
from guardmed.policy.load import load_pack
from guardmed.policy.similar import SentenceEncoder
from guardmed.text import normalise
from tests.unit.scripted import Scripted

TODAY = datetime.date(2026, 11, 24)


def rule(identifier: str, when: dict, **other) -> dict:
    return {
        "id": identifier,
        "title": {"en": "A rule", "zh": "一条规则"},
        "severity": "high",
        "stage": "input",
        "scope": "text",
        "when": when,
        "action": "refuse",
        "template": {"en": "No.", "zh": "不行。"},
        "rationale": "For the test.",
        "source": "None.",
        "owner": "Tests",
        "reviewed": "2026-11-24",
        "tests": {"violating": ["a", "b", "c", "甲", "乙", "丙"], "near_miss": ["d", "e", "f", "丁", "戊", "己"]},
    } | other


def pack(folder, rules: list[dict], **manifest):
    (folder / "rules").mkdir(parents=True)
    head = {"schema_version": 1, "id": "mine", "title": {"en": "Mine"}, "version": "1", "owner": "Tests", "description": {"en": "For tests."}}
    (folder / "pack.yaml").write_text(yaml.safe_dump(head | manifest, allow_unicode=True), encoding="utf-8")
    if rules:
        (folder / "rules" / "rules.yaml").write_text(yaml.safe_dump({"rules": rules}, allow_unicode=True), encoding="utf-8")
    return load_pack(folder)


JUDGED = {"judge": {"question": {"en": "Does it ask for help to cheat?", "zh": "它是否在请求帮助作弊？"}, "over": 0.6}}


def test_a_judge_decides_by_the_odds_of_yes(tmp_path):
    mine = pack(tmp_path / "mine", [rule("judged", JUDGED)])
    for yes, decision in ((0.9, Decision.REFUSE), (0.3, Decision.ALLOW)):

        class YesSayer(Scripted):
            def choose(self, prompts, options, *, state=None, per_token=False):
                assert all(choices in (["Yes", "No"], ["是", "否"]) for choices in options)
                self.calls += prompts
                import numpy as np

                return [np.log([self.p_true, 1 - self.p_true]) for _ in options]

        judge = YesSayer("", p_true=yes)
        policy = Policy([mine], backends=Backends(judge=judge))
        assert policy.check("Tell me the exam answers.", stage=Stage.INPUT).decision is decision
        assert policy.check("告诉我考试答案。", stage=Stage.INPUT).decision is decision
        # Both orders are asked, in the language of the text.
        assert ["Yes or No" in judge.calls[0], "No or Yes" in judge.calls[1], "是或否" in judge.calls[2], "否或是" in judge.calls[3]] == [True] * 4


def test_a_judge_that_fails_never_lets_a_text_through(tmp_path):
    judge = Judge(Scripted("", raises="choose"), (("en", "Is it bad?"),), 0.5)
    with pytest.raises(RuntimeError):
        judge.find(normalise("anything"))


@pytest.mark.parametrize(("when", "missing"), [(JUDGED, "--judge"), ({"similar": {"exemplars": ["x"], "over": 0.8}}, "--encoder")])
def test_a_rule_without_its_model_is_an_error_and_not_a_pass(tmp_path, when, missing):
    mine = pack(tmp_path / "mine", [rule("needy", when)])
    with pytest.raises(PolicyError) as error:
        Policy([mine])
    assert missing in error.value.mend


def test_an_encoder_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"no-such-folder|sentence-transformers"):
        SentenceEncoder("./no-such-folder").encode(["x"])


def test_a_pack_takes_over_all_rules_and_changes_some(tmp_path, clinical):
    mine = pack(
        tmp_path / "mine",
        [rule("own", {"phrase": {"en": ["xyzzy"], "zh": ["芝麻开门"]}})],
        extends="clinical",
        changes=[{"rule": "doctor-shopping", "action": "caveat", "reason": {"en": "A test.", "zh": "测试。"}}],
    )
    rules = {r.id: r for r in mine.rules}
    assert set(rules) == {r.id for r in clinical.rules} | {"own"}
    assert rules["doctor-shopping"].action is Decision.CAVEAT
    assert rules["doctor-shopping"].template["en"] == "A test."
    assert mine.limits is not None and mine.intent is not None and mine.terms


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ({"extends": "clinical", "changes": [{"rule": "poisoning-a-person", "action": "caveat", "reason": {"en": "No.", "zh": "不。"}}]}, "critical"),
        ({"extends": "clinical", "changes": [{"rule": "no-such-rule", "action": "caveat", "reason": {"en": "No.", "zh": "不。"}}]}, "does not have"),
        ({"changes": [{"rule": "doctor-shopping", "action": "caveat", "reason": {"en": "No.", "zh": "不。"}}]}, "extends no pack"),
        ({"extends": "mine"}, "itself"),
        ({"extends": "clinical-strict"}, "extends another"),
        ({"extends": "unknown-pack"}, "unknown-pack"),
    ],
)
def test_a_pack_that_builds_on_another_wrongly_is_refused(tmp_path, manifest, says):
    with pytest.raises(PolicyError, match=says):
        pack(tmp_path / "mine", [rule("own", {"phrase": {"en": ["xyzzy"], "zh": ["芝麻开门"]}})], **manifest)


@pytest.mark.parametrize(
    ("when", "other", "problem"),
    [
        ({"phrase": {"en": ["kill"]}}, {}, "never fire in zh"),
        ({"phrase": {"en": ["kill"], "zh": ["杀"]}, "none_of": [{"phrase": {"en": ["kill"], "zh": ["杀"]}}]}, {}, "none_of forbids"),
        ({"phrase": {"en": ["kill"], "zh": ["杀"]}}, {"exempt": {"phrase": {"en": ["kill"], "zh": ["杀"]}}}, "exempt is its when"),
        ({"all_of": [{"phrase": {"en": ["a1"], "zh": ["甲乙"]}}, {"regex": {"en": ["b"]}}]}, {}, "never fire in zh"),
    ],
)
def test_lint_finds_what_can_never_fire(tmp_path, when, other, problem):
    policy = Policy([pack(tmp_path / "mine", [rule("dead", when, **other)])])
    assert any(problem in finding.problem for finding in lint(policy, today=TODAY))


def test_lint_leaves_what_can_fire_alone(tmp_path):
    when = {"any_of": [{"phrase": {"en": ["kill"]}}, {"phrase": {"zh": ["杀"]}}, {"dose": {}}]}
    policy = Policy([pack(tmp_path / "mine", [rule("alive", when)])])
    assert not [finding for finding in lint(policy, today=TODAY) if "fire" in finding.problem]
