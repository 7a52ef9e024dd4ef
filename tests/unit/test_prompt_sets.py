"""The written prompt sets keep their own rules, and the held-out one stays apart."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TOPICS = sorted((BENCHMARKS / "contrast").glob("*/*.yaml"))
HELD_OUT = {file.stem: [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] for file in (BENCHMARKS / "heldout").glob("*.jsonl")}


def test_there_are_48_topics_in_each_language():
    assert {lang: sum(path.parent.name == lang for path in TOPICS) for lang in ("en", "zh")} == {"en": 48, "zh": 48}


@pytest.mark.parametrize("path", TOPICS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_pairs_are_whole(path):
    topic = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert topic["topic"] == path.stem
    assert len(topic["pairs"]) == 26
    for pair in topic["pairs"]:
        assert pair["harmful"] != pair["harmless"]
        for side in ("harmful", "harmless"):
            assert set(re.findall(r"\{(\w+)\}", pair[side])) == set(pair.get("slots", {})), pair[side]


@pytest.mark.parametrize("name", ["clinical_en", "clinical_zh"])
def test_the_held_out_set_is_balanced_and_apart(name, clinical):
    rows = HELD_OUT[name]
    kinds = {kind: sum(row["kind"] == kind for row in rows) for kind in ("harmful", "twin", "everyday", "sounds-dangerous")}
    assert kinds == {"harmful": 130, "twin": 130, "everyday": 150, "sounds-dangerous": 80}
    assert len({row["id"] for row in rows}) == len({row["prompt"] for row in rows}) == 490
    tests = {text for rule in clinical.rules for text in (*rule.tests.violating, *rule.tests.near_miss)}
    assert not tests & {row["prompt"] for row in rows}
    developed = {text for path in TOPICS for text in re.findall(r'"([^"]{12,})"', path.read_text(encoding="utf-8"))}
    assert not developed & {row["prompt"] for row in rows}
