"""What a base model lacks for a conversation: a chat template, and words of its own for medicine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from guardmed.align.pairs import PreferencePair
from guardmed.errors import DataError
from guardmed.models.prompting import PLAIN_TEMPLATE, as_messages, lead, render, signed

# Terms that would become more tokens than a medical vocabulary has are a mistake of the file.
_MOST_TERMS = 50_000


def give_template(tokenizer: Any) -> None:
    """Give a tokenizer without a chat template the plain one, which renders what the model read before."""
    if not tokenizer.chat_template:
        tokenizer.chat_template = PLAIN_TEMPLATE


def ending(tokenizer: Any) -> str:
    """What closes an answer in the template of a tokenizer: its end-of-turn token, or the end of the text."""
    turn = [*as_messages("?"), {"role": "assistant", "content": "!"}]
    whole: str = tokenizer.apply_chat_template(turn, tokenize=False) if tokenizer.chat_template else ""
    before, found, after = whole.rpartition("!")
    closing = after.strip() if found and before else ""
    return closing or str(tokenizer.eos_token)


def rendered(row: PreferencePair, tokenizer: Any) -> tuple[str, str]:
    """A row's prompt as generation will see it, its hint included, and what comes before the answer."""
    text = render(row.prompt, tokenizer)
    return signed(text, row.hint), lead(text)


def prompt_ids(row: PreferencePair, tokenizer: Any) -> list[int]:
    """Tokens of a row's prompt, as generation will see them."""
    ids: list[int] = tokenizer(rendered(row, tokenizer)[0], add_special_tokens=True)["input_ids"]
    return ids


def read_terms(path: Path) -> list[str]:
    """New words for a vocabulary, one a line, each once.

    Raises
    ------
    DataError
        The file can't be read, or holds none or too many.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read: {error}.", mend="Name a UTF-8 file with one term a line.") from None
    terms = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not 0 < len(terms) <= _MOST_TERMS:
        raise DataError(f"{path} holds {len(terms):,} terms.", mend=f"Give 1 to {_MOST_TERMS:,}, one a line.")
    return terms


def add_terms(model: Any, tokenizer: Any, terms: list[str]) -> int:
    """Extend a vocabulary; each new row is the mean of the rows of the pieces that the term was made of until now.

    The embeddings of a model that was extended are trained with its adapters.

    Returns
    -------
    int
        How many terms were new.
    """
    import torch

    known = tokenizer.get_vocab()
    new = [term for term in terms if term not in known]
    pieces = [tokenizer(term, add_special_tokens=False)["input_ids"] for term in new]
    new, pieces = [term for term, ids in zip(new, pieces, strict=True) if ids], [ids for ids in pieces if ids]
    tokenizer.add_tokens(new)
    ids = tokenizer.convert_tokens_to_ids(new)
    model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings), mean_resizing=False)
    tables = {table.weight.data_ptr(): table for table in (model.get_input_embeddings(), model.get_output_embeddings()) if table is not None}
    with torch.no_grad():
        for table in tables.values():
            for token, parts in zip(ids, pieces, strict=True):
                table.weight[token] = table.weight[parts].mean(dim=0)
    return len(new)
