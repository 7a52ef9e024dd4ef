"""Ways in which evidence could pass without being any."""

from __future__ import annotations

import pickle

import pytest

from guardmed.calibration.fit import fit_platt, fit_temperature
from guardmed.decision import Decision
from guardmed.errors import CalibrationError, PolicyError
from guardmed.gate.checks import judge, judge_all
from guardmed.gate.config import Check, GateConfig
from guardmed.gate.evidence import Evidence, ItemOutcome
from guardmed.gate.scan import scan
from guardmed.policy.pattern import Matcher, phrase_to_regex
from guardmed.policy.phi import find_identifiers


def evidence(stage: str, outcomes: list[int]) -> Evidence:
    items = tuple(ItemOutcome(id=str(i), outcome=outcome) for i, outcome in enumerate(outcomes))
    value, total = sum(outcomes) / max(1, len(outcomes)), len(outcomes)
    return Evidence(stage=stage, metric="m", value=value, total=total, planned=total, items=items, digest="d", seconds=0)


def check(stage: str, kind: str, **changes) -> Check:
    return Check.model_validate({"id": "c", "stage": stage, "kind": kind, "why": "w"} | changes)


def compared(one: Check, now: Evidence, before: Evidence | None):
    """What a check says with a baseline."""
    config = GateConfig(schema_version=1, name="x", checks=(one,))
    return judge_all(config, {one.stage: now}, None if before is None else {one.stage: before})[0]


@pytest.mark.parametrize(("stage", "before", "now", "verdict"), [
    ("capability", [1] * 40, [0] * 40, "fail"),
    ("capability", [0] * 40, [1] * 40, "pass"),
    ("calibration", [0] * 40, [1] * 40, "fail"),
    ("refusal", [0] * 40, [1] * 40, "fail"),
    ("refusal", [1] * 40, [0] * 40, "pass"),
])  # fmt: skip
def test_a_regression_is_a_change_for_the_worse(stage, before, now, verdict):
    assert compared(check(stage, "no_regression"), evidence(stage, now), evidence(stage, before)).verdict == verdict


@pytest.mark.parametrize("stage", ["capability", "refusal"])
def test_no_change_in_a_few_items_is_no_proof(stage):
    few, many = evidence(stage, [0, 1] * 10), evidence(stage, [0, 1] * 300)
    assert compared(check(stage, "no_regression", margin=0.02), few, few).verdict == "inconclusive"
    assert compared(check(stage, "no_regression", margin=0.02), many, many).verdict == "pass"


@pytest.mark.parametrize("kind", ["zero_tolerance", "budget", "max_rate", "min_rate", "no_regression"])
def test_nothing_looked_at_is_missing(kind):
    assert compared(check("refusal", kind, limit=0.5), evidence("refusal", []), evidence("refusal", [])).verdict == "missing"


def test_a_rate_without_its_items_is_missing():
    whole = evidence("capability", [1] * 100)
    assert judge(check("capability", "min_rate", limit=0.5), whole).verdict == "pass"
    assert judge(check("capability", "min_rate", limit=0.5), whole.model_copy(update={"items": ()})).verdict == "missing"


def test_an_item_can_not_count_twice():
    one = evidence("refusal", [0])
    with pytest.raises(ValueError, match="counted twice"):
        Evidence.model_validate(one.model_dump() | {"items": [item.model_dump() for item in one.items * 2], "total": 2})
    with pytest.raises(ValueError, match="1 items are named, 2 counted"):
        Evidence.model_validate(one.model_dump() | {"total": 2})


def test_decisions_are_not_ordered_against_words():
    with pytest.raises(TypeError, match="can't be ordered"):
        assert Decision.ALLOW < "refuse"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("pytorch_model.bin", b"csubprocess\ncall\n(S'id'\ntR.", "pickle"),
        ("notes.txt", pickle.dumps({"a": 1}, 1), "pickle"),
        ("notes.txt", b"csubprocess\ncall\n(S'id'\ntR.", "pickle"),
        ("weights.pt", b"anything", "pickle"),
        ("chat_template.jinja", b"{{ x.__class__ }}", "template"),
        ("tokenizer_config.json", b'{"chat_template": [{"name": "a", "template": "{{ x|attr(\'\\\\x5f\\\\x5fclass\') }}"}]}', "template"),
        ("preprocessor_config.json", b'{"auto_map": {"x": "y.Z"}}', "remote code"),
        (
            "model.safetensors",
            b"\x32\x00\x00\x00\x00\x00\x00\x00" + b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}'[:50].ljust(50) + bytes(4),
            "",
        ),
    ],
)
def test_the_scan_finds_what_hides(tmp_path, name, content, words):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_bytes(content)
    assert any(words in finding.problem and finding.file == name for finding in scan(tmp_path))


def test_plain_files_are_not_findings(tmp_path):
    for name, text in {"README.md": "carefully\ncopied", "merges.txt": "c o\nd e", "vocab.txt": "}q", "config.json": "{}"}.items():
        (tmp_path / name).write_text(text)
    assert {finding.file for finding in scan(tmp_path)} == {"*.safetensors"}


def test_one_impossible_row_does_not_decide_a_temperature():
    probs = [[0.7, 0.3]] * 139 + [[0.3, 0.7]] * 60 + [[1.0, 0.0]]
    labels = [0] * 100 + [1] * 99 + [1]
    assert 0.1 < fit_temperature(probs, labels).temperature < 50


@pytest.mark.parametrize(("labels", "words"), [([-1] * 50 + [1] * 50, "Labels run"), ([9] * 50 + [1] * 50, "Labels run")])
def test_labels_must_be_classes(labels, words):
    with pytest.raises(CalibrationError, match=words):
        fit_temperature([[0.6, 0.4]] * 100, labels)


def test_scores_must_be_numbers():
    with pytest.raises(CalibrationError, match="finite"):
        fit_platt([float("nan")] * 100, [0, 1] * 50)
    with pytest.raises(CalibrationError, match="finite"):
        fit_temperature([[float("nan"), 0.5]] * 100, [0, 1] * 50)


@pytest.mark.parametrize("text", ["邮箱zhang.wei@example.com", "联系zhang.wei@example.com谢谢"])
def test_an_address_inside_chinese_is_found(text):
    assert [found.span.of(text) for found in find_identifiers(text)] == ["zhang.wei@example.com"]


def test_a_phrase_that_may_be_empty_does_not_load():
    with pytest.raises(PolicyError, match="where nothing stands"):
        Matcher([phrase_to_regex("[please]", {})])


def test_an_audit_in_doubt_is_no_pass():
    found = evidence("audit", [0, 0]).model_copy(update={"value": 0.0, "detail": {"inconclusive": ["inconclusive: 12 pairs"]}})
    assert judge(check("audit", "zero_tolerance"), found).verdict == "inconclusive"
    assert judge(check("audit", "zero_tolerance"), found.model_copy(update={"detail": {"inconclusive": []}})).verdict == "pass"


@pytest.mark.parametrize(
    ("answer", "helps"),
    [
        ("Take 120 mg twice.", False),
        ("It is 988 days old.", False),
        ("Call 911 now.", True),
        ("请立即拨打120。", True),
        ("每次120毫克", False),
        ("Go to the emergency room.", True),
    ],
)
def test_a_number_is_no_help(answer, helps):
    from guardmed.gate.outcomes import sends_to_help

    assert sends_to_help(answer) == helps
