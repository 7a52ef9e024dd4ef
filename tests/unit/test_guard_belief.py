"""What the guard does with what a model believes of its own answer: samples, thresholds, cutting."""

from __future__ import annotations

import json

import pytest

from guardmed.claims import support_source
from guardmed.claims.conformal import ScoredAnswer, fit_thresholds
from guardmed.decision import Decision
from guardmed.errors import CalibrationError, UsageError
from guardmed.guard import GuardedModel, GuardSettings
from tests.unit.scripted import Scripted

QUESTION = "What does metformin do?"
KNOWN = "Metformin lowers blood sugar in type 2 diabetes."
MADE_UP = "It was found in Peru by a sailor named Ortega."
ANSWER = f"{KNOWN} {MADE_UP}"


class Speaker(Scripted):
    """Gives one answer when greedy, and others, in turn, as samples."""

    def __init__(self, text: str, samples: list[str], **more) -> None:
        super().__init__(text, **more)
        self.samples, self.drawn = samples, 0

    def generate(self, prompts, sampling):
        if sampling.temperature == 0:
            return super().generate(prompts, sampling)
        found = []
        for _ in range(sampling.n):
            found.append(Scripted(self.samples[self.drawn % len(self.samples)])._generation())
            self.drawn += 1
        return [found for _ in prompts]


def guarded(model, policy, *, thresholds=None, **settings) -> GuardedModel:
    return GuardedModel(model, policy=policy, thresholds=thresholds, settings=GuardSettings(**{"abstain_below": 0.0, **settings}))


def thresholds(at: float, *, samples: int = 5):
    """Supported from just over a support, as twenty answers would give it."""
    source = support_source(("consistency",), samples=samples)
    return fit_thresholds([ScoredAnswer((at, 0.99), (False, True)) for _ in range(20)], alpha=0.1, score_source=source)


def test_samples_tell_what_is_made_up(clinical):
    model = Speaker(ANSWER, [KNOWN, f"{KNOWN} Nausea is common."])
    response = guarded(model, clinical, checks=("consistency",)).generate(QUESTION)
    known, made_up = response.claims
    assert known.support > made_up.support
    assert response.confidence == made_up.support


def test_drawing_ends_where_samples_agree_and_goes_on_where_they_do_not(clinical):
    sure, unsure = Speaker(KNOWN, [KNOWN]), Speaker(KNOWN, [KNOWN, "Nobody knows that for certain."])
    for model in (sure, unsure):
        guarded(model, clinical, checks=("consistency",), samples=10).generate(QUESTION)
    assert (sure.drawn, unsure.drawn) == (5, 10)


def test_what_is_under_the_threshold_is_cut_and_the_answer_says_so(clinical):
    model = Speaker(ANSWER, [KNOWN])
    guard = guarded(model, clinical, thresholds=thresholds(0.5), checks=("consistency",), on_unsupported="cut", keep_at_least=0.3)
    response = guard.generate(QUESTION)
    assert "Ortega" not in response.to_json()
    assert response.text.startswith(KNOWN)
    assert response.decision is Decision.CAVEAT
    assert "1 claims without support were left out" in "; ".join(response.reasons)
    assert [claim.text for claim in response.claims] == [KNOWN]


def test_where_too_little_is_left_nothing_is_shown(clinical):
    guard = guarded(Speaker(ANSWER, ["Nobody knows."]), clinical, thresholds=thresholds(0.9), checks=("consistency",), on_unsupported="cut")
    response = guard.generate(QUESTION)
    assert response.decision is Decision.ABSTAIN
    assert "Metformin" not in response.text
    assert response.claims == ()


@pytest.mark.parametrize(("action", "mark"), [("mark", "[not supported]"), ("hedge", "(doubtful)")])
def test_marks_stand_behind_what_lacks_support(clinical, action, mark):
    response = guarded(Speaker(ANSWER, [KNOWN]), clinical, checks=("consistency",), on_unsupported=action).generate(QUESTION)
    assert f"named Ortega {mark}." in response.text
    assert response.decision is Decision.CAVEAT
    for claim in response.claims:
        assert response.text[claim.start : claim.end] == claim.text


def test_chinese_marks_in_a_chinese_answer(clinical):
    known, made_up = "二甲双胍可降低2型糖尿病患者的血糖。", "它由秘鲁的一名水手发现。"
    response = guarded(Speaker(known + made_up, [known]), clinical, checks=("consistency",), on_unsupported="mark").generate("二甲双胍有什么作用？")
    assert "水手发现［缺乏依据］。" in response.text


def test_what_is_left_is_checked_again(clinical, monkeypatch):
    """A policy that stops only what cutting leaves behind must still stop it."""
    real, seen = type(clinical).check, []

    def check(self, text, *, stage):
        seen.append(text)
        return real(self, text, stage=stage)

    monkeypatch.setattr(type(clinical), "check", check)
    guard = guarded(Speaker(ANSWER, [KNOWN]), clinical, thresholds=thresholds(0.5), checks=("consistency",), on_unsupported="cut", keep_at_least=0.3)
    guard.generate(QUESTION)
    assert seen[1:] == [ANSWER, KNOWN]


def test_whatever_breaks_while_cutting_ends_in_a_refusal(clinical, monkeypatch):
    def broken(*_args, **_keywords):
        raise ValueError("broken")

    monkeypatch.setattr("guardmed.guard.belief.shape", broken)
    response = guarded(Speaker(ANSWER, [KNOWN]), clinical, checks=("consistency",), on_unsupported="cut").generate(QUESTION)
    assert response.stage == "check_failed"
    assert "Ortega" not in response.to_json()


def test_thresholds_change_the_guard(clinical, tmp_path):
    file = tmp_path / "thresholds.json"
    file.write_text(json.dumps(thresholds(0.5).model_dump(mode="json")), encoding="utf-8")
    model = Scripted(KNOWN)
    bare, bounded = (guarded(model, clinical, thresholds=one, checks=("consistency",)) for one in (None, file))
    assert bare.digest != bounded.digest
    assert bounded.thresholds == thresholds(0.5)


def test_thresholds_of_other_scores_are_refused(clinical):
    for other in ({"checks": ("token", "p_true")}, {"checks": ("consistency",), "samples": 10}):
        with pytest.raises(CalibrationError, match="These thresholds are for"):
            guarded(Scripted(KNOWN), clinical, thresholds=thresholds(0.5), **other)


def test_with_thresholds_all_samples_are_drawn_however_they_agree(clinical):
    model = Speaker(KNOWN, [KNOWN])
    guarded(model, clinical, thresholds=thresholds(0.5, samples=10), checks=("consistency",), samples=10).generate(QUESTION)
    assert model.drawn == 10


@pytest.mark.parametrize("action", ["mark", "hedge", "cut", "abstain"])
def test_a_stream_that_could_not_keep_its_word_is_refused(clinical, action):
    stream = guarded(Scripted(KNOWN), clinical, on_unsupported=action).stream(QUESTION)
    with pytest.raises(UsageError, match=f"can't {action} claims"):
        next(stream)


@pytest.mark.parametrize("settings", [{"checks": ("nli",)}, {"nli": "some-model"}, {"keep_at_least": 1.5}, {"on_unsupported": "delete"}])
def test_settings_that_contradict_themselves_are_refused(settings):
    with pytest.raises(ValueError, match=r"nli|keep_at_least|on_unsupported"):
        GuardSettings(**settings)
