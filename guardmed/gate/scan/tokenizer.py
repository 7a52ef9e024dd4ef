"""Checks that a tokenizer and the model it feeds agree: ids that are unique, in range, and there."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

from guardmed.gate.scan.files import Flaw, shown
from guardmed.gate.scan.weights import Tensor

_EMBEDDINGS = (
    "embed_tokens.weight", "word_embeddings.weight", "wte.weight", "tok_embeddings.weight", "shared.weight", "embed_in.weight", "token_embd.weight",
)  # fmt: skip
_FLOATS = {"F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2"}
_SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id")
_ROWS = "Save model and tokenizer together, after model.resize_token_embeddings(len(tokenizer))."
_IDS = "Save the tokenizer again: tokenizer.save_pretrained(folder)."
Found = Iterator[tuple[str, Flaw]]


def tokenizer_flaws(folder: str, documents: Mapping[str, Any], tensors: Iterable[Tensor]) -> Found:
    """What is wrong between the tokenizer, the configuration and the embedding of one folder.

    Parameters
    ----------
    folder : str
        Put before the names of files.
    documents : mapping
        The values of the folder's JSON files that could be read, by name.
    tensors : iterable of Tensor
        Those of the folder's weights.
    """
    config = documents.get("config.json")
    said = _said(config)
    held = {tensor.shape[0] for tensor in tensors if tensor.name.endswith(_EMBEDDINGS) and len(tensor.shape) == 2 and tensor.dtype in _FLOATS}
    rows = max(held) if held else said
    if held and said is not None and said not in held:
        yield folder + "config.json", Flaw(f"vocab_size is {said}, and the embedding has {max(held)} rows", _ROWS)
    ids: dict[str, int] | None = None
    if "tokenizer.json" in documents:
        try:
            ids = yield from _vocabulary(folder + "tokenizer.json", documents["tokenizer.json"], rows)
        except (KeyError, TypeError, AttributeError, ValueError):
            yield folder + "tokenizer.json", Flaw("holds no vocabulary that could be read", _IDS)
    plain = documents.get("vocab.json")
    if isinstance(plain, dict) and plain and all(type(number) is int for number in plain.values()):
        yield from _numbers(folder + "vocab.json", plain, rows)
    yield from _named(folder + "tokenizer_config.json", documents.get("tokenizer_config.json"), ids, rows)
    for base in ("config.json", "generation_config.json"):
        yield from _special(folder + base, documents.get(base), rows)


def gguf_flaws(values: Mapping[str, Any]) -> Iterator[Flaw]:
    """What is wrong with the tokenizer in a GGUF file's header."""
    size = values.get("tokenizer.ggml.tokens")
    for key, value in values.items():
        # llama.cpp writes the largest number for "there is none".
        if type(size) is not int or not (key.startswith("tokenizer.ggml.") and key.endswith("_token_id")) or value == 0xFFFFFFFF:
            continue
        if type(value) is not int or not 0 <= value < size:
            yield Flaw(f"{shown(key)} is {shown(str(value), 30)}, and there are {size} tokens", _IDS)


def _said(config: object) -> int | None:
    """The vocabulary size in a configuration; of a model of several kinds, its text's."""
    if not isinstance(config, dict):
        return None
    for part in (config, config.get("text_config")):
        if isinstance(part, dict) and type(part.get("vocab_size")) is int:
            return int(part["vocab_size"])
    return None


def _vocabulary(file: str, value: Any, rows: int | None) -> Generator[tuple[str, Flaw], None, dict[str, int]]:
    """Check the vocabulary and the tokens added to it; gives the id of each when done."""
    vocabulary = value["model"]["vocab"]
    ids: dict[str, int] = {piece[0]: number for number, piece in enumerate(vocabulary)} if isinstance(vocabulary, list) else dict(vocabulary)
    if isinstance(vocabulary, list) and len(ids) != len(vocabulary):
        yield file, Flaw("the same token comes twice in the vocabulary", _IDS)
    yield from _numbers(file, ids, rows)
    words = {number: token for token, number in ids.items()}
    added: dict[int, str] = {}
    for token in value.get("added_tokens") or []:
        number, content = token["id"], token["content"]
        if type(number) is not int or number < 0:
            yield file, Flaw(f"the added token {shown(content)} has the id {shown(str(number), 30)}", _IDS)
        elif number in added or words.get(number, content) != content:
            yield file, Flaw(f"the id {number} of the added token {shown(content)} is another's too", _IDS)
        elif ids.get(content, number) != number:
            yield file, Flaw(f"the added token {shown(content)} has the id {number}, and {ids[content]} in the vocabulary", _IDS)
        elif rows is not None and number >= rows:
            yield file, Flaw(f"the added token {shown(content)} has the id {number}, and the embedding has {rows} rows", _ROWS)
        added[number if type(number) is int else -1] = content
        ids.setdefault(content, number)
    return ids


def _numbers(file: str, ids: Mapping[str, Any], rows: int | None) -> Found:
    numbers = list(ids.values())
    if not numbers:
        yield file, Flaw("the vocabulary is empty", _IDS)
        return
    if any(type(number) is not int or number < 0 for number in numbers):
        yield file, Flaw("an id of the vocabulary is no number from 0 on", _IDS)
        return
    if len(set(numbers)) != len(numbers):
        seen: dict[int, str] = {}
        first, second = next((seen[number], token) for token, number in ids.items() if seen.setdefault(number, token) != token)
        yield file, Flaw(f"the tokens {shown(first, 40)} and {shown(second, 40)} have the same id", _IDS)
    if rows is not None and max(numbers) >= rows:
        yield file, Flaw(f"ids run to {max(numbers)}, and the embedding has {rows} rows", _ROWS)


def _named(file: str, config: object, ids: Mapping[str, int] | None, rows: int | None) -> Found:
    """Tokens that the tokenizer's configuration names must be there, under the ids it says."""
    if not isinstance(config, dict):
        return
    known = dict(ids or {})
    decoder = config.get("added_tokens_decoder") or {}
    for number, token in decoder.items() if isinstance(decoder, dict) else []:
        content = token.get("content") if isinstance(token, dict) else None
        if not (number.isascii() and number.isdigit() and len(number) < 10 and isinstance(content, str)):
            yield file, Flaw(f"the added token {shown(number, 30)} is described wrongly", _IDS)
            continue
        if known.setdefault(content, int(number)) != int(number):
            yield file, Flaw(f"the token {shown(content)} has the id {number}, and {known[content]} in tokenizer.json", _IDS)
        if rows is not None and int(number) >= rows:
            yield file, Flaw(f"the token {shown(content)} has the id {number}, and the embedding has {rows} rows", _ROWS)
    for name in ("bos_token", "eos_token") if ids is not None else ():
        token = config.get(name)
        content = token.get("content") if isinstance(token, dict) else token
        if content is not None and (not isinstance(content, str) or content not in known):
            yield file, Flaw(f"the {name} {shown(str(content), 40)} is not in the vocabulary", _IDS)


def _special(file: str, config: object, rows: int | None) -> Found:
    if not isinstance(config, dict):
        return
    for part in (config, config.get("text_config")):
        for name in _SPECIAL if isinstance(part, dict) else ():
            value = part.get(name) if isinstance(part, dict) else None
            for number in value if isinstance(value, list) else [value]:
                if number is None or (name == "pad_token_id" and number == -1):  # the first Llama's way to say "none"
                    continue
                if type(number) is not int or number < 0 or (rows is not None and number >= rows):
                    yield file, Flaw(f"{name} is {shown(str(number), 30)}{'' if rows is None else f', and the embedding has {rows} rows'}", _ROWS)
