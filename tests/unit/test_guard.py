"""The guard: what it decides, and that whatever fails ends in a refusal."""

from __future__ import annotations

import json
import logging

import pytest

from guardmed.calibration import Artifact
from guardmed.decision import Decision
from guardmed.errors import CalibrationError, UsageError
from guardmed.guard import GuardedModel, GuardSettings
from guardmed.guard.engine import sampling_from
from tests.unit.scripted import Scripted

GOOD = "Metformin lowers blood sugar in type 2 diabetes. It is usually taken with meals."
BAD = "Take 9000 mg of ibuprofen at once. You should take 9000 mg of ibuprofen every day."


def guard(model, clinical, **settings) -> GuardedModel:
    return GuardedModel(model, policy=clinical, settings=GuardSettings(**settings) if settings else None)


def test_a_supported_answer_goes_through_unchanged(clinical):
    response = guard(Scripted(GOOD), clinical).generate("What is metformin used for?")
    assert response.decision is Decision.ALLOW
    assert response.text == GOOD
    assert [claim.verdict for claim in response.claims] == ["supported", "supported"]
    assert response.confidence == pytest.approx(min(claim.support for claim in response.claims))
    assert not response.calibrated


def test_a_dangerous_prompt_never_reaches_the_model(clinical):
    model = Scripted(GOOD)
    response = guard(model, clinical).generate("我不想活了，吃多少安眠药会死？")
    assert response.decision is Decision.ESCALATE
    assert "12356" in response.text
    assert model.calls == []


def test_a_dangerous_answer_is_replaced(clinical):
    response = guard(Scripted(BAD), clinical).generate("What helps against a headache?")
    assert response.decision is Decision.REFUSE
    assert response.stage == "output"
    assert "9000" not in response.text.split("\n(")[0]


def test_identifiers_in_an_answer_are_masked(clinical):
    response = guard(Scripted("The patient can be reached at 13812345678 after noon."), clinical).generate("How do I reach the clinic?")
    assert response.decision is Decision.REDACT
    assert response.claims
    assert "13812345678" not in response.to_json()
    assert "[PHONE]" in response.text


@pytest.mark.parametrize(("p_true", "decision"), [(0.9, "allow"), (0.1, "caveat"), (0.0001, "abstain")])
def test_confidence_decides_between_answer_caution_and_silence(clinical, p_true, decision):
    response = guard(Scripted(GOOD, p_true=p_true), clinical).generate("What is metformin used for?")
    assert response.decision == decision
    assert (GOOD in response.text) == (decision != "abstain")


def test_an_answer_without_any_claim_carries_a_caution(clinical):
    response = guard(Scripted("What is metformin used for?"), clinical).generate("What is metformin used for?")
    assert response.decision is Decision.CAVEAT
    assert response.confidence is None


def test_a_list_keeps_its_order_and_a_conversation_is_one_prompt(clinical):
    model = guard(Scripted(GOOD), clinical)
    many = model.generate(["What is metformin used for?", "I want to kill myself", "二甲双胍是什么药？"])
    assert [response.decision.value for response in many] == ["allow", "escalate", "allow"]
    one = model.generate([{"role": "user", "content": "I want to kill myself"}, {"role": "assistant", "content": "?"}, {"role": "user", "content": "How?"}])
    assert one.decision is Decision.ESCALATE


FAULTS = ["policy on the prompt", "generate", "policy on the answer", "choose", "tokens", "split", "consistency", "calibration"]


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_raises_ends_in_a_refusal(clinical, monkeypatch, caplog, fault):
    """Every check is made to raise in turn; the model's words must not come out, nor into the log."""
    secret = "Metformin lowers blood sugar SECRETWORD in diabetes."
    model = Scripted(secret, raises=fault)
    guarded = guard(model, clinical, checks=("token", "p_true", "consistency"))

    def broken(*_args, **_keywords):
        raise ValueError(f"broken by {secret}")

    if fault.startswith("policy"):
        real, stage = type(clinical).check, "input" if fault.endswith("prompt") else "output"

        def check(self, text, *, stage=stage, wanted=stage):
            return broken() if stage == wanted else real(self, text, stage=stage)

        monkeypatch.setattr(type(clinical), "check", check)
    elif fault == "tokens":
        monkeypatch.setattr("guardmed.claims.check.token_score", broken)
    elif fault == "split":
        monkeypatch.setattr("guardmed.guard.belief.split_claims", broken)
    elif fault == "consistency":
        monkeypatch.setattr("guardmed.claims.check.consistency", broken)
    elif fault == "calibration":
        guarded.calibration = artifact()
        monkeypatch.setattr(Artifact, "apply", broken)
    with caplog.at_level(logging.DEBUG):
        response = guarded.generate("What is metformin used for?")
    assert response.decision is Decision.REFUSE
    assert response.stage == "check_failed"
    assert response.reasons[0].startswith("check_failed")
    assert "SECRETWORD" not in response.to_json()
    assert "SECRETWORD" not in caplog.text


def test_a_stream_releases_only_whole_checked_sentences(clinical):
    pieces = list(guard(Scripted(GOOD), clinical).stream("What is metformin used for?"))
    assert "".join(pieces) == GOOD
    assert len(pieces) == 2


def test_a_stream_stops_at_the_sentence_that_breaks_the_policy(clinical):
    text = "Ibuprofen helps against pain. You should take 9000 mg of ibuprofen at once. It tastes bitter."
    out = "".join(guard(Scripted(text), clinical).stream("What helps against a headache?"))
    assert out.startswith("Ibuprofen helps against pain.")
    assert "take 9000" not in out
    assert "bitter" not in out


@pytest.mark.parametrize("where", ["stream", "check"])
def test_a_failing_stream_ends_in_a_refusal(clinical, monkeypatch, where):
    model = Scripted(GOOD, raises="stream")
    if where == "check":
        model.raises = None
        real = type(clinical).check

        def check(self, text, *, stage):
            if stage == "output":
                raise ValueError(text)
            return real(self, text, stage=stage)

        monkeypatch.setattr(type(clinical), "check", check)
    out = "".join(guard(model, clinical).stream("What is metformin used for?"))
    assert "can't answer this safely" in out
    assert "lowers" not in out


@pytest.mark.parametrize("prompt", ["", "   \n", []])
def test_an_empty_prompt_is_a_usage_error(clinical, prompt):
    with pytest.raises(UsageError, match=r"empty|Nothing to answer"):
        guard(Scripted(GOOD), clinical).generate(prompt)


def test_a_prompt_without_words_is_asked_for_words(clinical):
    model = Scripted(GOOD)
    response = guard(model, clinical).generate("😀😀😀")
    assert response.decision is Decision.ABSTAIN
    assert model.calls == []


def test_a_calibration_of_another_model_or_score_is_refused(clinical):
    with pytest.raises(CalibrationError, match="belongs to other"):
        GuardedModel(Scripted(GOOD), policy=clinical, calibration=artifact(fingerprint="0" * 64))
    with pytest.raises(CalibrationError, match="for option_likelihood scores"):
        GuardedModel(Scripted(GOOD), policy=clinical, calibration=artifact(score_source="option_likelihood"))


def test_a_calibration_of_this_model_is_applied(clinical):
    guarded = GuardedModel(Scripted(GOOD), policy=clinical, calibration=artifact(slope=1.0, bias=-10.0))
    response = guarded.generate("What is metformin used for?")
    assert response.calibrated
    assert response.confidence < 0.01


def test_the_response_is_json(clinical):
    response = guard(Scripted(GOOD), clinical).generate("What is metformin used for?")
    plain = json.loads(response.to_json())
    assert plain["schema_version"] == 1
    assert plain["decision"] == "allow"
    assert {"text", "start", "end", "support", "verdict", "scores", "kind"} == set(plain["claims"][0])


def test_keywords_are_those_of_transformers():
    sampling = sampling_from({"max_new_tokens": 7, "do_sample": True, "top_p": 0.9, "repetition_penalty": 1.1, "stop_strings": ["END"]})
    assert (sampling.max_new_tokens, sampling.temperature, sampling.top_p, sampling.stop) == (7, 1.0, 0.9, ("END",))
    assert sampling.extra == {"repetition_penalty": 1.1}
    assert sampling_from({"do_sample": False, "temperature": 0.7}).temperature == 0.0
    with pytest.raises(UsageError, match="one answer"):
        sampling_from({"num_return_sequences": 3})


def artifact(**changes) -> Artifact:
    fields = {
        "guardmed_version": "0",
        "method": "platt",
        "slope": 1.0,
        "bias": 0.0,
        "score_source": "claim_support",
        "model": {"name": "other", "fingerprint": changes.pop("fingerprint", "f" * 64)},
        "rows": {"fit": 100, "held_out": 100},
        "data_digest": "0",
        "metrics": {"before": {}, "after": {}},
        "intervals": {"before": {}, "after": {}},
    }
    return Artifact.model_validate(fields | changes)


def test_a_caution_on_the_prompt_reaches_the_answer():
    """The strictest of all checks wins, the ones on the prompt included."""
    from dataclasses import replace

    from guardmed.policy import Policy
    from guardmed.policy.load import load_pack

    pack = load_pack("clinical")
    mild = next(rule for rule in pack.rules if rule.id == "harmful-intent").model_copy(update={"action": Decision.CAVEAT})
    policy = Policy([replace(pack, rules=(mild,))])
    asked = mild.tests.violating[0]
    response = GuardedModel(Scripted(GOOD), policy=policy).generate(asked)
    assert response.decision is Decision.CAVEAT
    assert response.stage == "input"
    assert [hit.id for hit in response.rules] == ["harmful-intent"]
    assert mild.template["en"] in response.text
    assert mild.template["en"] in "".join(GuardedModel(Scripted(GOOD), policy=policy).stream(asked))
