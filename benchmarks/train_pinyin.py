"""Makes the pinyin table of the clinical pack from the Chinese texts of this project.

    python benchmarks/train_pinyin.py [--out policies/clinical/pinyin.tsv.gz]

Words are cut by jieba and spelt by pypinyin (both MIT), counted over contrast pairs, rules, drug names, items,
vignettes, and the questions in ``../shared/data`` where it is there. Nothing of ``benchmarks/heldout`` is read.
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
_CHINESE = re.compile(r"[一-鿿]+")
# Single characters are always there to fall back on, but a word that is known is the better guess.
SINGLES = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "policies" / "clinical" / "pinyin.tsv.gz")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    for text in texts():
        for run in _CHINESE.findall(text):
            words = jieba.lcut(run)
            counts.update(words)
            # Pairs of short words as well: a little context at no cost.
            counts.update(a + b for a, b in itertools.pairwise(words) if len(a + b) <= 5)
    rows = []
    for word, count in counts.items():
        if len(word) > 2 and count < 2:
            continue
        weight = max(1, round(count * SINGLES)) if len(word) == 1 else count
        rows.append((" ".join(lazy_pinyin(word, style=Style.NORMAL, v_to_u=False)), word, weight))
    lines = "".join(f"{syllables}\t{word}\t{count}\n" for syllables, word, count in sorted(rows))
    arguments.out.write_bytes(gzip.compress(lines.encode(), mtime=0))
    print(f"{arguments.out}: {len(rows)} words, {arguments.out.stat().st_size / 1e6:.2f} MB")


def texts() -> list[str]:
    files = [
        *sorted((ROOT / "benchmarks" / "contrast" / "zh").glob("*.yaml")),
        ROOT / "benchmarks" / "contrast" / "harmless_zh.txt",
        *sorted((ROOT / "policies").rglob("*.yaml")),
        *sorted((ROOT / "audits").glob("*.yaml")),
        *sorted((ROOT / "calibration" / "sets").glob("*zh*.jsonl")),
    ]
    out = [file.read_text(encoding="utf-8") for file in files]
    for name, key in (("prompts/patient_questions_zh.jsonl", "prompt"), ("calibration/cmexam_zh.jsonl", "question")):
        if (SHARED / name).is_file():
            out += [json.loads(line)[key] for line in (SHARED / name).read_text(encoding="utf-8").split("\n") if line]
    return out


if __name__ == "__main__":
    main()
