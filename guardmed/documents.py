"""Reads the YAML that clinicians and engineers write, strictly, with errors that name the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from guardmed.errors import DataError, GuardMedError
from guardmed.records import describe

M = TypeVar("M", bound=BaseModel)


def read_yaml(path: Path, model: type[M], *, error: type[GuardMedError] = DataError) -> M:
    """Read a YAML file into a pydantic model.

    Raises
    ------
    GuardMedError
        Of the given kind, naming the file and the line of bad YAML, or the rule and field that does not fit.
    """
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise error(f"{path} does not exist.", mend="Check the path.") from None
    except UnicodeDecodeError as problem:
        raise error(f"{path} is not UTF-8 (byte {problem.start}).", mend="Save it as UTF-8.") from None
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else "?"
        raise error(f"{path}, line {line}: {problem.problem}.", mend="Mend the YAML there.") from None
    except yaml.YAMLError as problem:
        raise error(f"{path}: {problem}.", mend="Mend the YAML.") from None
    except ValueError as problem:  # sound YAML that holds a day such as 2026-02-30
        place = _place(path.read_text(encoding="utf-8"))
        raise error(f"{path}{place}: {problem}.", mend="Write a value that exists, such as 2026-11-01 for a day, or put it into quotes.") from None
    try:
        return model.model_validate(value)
    except ValidationError as problem:
        raise error(f"{path}: {_named(value, problem)}{describe(problem)}.", mend="Mend that field.") from None


def _named(value: Any, error: ValidationError) -> str:
    """The id of the rule, drug or vignette a validation error is about, if it is about one."""
    here = value
    name = ""
    for part in error.errors(include_url=False)[0]["loc"]:
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(here, dict) and isinstance(here.get("id"), str):
            name = f"{here['id']}: "
    return name


def _place(text: str) -> str:
    """The line of the first value that looks like a day or a number and is none."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):  # type: ignore[no-untyped-call, unused-ignore]
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0]:  # without quotes
            try:
                yaml.safe_load(event.value)
            except ValueError:
                return f", line {event.start_mark.line + 1}: {event.value}" if event.start_mark else ""
    return ""


class _StrictLoader(yaml.CSafeLoader):  # type: ignore[misc, unused-ignore]
    """Safe YAML that refuses duplicate keys: the later one would silently win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call, unused-ignore]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.value[index][0].start_mark)
        return super().construct_mapping(node, deep)  # type: ignore[no-any-return, no-untyped-call, unused-ignore]
