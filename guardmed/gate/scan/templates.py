"""Reads chat templates as syntax and renders none: what they may name, call and filter is a list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from guardmed.gate.scan.files import Flaw, shown

MAX_TEMPLATE = 1 << 18
_MAX_NUMBER = 1_000_000
_FUNCTIONS = {"raise_exception", "strftime_now", "namespace", "range", "caller"}
# Not `format`, which reaches attributes by text, nor `append` and its like: transformers renders
# in an immutable sandbox, which refuses them, so that a template with them never works.
_METHODS = {
    "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "partition", "rpartition", "startswith", "endswith", "removeprefix", "removesuffix",
    "items", "keys", "values", "get", "replace", "upper", "lower", "title", "capitalize", "join", "find", "rfind", "count", "index",
    "isdigit", "isspace", "isalpha", "isalnum", "isupper", "islower",
}  # fmt: skip
_FILTERS = {
    "trim", "tojson", "length", "count", "default", "d", "join", "upper", "lower", "title", "capitalize", "replace", "first", "last", "string", "items",
    "list", "int", "float", "round", "abs", "min", "max", "sum", "sort", "unique", "reverse", "dictsort", "indent", "safe", "escape", "e",
    "select", "reject", "selectattr", "rejectattr", "map", "groupby", "batch", "slice",
}  # fmt: skip
_TESTS = {
    "defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "integer", "float", "boolean", "true", "false", "in",
    "odd", "even", "divisibleby", "upper", "lower", "sameas", "eq", "equalto", "==", "ne", "!=", "gt", "greaterthan", ">", "ge", ">=",
    "lt", "lessthan", "<", "le", "<=",
}  # fmt: skip
_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Assign, nodes.AssignBlock, nodes.Macro, nodes.CallBlock, nodes.FilterBlock,
    nodes.With, nodes.Scope, nodes.Break, nodes.Continue, nodes.ExprStmt, nodes.Name, nodes.NSRef, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict,
    nodes.Pair, nodes.Keyword, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.Getitem, nodes.Getattr, nodes.Slice, nodes.Concat,
    nodes.Compare, nodes.Operand, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Add, nodes.Sub, nodes.Mod, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos,
)  # fmt: skip
_INTERNAL_NAMES = {"self", "lipsum", "cycler", "joiner", "dict", "context", "environment"}
_INTERNAL = re.compile(
    r"^_|__|^mro$|^(?:func|im|gi|cr|ag|co|f|tb)_(?:globals|locals|builtins|code|closure|frame|func|self|class|back|name|consts|names|filename|running|await|yieldfrom)$"
)
_MEND = "Write it with the filters, methods and functions that docs of chat templates name, or remove it."


class _Generation(Extension):
    """Transformers' own ``{% generation %}``, which marks the words of an assistant and nothing more."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own declaration

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Read the block as what stands in it."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def templates_in(value: object) -> Iterator[tuple[str, str]]:
    """Names and texts of the chat templates in a configuration: a text, a list of named ones, or an object of them.

    Whatever is none of these has no text, and comes with the name ``?``.
    """
    if value is None:
        return
    if isinstance(value, str):
        yield "", value
    elif isinstance(value, dict):
        yield from ((name, text) if isinstance(text, str) else ("?", "") for name, text in value.items())
    elif isinstance(value, list):
        for entry in value:
            good = isinstance(entry, dict) and isinstance(entry.get("name"), str) and isinstance(entry.get("template"), str)
            yield (entry["name"], entry["template"]) if good else ("?", entry.get("template", "") if isinstance(entry, dict) else "")
    else:
        yield "?", ""


def configured(value: object) -> Iterator[Flaw]:
    """What is wrong with the chat templates of a configuration."""
    names: set[str] = set()
    for name, text in templates_in(value):
        if name == "?":
            yield Flaw("a chat template is neither a text nor a named text", _MEND)
        elif name in names:
            yield Flaw(f"the chat template {shown(name, 40)} comes twice", "Keep one of the two.")
        names.add(name)
        if isinstance(text, str):
            yield from template_flaws(text)


def template_flaws(text: str) -> Iterator[Flaw]:
    """What is wrong with one template; at most one flaw, which says the first three things."""
    if len(text) > MAX_TEMPLATE:
        yield Flaw(f"the chat template is longer than {MAX_TEMPLATE >> 10} KB", _MEND)
        return
    try:
        tree = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols", _Generation]).parse(text)
        told = list(dict.fromkeys(_told(tree)))
    except TemplateError as error:
        yield Flaw(f"the chat template is no template: {shown(str(error))}", "Mend its syntax.")
        return
    except (RecursionError, MemoryError, ValueError, OverflowError):
        yield Flaw("the chat template can't be read: it nests too deeply or holds absurd numbers", _MEND)
        return
    if told:
        yield Flaw(f"the chat template {'; '.join(told[:3])}", _MEND)


def _told(tree: nodes.Template) -> Iterator[str]:
    every = list(tree.find_all(nodes.Node))
    macros = {node.name for node in every if isinstance(node, nodes.Macro)}
    stored = {node.name for node in every if isinstance(node, nodes.Name) and node.ctx != "load"}
    # A name that is also assigned may hold anything by the time it is called.
    callable_names = (_FUNCTIONS | macros) - stored
    for node in every:
        if not isinstance(node, _NODES):
            yield f"uses {type(node).__name__.lower()}, which no chat template needs"
        elif isinstance(node, nodes.Name):
            if "__" in node.name or node.name in _INTERNAL_NAMES:
                yield f"reaches for Python internals ({shown(node.name, 40)})"
        elif isinstance(node, nodes.Getattr | nodes.NSRef):
            if _INTERNAL.search(node.attr):
                yield f"reaches for Python internals ({shown(node.attr, 40)})"
        elif isinstance(node, nodes.Const):
            yield from _constant(node.value)
        elif isinstance(node, nodes.Getitem):
            yield from _item(node)
        elif isinstance(node, nodes.Call):
            yield from _call(node, callable_names)
        elif isinstance(node, nodes.Filter):
            yield from _filter(node)
        elif isinstance(node, nodes.Test) and node.name not in _TESTS:
            yield f"uses the test {shown(node.name, 40)}"
        elif isinstance(node, nodes.Mod) and isinstance(node.left, nodes.Const) and isinstance(node.left.value, str):
            yield "formats text with %"


def _constant(value: Any) -> Iterator[str]:
    if isinstance(value, str) and "__" in value:
        yield f"reaches for Python internals ({shown(value, 40)})"
    elif isinstance(value, int | float) and not -_MAX_NUMBER <= value <= _MAX_NUMBER:
        yield "holds an absurd number"


def _item(node: nodes.Getitem) -> Iterator[str]:
    """An index that puts text together can spell what no constant shows."""
    if isinstance(node.arg, nodes.Const):
        if isinstance(node.arg.value, str) and node.arg.value.startswith("_"):
            yield f"reaches for Python internals ({shown(node.arg.value, 40)})"
        return
    built = [node.arg, *node.arg.find_all(nodes.Node)]
    sums = [part for part in built if isinstance(part, nodes.Add | nodes.Mul | nodes.Mod)]
    if any(isinstance(part, nodes.Concat | nodes.Filter) and getattr(part, "name", "") not in ("length", "count", "int") for part in built) or any(
        isinstance(side, nodes.Const) and isinstance(side.value, str) for part in sums for side in (part.left, part.right)
    ):
        yield "puts the name of an item together from text"


def _call(node: nodes.Call, names: set[str]) -> Iterator[str]:
    callee = node.node
    if isinstance(callee, nodes.Name):
        if callee.name not in names:
            yield f"calls {shown(callee.name, 40)}"
    elif isinstance(callee, nodes.Getattr):
        if callee.attr not in _METHODS:
            yield f"calls the method {shown(callee.attr, 40)}"
    else:
        yield "calls what it computes"
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        yield "calls with unpacked arguments"


def _filter(node: nodes.Filter) -> Iterator[str]:
    if node.name not in _FILTERS:
        yield f"uses the filter {shown(node.name, 40)}"
        return
    if node.name not in ("map", "select", "reject", "selectattr", "rejectattr"):
        return
    # These take the name of a filter, a test or an attribute as a text.
    names = [argument.value if isinstance(argument, nodes.Const) else None for argument in node.args]
    allowed = _FILTERS - {"map", "select", "reject", "selectattr", "rejectattr"} if node.name == "map" else _TESTS
    at = 1 if node.name.endswith("attr") else 0
    if (len(names) > at and names[at] not in allowed) or node.dyn_args is not None or node.dyn_kwargs is not None:
        yield f"uses {node.name} with {shown(str(names[at]), 40) if len(names) > at else 'unpacked arguments'}"
    chosen = [*(names[:1] if at else []), *(key.value.value if isinstance(key.value, nodes.Const) else None for key in node.kwargs if key.key == "attribute")]
    if any(name is None or (isinstance(name, str) and any(_INTERNAL.search(part) for part in name.split("."))) for name in chosen):
        yield "chooses an attribute that is internal or not written out"
