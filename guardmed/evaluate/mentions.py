"""Entities in a model's answer, read leniently, and found again in the text exactly."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from guardmed.evaluate.results import Language
from guardmed.evaluate.spans import Entity

# The nine types of CMeEE (Zan et al., 2020; CBLUE).
TITLES: Mapping[str, Mapping[Language, str]] = {
    "dis": {"en": "disease", "zh": "疾病"},
    "sym": {"en": "symptom or sign", "zh": "临床表现"},
    "pro": {"en": "procedure", "zh": "医疗程序"},
    "equ": {"en": "equipment", "zh": "医疗设备"},
    "dru": {"en": "drug", "zh": "药物"},
    "ite": {"en": "test item", "zh": "医学检验项目"},
    "bod": {"en": "body part", "zh": "身体"},
    "dep": {"en": "department", "zh": "科室"},
    "mic": {"en": "microorganism", "zh": "微生物类"},
}
_EXAMPLE: Mapping[Language, tuple[str, tuple[tuple[str, str], ...]]] = {
    "en": (
        "She was started on apixaban after an ultrasound showed deep vein thrombosis.",
        (("dru", "apixaban"), ("pro", "ultrasound"), ("dis", "deep vein thrombosis")),
    ),
    "zh": ("超声提示下肢深静脉血栓形成，予利伐沙班口服。", (("pro", "超声"), ("dis", "下肢深静脉血栓形成"), ("dru", "利伐沙班"))),
}
_ASK: Mapping[Language, str] = {
    "en": (
        "List the clinical entities in the sentence, in order, one a line, as type: words. Copy the words exactly; name each occurrence; write nothing else.\n"
        "Types: {types}\n{example}Sentence: {text}\nEntities:"
    ),
    "zh": (
        "按出现顺序列出句子中的医学实体，每行一个，格式为 类型: 原文。原文须逐字照抄，每次出现都要列出，不要写别的内容。\n"
        "类型：{types}\n{example}句子：{text}\n实体："
    ),
}
_SHOWN: Mapping[Language, str] = {"en": "Sentence: {text}\nEntities:\n{lines}\n\n", "zh": "句子：{text}\n实体：\n{lines}\n\n"}
STOPS = tuple(shown.partition("{text}")[0] for shown in _SHOWN.values())
"""Where an answer goes on to the next sentence."""
_OBJECT = re.compile(r"\{[^{}]*\}")
_TAGGED = re.compile(r"<([^<>/\s]+)>([^<>]+)</\1>")
_LINE = re.compile(r"^[\s\-*•·\d.)、(（]*([^:：|\t→=]+?)\s*(?:[:：|\t=]|->|→)\s*(.+?)\s*$")
_BEHIND = re.compile(r"^[\s\-*•·\d.)、]*(.+?)\s*[(（\[]([^()（）\[\]]+)[)）\]]\s*[.。]?$")
_LABEL_KEYS, _WORD_KEYS = ("type", "label", "entity_group", "类型", "类别"), ("entity", "text", "word", "words", "span", "mention", "实体", "原文")
_BETWEEN = re.compile(r"\s*[,，、;；]\s*")
_AROUND = " \t\"'“”‘’`*[]【】《》"
_NOTHING = frozenset({"none", "n/a", "no", "nil", "无", "没有", "-", ""})


def prompt(text: str, labels: Sequence[str], language: Language) -> str:
    """How a model is asked for the entities of a sentence, with an example where its types are among those asked for."""
    types = ", ".join(f"{label} ({TITLES[label][language]})" if label in TITLES else label for label in labels)
    sentence, entities = _EXAMPLE[language]
    example = ""
    if {label for label, _ in entities} <= set(labels):
        example = _SHOWN[language].format(text=sentence, lines="\n".join(f"{label}: {words}" for label, words in entities))
    return _ASK[language].format(types=types, example=example, text=text)


def read(answer: str, labels: Sequence[str]) -> list[tuple[str, str]]:
    """Label and words of every entity an answer names.

    JSON objects, ``<label>words</label>``, lines of ``label: words`` and of ``words (label)`` are read; labels by
    themselves or by their titles in either language; whatever else stands there is passed over.
    """
    known = {name.casefold(): label for label in labels for name in (label, *TITLES.get(label, {}).values())}
    found: list[tuple[str, str]] = []
    for line in answer.splitlines():
        pairs = _objects(line) or _TAGGED.findall(line)
        if not pairs and (match := _LINE.match(line)):
            pairs = [(match[1], match[2])]
        if not any(_bare(label) in known for label, _ in pairs) and (match := _BEHIND.match(line)):
            pairs = [(match[2], match[1])]
        found += [(known[_bare(label)], words.strip(_AROUND)) for label, words in pairs if _bare(label) in known]
    return [(label, words) for label, words in found if words.casefold() not in _NOTHING]


def locate(text: str, named: Sequence[tuple[str, str]]) -> tuple[list[Entity], list[tuple[str, str]]]:
    """Entities at their places, and what is named but does not stand in the text.

    The second time that the same is named means its second place; more often than it stands there is
    repetition and adds nothing. Several in one line, between commas, are taken one by one where the line
    as a whole does not stand there.
    """
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    times: dict[tuple[str, str], int] = defaultdict(int)
    entities: list[Entity] = []
    invented: list[tuple[str, str]] = []
    for label, words in named:
        whole = places.setdefault((label, words), _occurrences(text, words))
        for part in [words] if whole else _BETWEEN.split(words):
            spans = places.setdefault((label, part), _occurrences(text, part))
            seen = times[label, part]
            times[label, part] += 1
            if seen < len(spans):
                entities.append(Entity(*spans[seen], label))
            elif not spans and part and seen == 0:
                invented.append((label, part))
    return sorted(set(entities)), invented


def _occurrences(text: str, words: str) -> list[tuple[int, int]]:
    """Where words stand, in any case; not within longer Latin words."""
    if not words:
        return []
    before = r"(?<![A-Za-z0-9])" if words[0].isascii() and words[0].isalnum() else ""
    behind = r"(?![A-Za-z0-9])" if words[-1].isascii() and words[-1].isalnum() else ""
    return [match.span() for match in re.finditer(before + re.escape(words) + behind, text, re.IGNORECASE)]


def _objects(line: str) -> list[tuple[str, str]]:
    out = []
    for match in _OBJECT.finditer(line):
        try:
            value = json.loads(match[0])
        except ValueError:
            continue
        label, words = (next((value[key] for key in keys if isinstance(value.get(key), str)), None) for keys in (_LABEL_KEYS, _WORD_KEYS))
        if label is not None and words is not None:
            out.append((label, words))
    return out


def _bare(label: str) -> str:
    return label.strip(_AROUND).casefold()
