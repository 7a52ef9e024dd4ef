"""Reading and writing records: JSONL, CSV and Parquet, with errors that name the line.

A record is a flat JSON object. What a command takes is a pydantic model; what it gives is one
output record for each input, in the input's order, under the input's ``id``.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from guardmed.errors import DataError, ExecutionError
from guardmed.files import atomic_write, read_json

_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
FORMATS = (".jsonl", ".csv", ".parquet")


class Frozen(BaseModel):
    """Base of what GuardMed writes or configures: immutable, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# An id comes back as it came in: a truth value or NaN would not.
Id = StrictStr | StrictInt | Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Record(BaseModel):
    """Base of an input record: immutable, extra columns are let through unread."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Id


R = TypeVar("R", bound=BaseModel)


def read_records(path: str | Path, model: type[R]) -> list[R]:
    """Read and validate every record of a file, or of standard input for ``-``.

    Parameters
    ----------
    path : str or Path
        ``.jsonl``, ``.csv``, ``.parquet`` by suffix; ``-`` is JSONL on standard input.
    model : type of Record
        What a row must hold.

    Raises
    ------
    DataError
        The file is missing, of an unknown kind, empty, not UTF-8, or a row does not fit; the
        message names the line and the column.
    """
    records: list[R] = []
    for line, row in raw_rows(path):
        problem: ValidationError | None = None
        for reading in _readings(row) if _suffix(path) != ".jsonl" else [row]:
            try:
                records.append(model.model_validate(reading))
                break
            except ValidationError as error:
                problem = problem or error
        else:
            assert problem is not None  # every reading failed
            raise DataError(f"{path}, line {line}: {describe(problem)}.", mend=f"A record needs {_needs(model)}.")
    if not records:
        raise DataError(f"{path} holds no records.", mend="Write one JSON object a line, or check the path.")
    return records


def write_records(path: str | Path, rows: Iterable[BaseModel | dict[str, Any]]) -> None:
    """Write rows atomically to a file of the format its suffix names, or JSONL to ``-``."""
    plain: Iterator[dict[str, Any]] = (row.model_dump(mode="json") if isinstance(row, BaseModel) else row for row in rows)
    suffix = _suffix(path)
    if str(path) == "-":
        for row in plain:
            sys.stdout.write(_line(row))
        return
    if suffix == ".jsonl":
        with atomic_write(Path(path)) as file:
            for row in plain:
                file.write(_line(row))
    elif suffix == ".csv":
        with atomic_write(Path(path)) as file:
            _write_csv(file, list(plain))
    else:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.Table.from_pylist(_columns(list(plain)))
        with atomic_write(Path(path), binary=True) as file:
            pyarrow.parquet.write_table(table, file)


def describe(error: ValidationError) -> str:
    """The first problem of a validation error, in words, with the place."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place}: {message}{more}" if place else f"{message}{more}"


def read_document(path: Path, model: type[R], *, kind: str, what: str, mend: str) -> R:
    """Read a JSON document that GuardMed wrote, by the kind it names.

    Parameters
    ----------
    path : Path
    model : type of pydantic model
    kind : str
        What its field ``kind`` must hold.
    what, mend : str
        What it should have been, and how to come by one, for errors.

    Raises
    ------
    DataError
        It is missing, of another kind, or does not fit.
    """
    found = read_json(path)
    if not isinstance(found, dict) or found.get("kind") != kind:
        raise DataError(f"{path} is not {what}.", mend=mend)
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise DataError(f"{path}: {describe(error)}.", mend="Was it changed by hand, or written by a newer GuardMed?") from None


def raw_rows(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and fields of every row of a file, as they stand."""
    if str(path) == "-":
        yield from jsonl_rows("standard input", sys.stdin.buffer.read())
        return
    suffix = _suffix(path)
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.", mend="Check the path.") from None
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.", mend="Check the path and its permissions.") from None
    if suffix == ".jsonl":
        yield from jsonl_rows(str(path), data)
    elif suffix == ".csv":
        rows = csv.DictReader(io.StringIO(decoded(str(path), data), newline=""))
        try:
            for row in rows:
                yield rows.line_num, {name: value for name, value in row.items() if name is not None}
        except csv.Error as error:
            raise DataError(f"{path}, line {rows.line_num}: {error}.", mend="Mend that line, or use JSONL for texts this long.") from None
    else:
        yield from _parquet_rows(path, data)


def jsonl_rows(name: str, data: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects of JSON Lines; ``name`` is for messages."""
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            row = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(f"{name}, line {number}: not UTF-8 (byte {error.start} of the line).", mend="Save the file as UTF-8.") from None
        except json.JSONDecodeError as error:
            raise DataError(f"{name}, line {number}: not JSON ({error.msg} at column {error.colno}).", mend="Mend or remove that line.") from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name}, line {number}: not a record ({type(error).__name__}).", mend="Mend or remove that line.") from None
        if _LONE_SURROGATE.search(raw) and not _encodable(row):
            raise DataError(f"{name}, line {number}: half of a character (a lone surrogate).", mend="Write the text again from its source.")
        if not isinstance(row, dict):
            raise DataError(f"{name}, line {number}: a {type(row).__name__}, not an object.", mend='Write {"id": ..., ...} on each line.')
        yield number, row


def _parquet_rows(path: str | Path, data: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(data))
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is not a Parquet file: {str(error).splitlines()[0]}", mend="Write it again.") from None
    yield from enumerate(table.to_pylist(), start=1)


def decoded(name: str, data: bytes) -> str:
    """Text of UTF-8 bytes; ``name`` is for messages."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{name}, line {line}: not UTF-8 (byte {error.start}).", mend="Save the file as UTF-8.") from None


def _encodable(row: Any) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _readings(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a row of cells may mean: JSON in its cells, plain text, empty texts; empty cells are absent first."""
    present = {name: value for name, value in row.items() if value not in (None, "")}
    yield {name: parsed_cell(value) for name, value in present.items()}
    yield present
    yield {name: value for name, value in row.items() if value is not None}


def _columns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with every column of any row; a column of mixed kinds becomes text, as its reader can't tell."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    flat = [_flat(row) for row in rows]
    mixed = {name for name in names if len({type(row[name]) for row in flat if row.get(name) is not None} - {float}) > 1}
    return [{name: str(value) if name in mixed and (value := row.get(name)) is not None else row.get(name) for name in names} for row in flat]


def parsed_cell(value: Any) -> Any:
    """Lists and objects travel through CSV as JSON."""
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value for name, value in row.items()}


def _write_csv(file: Any, rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    # Everything is quoted: the writer leaves a bare carriage return open otherwise.
    writer = csv.DictWriter(file, fieldnames=names, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(_flat(row) for row in rows)


def _line(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError:
        raise ExecutionError(f"The result for record {row.get('id')!r} holds a number that is not finite.", mend="Please report this.") from None


def _suffix(path: str | Path) -> str:
    suffix = ".jsonl" if str(path) == "-" else Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"{path}: {suffix or 'no suffix'} is not a records format.", mend=f"Use {', '.join(FORMATS)}, or - for JSONL.")
    return suffix


def _needs(model: type[BaseModel]) -> str:
    return ", ".join(f"{name}{'' if field.is_required() else ' (optional)'}" for name, field in model.model_fields.items())
