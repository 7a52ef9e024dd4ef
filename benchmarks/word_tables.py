"""Makes the word tables of the clinical pack: Chinese words by their pinyin, and English words that are spelt right.

    python benchmarks/word_tables.py [--out policies/clinical]

``pinyin.tsv.gz``: words cut by jieba and spelt by pypinyin (both MIT), counted. ``words.tsv.gz``: English words and how
often they occur. Both are counted over contrast pairs, rules, drug names, items, vignettes and documents of this project,
and the questions in ``../shared/data`` where it is there. Nothing of ``policies/prompts`` is read.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import re
from collections import Counter
from pathlib import Path

import jieba
from pypinyin import Style, lazy_pinyin

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
_ENGLISH = re.compile(r"(?<![\w<*])[A-Za-z]{3,24}(?![\w*>])")
_CHINESE = re.compile(r"[一-鿿]+")
# Single characters are always there to fall back on, but a word that is known is the better guess.
SINGLES = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "policies" / "clinical")
    arguments = parser.parse_args()
    everything = texts()
    for name, rows in (("pinyin.tsv.gz", pinyin(everything)), ("words.tsv.gz", words(everything))):
        path = arguments.out / name
        path.write_bytes(gzip.compress("".join(f"{row}\n" for row in rows).encode(), mtime=0))
        print(f"{path}: {len(rows)} words, {path.stat().st_size / 1e6:.2f} MB")


def pinyin(everything: list[str]) -> list[str]:
    """Lines of syllables, word and count."""
    counts: Counter[str] = Counter()
    for run in itertools.chain.from_iterable(map(_CHINESE.findall, everything)):
        cut = jieba.lcut(run)
        counts.update(cut)
        # Pairs of short words as well: a little context at no cost.
        counts.update(a + b for a, b in itertools.pairwise(cut) if len(a + b) <= 5)
    rows = []
    for word, count in counts.items():
        if len(word) > 2 and count < 2:
            continue
        weight = max(1, round(count * SINGLES)) if len(word) == 1 else count
        rows.append(f"{' '.join(lazy_pinyin(word, style=Style.NORMAL, v_to_u=False))}\t{word}\t{weight}")
    return sorted(rows)


def words(everything: list[str]) -> list[str]:
    """Lines of word and count; what occurs once may be a slip itself."""
    counts = Counter(word.lower() for text in everything for word in _ENGLISH.findall(text))
    return sorted(f"{word}\t{count}" for word, count in counts.items() if count >= 2)


def texts() -> list[str]:
    files = [
        *sorted((ROOT / "benchmarks" / "contrast").rglob("*.yaml")),
        *sorted((ROOT / "benchmarks" / "contrast").glob("harmless_*.txt")),
        *sorted((ROOT / "policies").rglob("*.yaml")),
        *sorted((ROOT / "audits").glob("*.yaml")),
        *sorted((ROOT / "calibration" / "sets").glob("*.jsonl")),
        *sorted((ROOT / "docs").glob("*.md")),
    ]
    out = [file.read_text(encoding="utf-8") for file in files]
    for name, key in (
        ("prompts/patient_questions_zh.jsonl", "prompt"),
        ("prompts/medsafetybench_train_en.jsonl", "prompt"),
        ("prompts/medsafetybench_train_en.jsonl", "safe_response"),
        ("calibration/cmexam_zh.jsonl", "question"),
        ("calibration/medmcqa_en.jsonl", "question"),
        ("calibration/pubmedqa_labelled_en.jsonl", "long_answer"),
    ):
        if (SHARED / name).is_file():
            out += [json.loads(line)[key] for line in (SHARED / name).read_text(encoding="utf-8").split("\n") if line]
    return out


if __name__ == "__main__":
    main()
