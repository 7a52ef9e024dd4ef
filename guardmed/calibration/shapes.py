"""Question sets as people publish them, read into items.

A file is of one shape, recognised by the fields of its first row. What can't be told from one row,
such as from which number answers are counted, is decided over the whole file.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

from pydantic import ValidationError

from guardmed.calibration.items import Item
from guardmed.errors import DataError
from guardmed.records import FORMATS, decoded, describe, jsonl_rows, parsed_cell, raw_rows

_HUB = re.compile(r"hub:(\w[\w.-]*/\w[\w.-]*)(?::([^:]*))?(?::([^:]+))?")
_SPLITS = ("train", "validation", "val", "dev", "test")
_CHINESE = re.compile(r"[㐀-䶿一-鿿豈-﫿]")
_OPTION = re.compile(r"^[ \t]*([A-Z])(?:[.．、:：)）]|\s|$)", re.MULTILINE)
_BETWEEN_LETTERS = " ,，、;；/"
_DECISIONS = ("yes", "no", "maybe")


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """The items of a file in its order, the name of its shape, and how many rows with several right options were left out."""

    items: list[Item]
    shape: str
    left_out: int


def read_items(path: str | Path, *, skip_multiple: bool = False) -> list[Item]:
    """Items of a question set in any known shape.

    Parameters
    ----------
    path : str or Path
        ``.jsonl``, ``.json``, ``.csv`` or ``.parquet``; ``-`` is JSONL on standard input; ``hub:org/name`` is read by :func:`read_hub`.
    skip_multiple : bool
        Leave rows with several right options out instead of refusing the file; :func:`read_set` says how many they were.

    Returns
    -------
    list of Item
        An item has its row's own id, or the number of its line (of its row in JSON arrays and
        Parquet) as a string; its language is Chinese where the question holds Chinese characters.

    Raises
    ------
    DataError
        The file can't be read, is of no known shape, or a row has no single right option; the message names the line.
    """
    return read_set(path, skip_multiple=skip_multiple).items


def read_hub(name: str, *, skip_multiple: bool = False) -> list[Item]:
    """Items of a question set on the Hugging Face hub, downloaded by the optional package ``datasets``.

    Parameters
    ----------
    name : str
        As for :func:`parse_hub`; the split may be left out where there is only one.
    skip_multiple : bool
        As for :func:`read_items`.

    Raises
    ------
    DataError
        ``datasets`` is not installed, the set can't be loaded, or as for :func:`read_items`.
    """
    return _question_set(_hub_rows(name), name, skip_multiple).items


def read_set(path: str | Path, *, skip_multiple: bool = False) -> QuestionSet:
    """As :func:`read_items`, with the shape's name and how many rows were left out."""
    rows = _hub_rows(str(path)) if str(path).startswith("hub:") else _file_rows(path)
    return _question_set(rows, str(path), skip_multiple)


def parse_hub(name: str) -> tuple[str, str | None, str | None]:
    """Repository, configuration and split of ``hub:org/name[:config][:split]``.

    A single part after the name is a split if it is called train, validation, val, dev or test,
    and a configuration otherwise. Any other form is a DataError.
    """
    match = _HUB.fullmatch(name)
    if match is None:
        raise DataError(f"{name!r} does not name a set on the hub.", mend="Write hub:org/name, hub:org/name:config or hub:org/name:config:split.")
    repository, first, second = match.groups()
    if second is None and first in _SPLITS:
        return repository, None, first
    return repository, first or None, second


@dataclass(frozen=True, slots=True)
class _Row:
    """One row, with what an error needs to name it."""

    file: str
    where: str
    number: int
    fields: Mapping[str, Any]

    def fault(self, problem: str, mend: str = "Mend or remove that row.") -> DataError:
        return DataError(f"{self.file}, {self.where}: {problem}.", mend=mend)

    def get(self, name: str) -> str | None:
        return _text(self.fields.get(name))

    def text(self, name: str) -> str:
        if (value := self.get(name)) is None:
            raise self.fault(f"{name} is missing, empty or not a text")
        return value

    def label(self, name: str) -> str:
        if (value := self.get(name)) is None:
            raise self.fault(f"the row is unlabelled ({name} is missing or empty)", "Use a labelled split, or remove such rows.")
        return value

    def item(self, /, **values: Any) -> Item:
        own = next((value for name in ("id", "pubid") if _text(value := self.fields.get(name)) is not None), str(self.number))
        try:
            return Item.model_validate({"lang": _language(values["question"]), **values, "id": own})
        except ValidationError as error:
            raise self.fault(describe(error), "An item needs a question, 2 to 26 options and the right one of them.") from None


class _SeveralRight(DataError):
    """A row with more than one right option."""


_Reader = Callable[[_Row], Item]


def _file_rows(path: str | Path) -> Iterator[_Row]:
    file, suffix = ("standard input", ".jsonl") if str(path) == "-" else (str(path), Path(path).suffix.lower())
    if suffix == ".json":
        yield from _json_rows(Path(path))
    elif suffix in FORMATS:
        unit = "row" if suffix == ".parquet" else "line"
        for number, fields in raw_rows(path):
            yield _Row(file, f"{unit} {number}", number, fields)
    else:
        raise DataError(f"{path}: {suffix or 'no suffix'} is not a format of question sets.", mend=f"Use .json, {', '.join(FORMATS)}, or - for JSONL.")


def _json_rows(path: Path) -> Iterator[_Row]:
    """Rows of an array, of an object by id, or of lines, which some sets call ``.json`` too."""
    file = str(path)
    try:
        data = path.read_bytes()
        value = json.loads(decoded(file, data))
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}.", mend="Check the path and its permissions.") from None
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise DataError(f"{file}, line {error.lineno}: not JSON ({error.msg} at column {error.colno}).", mend="Mend that line.") from None
        for number, fields in jsonl_rows(file, data):
            yield _Row(file, f"line {number}", number, fields)
        return
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not a question set ({type(error).__name__}).", mend="Write an array of objects.") from None
    if isinstance(value, dict) and value and all(isinstance(entry, dict) for entry in value.values()):
        for number, (name, fields) in enumerate(value.items(), start=1):
            yield _Row(file, f"entry {name}", number, {"id": name, **fields})
        return
    for number, fields in enumerate(value if isinstance(value, list) else [value], start=1):
        if not isinstance(fields, dict):
            raise DataError(f"{file}, row {number}: a {type(fields).__name__}, not an object.", mend="Write an array of objects.")
        yield _Row(file, f"row {number}", number, fields)


def _hub_rows(name: str) -> Iterator[_Row]:
    repository, config, split = parse_hub(name)
    try:
        library = importlib.import_module("datasets")
    except ImportError:
        raise DataError(f"{name} needs the package datasets.", mend="Run: pip install datasets. Or download the file and give its path.") from None
    try:
        splits = [split] if split else list(library.get_dataset_split_names(repository, config))
        if len(splits) != 1:
            raise DataError(f"{name} has the splits {', '.join(splits)}.", mend=f"Name one of them: hub:{repository}:{config or ''}:SPLIT.")
        data = library.load_dataset(repository, config, split=splits[0])
    except (OSError, ValueError, RuntimeError, library.exceptions.DatasetsError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DataError(
            f"{name} can't be loaded: {reason.rstrip('.')}.", mend="Check the name and the network, or download the file and give its path."
        ) from error
    for number, fields in enumerate(data, start=1):
        yield _Row(name, f"row {number}", number, fields)


def _question_set(rows: Iterator[_Row], name: str, skip_multiple: bool) -> QuestionSet:
    every = list(rows)
    if not every:
        raise DataError(f"{name} holds no questions.", mend="Check the path.")
    shape = next((shape for shape in _SHAPES if shape.fits(every[0].fields)), None)
    if shape is None:
        known = "; ".join(f"{shape.name} ({shape.needs}, {shape.answer})" for shape in _SHAPES)
        raise DataError(f"{every[0].file}: no known question set has the fields {', '.join(map(str, every[0].fields))}.", mend=f"Known are {known}.")
    read = shape.reader(every)
    items: list[Item] = []
    for row in every:
        try:
            items.append(read(row))
        except _SeveralRight:
            if not skip_multiple:
                raise
    if not items:
        raise DataError(f"{name} holds no question with one right option.", mend="Use another set.")
    return QuestionSet(items, shape.name, len(every) - len(items))


def _guardmed(row: _Row) -> Item:
    present = {name: value for name, value in row.fields.items() if _text(value) is not None}
    return row.item(**{**present, "question": row.text("question"), "options": parsed_cell(row.fields.get("options"))})


def _medqa(row: _Row) -> Item:
    options = _lettered(row, row.fields.get("options"))
    if (answer := row.get("answer_idx")) is None:
        answer = row.label("answer")
        # A letter may also be an option's text ("Which vitamin?"), so both readings are tried.
        right = {letter for letter, text in options.items() if answer in (letter, text)}
        if len(right) > 1:
            raise row.fault(f"the answer {answer!r} fits several options", "Give its letter as answer_idx.")
        answer = right.pop() if right else answer
    return _choice(row, row.text("question"), options, answer, "MedQA")


def _medmcqa(rows: Sequence[_Row]) -> _Reader:
    seen = {_cop(row) for row in rows}
    if {0, 4} <= seen:
        raise DataError(f"{rows[0].file}: cop is 0 in some rows and 4 in others.", mend="Don't mix rows that count from 0 with rows that count from 1.")
    if not seen & {0, 4}:
        raise DataError(f"{rows[0].file}: cop is never 0 nor 4, so that it may count from 0 or from 1.", mend="Give a fuller file.")
    first = 0 if 0 in seen else 1

    def read(row: _Row) -> Item:
        options = _lettered(row, {letter: row.fields.get(f"op{letter.lower()}") for letter in "ABCD"})
        return _choice(row, row.text("question"), options, "ABCD"[_cop(row) - first], "MedMCQA", specialty=row.get("subject_name"))

    return read


def _cop(row: _Row) -> int:
    value = row.label("cop").removesuffix(".0")  # a column with gaps holds 1.0
    if value == "-1":
        raise row.fault("the row is unlabelled (cop is -1)", "Use the train or validation split, or remove such rows.")
    if value not in ("0", "1", "2", "3", "4"):
        raise row.fault(f"cop {value!r} is not a number from 0 to 4")
    return int(value)


def _pubmedqa(row: _Row) -> Item:
    question = row.text("QUESTION" if "QUESTION" in row.fields else "question")
    context = parsed_cell(row.fields.get("context"))
    contexts = context.get("contexts") if isinstance(context, dict) else parsed_cell(row.fields.get("CONTEXTS"))
    if not isinstance(contexts, list) or not contexts or not all(isinstance(part, str) for part in contexts):
        raise row.fault("contexts is not a list of texts")
    decision = row.label("final_decision").lower()
    if decision not in _DECISIONS:
        raise row.fault(f"final_decision {decision!r} is not yes, no or maybe")
    answer = _DECISIONS.index(decision)
    return row.item(question="\n".join([*contexts, question]), options=_DECISIONS, answer=answer, lang=_language(question), source="PubMedQA")


def _cmexam(row: _Row) -> Item:
    return _choice(row, row.text("Question"), _lettered(row, row.fields.get("Options")), row.label("Answer"), "CMExam")


def _cmb(row: _Row) -> Item:
    return _choice(row, row.text("question"), _lettered(row, row.fields.get("option")), row.label("answer"), "CMB", specialty=row.get("exam_subject"))


def _cmmlu(row: _Row) -> Item:
    question, answer, source = ("Question", "Answer", "CMMLU") if "Question" in row.fields else ("question", "answer", "C-Eval")
    options = _lettered(row, {letter: row.fields[letter] for letter in ascii_uppercase if letter in row.fields})
    return _choice(row, row.text(question), options, row.label(answer), source)


def _classes(source: str, needs: str, ask: str) -> Callable[[Sequence[_Row]], _Reader]:
    """Classification as a question: the options are the labels that the whole file holds."""

    def label(row: _Row) -> str:
        value = row.label("label")
        return "0" if (source, value) == ("KUAKE-QQR", "NA") else value  # as CBLUE's own baseline counts it

    def prepare(rows: Sequence[_Row]) -> _Reader:
        labels = sorted({label(row) for row in rows})
        if not 2 <= len(labels) <= len(ascii_uppercase):
            problem = f"{len(labels)} label{'s' * (len(labels) > 1)}; the options of its questions are its labels, and they must be 2 to 26"
            raise DataError(f"{rows[0].file} holds {problem}.", mend="Give a file with rows of that many labels.")
        return lambda row: row.item(question=ask.format(*map(row.text, needs.split(", "))), options=labels, answer=labels.index(label(row)), source=source)

    return prepare


def _each(read: _Reader) -> Callable[[Sequence[_Row]], _Reader]:
    return lambda _rows: read


@dataclass(frozen=True, slots=True)
class _Shape:
    """By which fields a shape is recognised, where its answer stands, and how its rows are read once all were seen."""

    name: str
    needs: str
    answer: str
    reader: Callable[[Sequence[_Row]], _Reader]
    listed: bool = False

    def fits(self, fields: Mapping[str, Any]) -> bool:
        return fields.keys() >= set(self.needs.split(", ")) and (not self.listed or _is_plain_list(fields["options"]))


# The tasks of CBLUE and the meaning of their scores, from its own descriptions.
_CLASSIFICATIONS = {
    "KUAKE-QQR": (
        "query1, query2",
        "医疗搜索查询词-查询词相关性：判断两个查询词的主题匹配程度。2：两者等价，表述一致；1：查询词二是查询词一的语义子集；"
        "0：查询词二是查询词一的语义父集，或两者语义无关。\n查询词一：{}\n查询词二：{}",
    ),
    "KUAKE-QTR": (
        "query, title",
        "医疗搜索查询词-页面标题相关性：判断查询词与标题的主题匹配程度。0：完全不匹配；1：很少匹配，有一些参考价值；2：部分匹配；3：完全匹配。\n查询词：{}\n标题：{}",
    ),
    "KUAKE-QIC": ("query", "医疗搜索检索词意图分类：判断检索词属于哪一类意图。\n检索词：{}"),
    "CHIP-CTC": ("text", "临床试验筛选标准短文本分类：判断筛选标准属于哪一类。\n筛选标准：{}"),
}
# The narrower first: a list of options before any options, a query with a title before a query.
_SHAPES = (
    _Shape("GuardMed", "question, options", "answer as an index from 0 in the list of options", _each(_guardmed), listed=True),
    _Shape("MedQA", "question, options", "answer_idx as a letter or answer as a text", _each(_medqa)),
    _Shape("MedMCQA", "question, opa, opb, opc, opd", "cop", _medmcqa),
    _Shape("PubMedQA", "question, context", "final_decision", _each(_pubmedqa)),
    _Shape("PubMedQA", "QUESTION, CONTEXTS", "final_decision", _each(_pubmedqa)),
    _Shape("CMExam", "Question, Options", "Answer", _each(_cmexam)),
    _Shape("CMB", "question, option", "answer", _each(_cmb)),
    _Shape("CMMLU", "Question, A, B, C, D", "Answer", _each(_cmmlu)),
    _Shape("C-Eval", "question, A, B, C, D", "answer", _each(_cmmlu)),
    *(_Shape(name, f"{needs}, label", "which is the answer", _classes(name, needs, ask)) for name, (needs, ask) in _CLASSIFICATIONS.items()),
)


def _choice(row: _Row, question: str, options: Mapping[str, str], answer: str, source: str, *, specialty: str | None = None) -> Item:
    """An item from lettered options and the letter that is right."""
    letters = sorted(options)
    right = {letter for letter in answer.upper() if letter not in _BETWEEN_LETTERS}
    if not right or not right <= options.keys():
        raise row.fault(f"the answer {answer!r} is not one of the options {', '.join(letters)}")
    if len(right) > 1:
        raise _SeveralRight(f"{row.file}, {row.where}: several options are right ({answer}).", mend="Remove such rows, or pass skip_multiple=True.")
    chosen = letters.index(right.pop())
    return row.item(question=question, options=[options[letter] for letter in letters], answer=chosen, source=source, specialty=specialty)


def _lettered(row: _Row, value: Any) -> dict[str, str]:
    """Options by letter, from an object, a list of keys and values, or lines such as ``A xxx``; empty ones are absent."""
    value = parsed_cell(value)
    pairs: list[tuple[str, Any]] = []
    if isinstance(value, str):
        before, *parts = _OPTION.split(value)
        pairs = list(zip(parts[::2], parts[1::2], strict=True)) if not before.strip() else []
    elif isinstance(value, list) and all(isinstance(option, dict) for option in value):
        pairs = [(str(option.get("key")), option.get("value")) for option in value]
    elif isinstance(value, dict):
        pairs = list(value.items())
    letters = {letter for letter, _ in pairs}
    if not pairs or len(letters) < len(pairs) or not letters <= set(ascii_uppercase) or any(isinstance(option, (dict, list)) for _, option in pairs):
        raise row.fault("the options are not a text each for the letters A, B, C and so on")
    return {letter: text for letter, option in pairs if (text := _text(option)) is not None}


def _is_plain_list(options: Any) -> bool:
    """Whether only an index can choose from the options."""
    options = parsed_cell(options)
    return isinstance(options, list) and not any(isinstance(option, dict) for option in options)


def _text(value: Any) -> str | None:
    """A text or a number as text; None for what is empty, NaN (a gap in a table) or neither."""
    if not isinstance(value, (str, int, float)) or (isinstance(value, float) and isnan(value)):
        return None
    return str(value).strip() or None


def _language(text: str) -> Literal["en", "zh"]:
    return "zh" if _CHINESE.search(text) else "en"
