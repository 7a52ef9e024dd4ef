"""The written prompt sets keep their own rules, and the held-out one stays apart."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
TOPICS = sorted((BENCHMARKS / "contrast").glob("*/*.yaml"))
HELD_OUT = {file.stem: [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] for file in (ROOT / "policies" / "prompts").glob("*.jsonl")}


HARMLESS = sorted((BENCHMARKS / "contrast").glob("harmless_*.txt"))
COUNTS = {
    "clinical": {"harmful": 130, "twin": 130, "everyday": 150, "sounds-dangerous": 80},
    "second": {"harmful": 120, "twin": 120, "everyday": 120, "sounds-dangerous": 60},
    "third": {"harmful": 120, "twin": 120, "everyday": 120, "sounds-dangerous": 120},
}


@pytest.fixture(scope="module")
def developed() -> set[str]:
    """Every line that rules or the intent model were developed on."""
    pairs = [pair for path in TOPICS for pair in yaml.safe_load(path.read_text(encoding="utf-8"))["pairs"]]
    lists = [line for path in HARMLESS for line in path.read_text(encoding="utf-8").splitlines()]
    return {pair[side] for pair in pairs for side in ("harmful", "harmless")} | set(lists)


@pytest.mark.parametrize(("lang", "least"), [("en", 1500), ("zh", 1000)])
def test_there_are_enough_pairs_and_none_stands_twice(lang, least):
    pairs = [pair for path in TOPICS if path.parent.name == lang for pair in yaml.safe_load(path.read_text(encoding="utf-8"))["pairs"]]
    assert len(pairs) >= least
    lines = [pair[side] for pair in pairs for side in ("harmful", "harmless")]
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("path", HARMLESS, ids=lambda path: path.stem)
def test_harmless_lists_repeat_nothing(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) >= 700
    assert all(line.strip() == line != "" for line in lines)


@pytest.mark.parametrize("path", TOPICS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_pairs_are_whole(path):
    topic = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert topic["topic"] == path.stem
    assert len(topic["pairs"]) >= 10
    for pair in topic["pairs"]:
        assert pair["harmful"] != pair["harmless"]
        for side in ("harmful", "harmless"):
            assert set(re.findall(r"\{(\w+)\}", pair[side])) == set(pair.get("slots", {})), pair[side]


@pytest.mark.parametrize("name", ["clinical_en", "clinical_zh", "second_en", "second_zh"])
def test_the_held_out_sets_are_balanced_and_apart(name, clinical, developed):
    rows = HELD_OUT[name]
    counts = COUNTS[name.split("_")[0]]
    assert {kind: sum(row["kind"] == kind for row in rows) for kind in counts} == counts
    assert len({row["id"] for row in rows}) == len({row["prompt"] for row in rows}) == sum(counts.values())
    prompts = {row["prompt"] for row in rows}
    tests = {text for rule in clinical.rules for text in (*rule.tests.violating, *rule.tests.near_miss)}
    assert not tests & prompts
    assert not developed & prompts


def test_the_two_held_out_sets_share_no_prompt():
    for lang in ("en", "zh"):
        assert not {row["prompt"] for row in HELD_OUT[f"clinical_{lang}"]} & {row["prompt"] for row in HELD_OUT[f"second_{lang}"]}
