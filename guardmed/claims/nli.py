"""Whether one text entails or contradicts another, by a cross-encoder trained for natural language inference.

SelfCheck-NLI of Manakul, Liusie and Gales, "SelfCheckGPT" (EMNLP 2023) on top of it. The model sees meaning
where words differ, in the languages it was trained in; which of its outputs means what is read from its
configuration and never guessed.
"""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardmed.errors import ExecutionError, ModelError, UsageError
from guardmed.models.base import SERVER

ENTAILMENT, NEUTRAL, CONTRADICTION = 0, 1, 2
"""Columns of what :meth:`Nli.pairs` gives."""

_NOT_ENTAILMENT = 3
_LABELS = {
    "entailment": ENTAILMENT, "entail": ENTAILMENT, "entails": ENTAILMENT, "entailed": ENTAILMENT, "蕴含": ENTAILMENT, "蕴涵": ENTAILMENT,
    "neutral": NEUTRAL, "中立": NEUTRAL, "中性": NEUTRAL,
    "contradiction": CONTRADICTION, "contradict": CONTRADICTION, "contradicts": CONTRADICTION, "contradictory": CONTRADICTION, "矛盾": CONTRADICTION,
    "not_entailment": _NOT_ENTAILMENT, "non_entailment": _NOT_ENTAILMENT, "not_entailed": _NOT_ENTAILMENT, "notentailment": _NOT_ENTAILMENT,
    "不蕴含": _NOT_ENTAILMENT, "非蕴含": _NOT_ENTAILMENT,
}  # fmt: skip
# Tokens in one forward pass, padding counted; pairs tokenised at once; the least a window may hold.
_BATCH_TOKENS = 8192
_CHUNK = 2048
_LEAST_WINDOW = 16
# Where neither model nor tokenizer knows a limit, and what tokenizers say where they know none.
_USUAL_LIMIT, _NO_LIMIT = 512, 1_000_000
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Nli:
    """A cross-encoder for natural language inference and its tokenizer.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With a head for sequence classification whose labels are named in ``config.id2label``:
        entailment, neutral and contradiction, or entailment and not_entailment, in any order.
    tokenizer : transformers.PreTrainedTokenizerBase
        A fast one.
    name : str
        What reports call it.
    window : int, optional
        Tokens that premise and hypothesis may have together, at most what the model can read, which
        is the default.
    fingerprint : str, optional
        Digest of the files it came from; computed from memory when missing.

    Raises
    ------
    ModelError
        The labels do not say which output is which, or the tokenizer is not a fast one.
    UsageError
        ``window`` is too small.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str, window: int | None = None, fingerprint: str | None = None) -> None:
        self._order = _columns(model.config.id2label, name)
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"{name} has no fast tokenizer (tokenizer.json), which long premises need.", mend="Save it again with a fast tokenizer.")
        limit = _limit(model, tokenizer)
        if window is not None and window < _LEAST_WINDOW:
            raise UsageError(f"window={window} tokens leave no room for a premise.", mend=f"Use at least {_LEAST_WINDOW}.")
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.window = min(limit, window or limit)
        self._fingerprint = fingerprint
        takes = inspect.signature(model.forward).parameters
        self._types = "token_type_ids" in takes and "token_type_ids" in tokenizer.model_input_names
        # A head that reads the last token that is no padding can't tell it without a padding token.
        self._together = model.config.pad_token_id is not None and tokenizer.pad_token_id is not None
        # Cutting is a setting of the tokenizer itself, so that two threads would undo each other's.
        self._lock = threading.Lock()

    @property
    def contradicts(self) -> bool:
        """Whether it tells contradictions from what merely does not follow."""
        return len(self._order) == 3

    @property
    def fingerprint(self) -> str:
        """Digest of weights and tokenizer."""
        if self._fingerprint is None:
            from guardmed.models.fingerprint import fingerprint_in_memory

            self._fingerprint = fingerprint_in_memory(self.model, self.tokenizer)
        return self._fingerprint

    def pairs(self, premises: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of entailment, neutrality and contradiction of each hypothesis by its premise.

        The same pair is read once. A premise beyond the window is cut into windows that overlap by an
        eighth, each with the whole hypothesis: entailment and contradiction are the largest of any
        window, neutrality the smallest (only what no window decides is undecided), and the three are
        made to sum to 1 again. Words that look like the model's special tokens are read as words.

        Parameters
        ----------
        premises, hypotheses : sequences of str, equally long

        Returns
        -------
        float64 array of shape (pairs, 3)
            Columns :data:`ENTAILMENT`, :data:`NEUTRAL`, :data:`CONTRADICTION`; rows sum to 1. A model
            of two classes has what is not entailed in the neutral column and 0 in the last. NaN for a
            pair that is too long, where the hypothesis alone takes more than half a window.

        Raises
        ------
        UsageError
            Not as many hypotheses as premises.
        ExecutionError
            The device is out of memory, or the model gives no numbers.
        """
        if len(premises) != len(hypotheses):
            raise UsageError(f"{len(premises)} premises but {len(hypotheses)} hypotheses.", mend="Give one for each.")
        given = [(_readable(premise), _readable(hypothesis)) for premise, hypothesis in zip(premises, hypotheses, strict=True)]
        place = {pair: index for index, pair in enumerate(dict.fromkeys(given))}
        distinct = list(place)
        found = [self._judged(distinct[at : at + _CHUNK]) for at in range(0, len(distinct), _CHUNK)]
        return np.concatenate(found)[[place[pair] for pair in given]] if found else np.zeros((0, 3))

    def _judged(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        rows, owners = self._windows(pairs)
        probabilities = self._probabilities(rows)
        out, undecided = np.full((len(pairs), 3), np.nan), np.full(len(pairs), np.nan)
        # What is NaN has had no window yet.
        np.fmax.at(out, np.array(owners, dtype=np.intp), probabilities)
        np.fmin.at(undecided, np.array(owners, dtype=np.intp), probabilities[:, NEUTRAL])
        out[:, NEUTRAL] = undecided
        whole: NDArray[np.float64] = out / out.sum(axis=1, keepdims=True)
        return whole

    def _windows(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[dict[str, list[int]]], list[int]]:
        """Token ids of each window, and the pair it belongs to."""
        with self._lock:
            whole = self._encoded(pairs)
            lengths = [len(ids) for ids in whole["input_ids"]]
            long = [at for at, length in enumerate(lengths) if length > self.window]
            alone = self.tokenizer([pairs[at][1] for at in long], add_special_tokens=False, split_special_tokens=True, verbose=False) if long else None
            long = [at for at, ids in zip(long, alone["input_ids"], strict=True) if len(ids) <= self.window // 2] if alone is not None else []
            more = {"truncation": "only_first", "max_length": self.window, "stride": self.window // 8, "return_overflowing_tokens": True}
            cut = self._encoded([pairs[at] for at in long], **more) if long else {"input_ids": [], "overflow_to_sample_mapping": []}
        rows, owners = [], []
        for encoded, of in ((whole, range(len(pairs))), (cut, [long[at] for at in cut["overflow_to_sample_mapping"]])):
            for at, owner in enumerate(of):
                if len(encoded["input_ids"][at]) <= self.window:
                    rows.append({key: encoded[key][at] for key in ("input_ids", "token_type_ids") if key in encoded})
                    owners.append(owner)
        return rows, owners

    def _encoded(self, pairs: Sequence[tuple[str, str]], **more: Any) -> Any:
        return self.tokenizer(
            [premise for premise, _ in pairs],
            [hypothesis for _, hypothesis in pairs],
            split_special_tokens=True,
            return_token_type_ids=self._types,
            return_attention_mask=False,
            verbose=False,
            **more,
        )

    def _probabilities(self, rows: Sequence[Mapping[str, list[int]]]) -> NDArray[np.float64]:
        """Shape (rows, 3); the longest rows first, so that what does not fit into memory fails at once."""
        import torch

        out = np.zeros((len(rows), 3))
        order = sorted(range(len(rows)), key=lambda at: -len(rows[at]["input_ids"]))
        at = 0
        try:
            with torch.inference_mode():
                while at < len(order):
                    size = max(1, _BATCH_TOKENS // len(rows[order[at]]["input_ids"])) if self._together else 1
                    batch = order[at : at + size]
                    logits = self.model(**self._padded([rows[index] for index in batch])).logits
                    out[batch, : len(self._order)] = torch.softmax(logits.float().cpu().double(), dim=-1).numpy()[:, self._order]
                    at += size
        except torch.OutOfMemoryError:
            raise ExecutionError(f"{self.name} ran out of device memory.", mend="Use a smaller window.") from None
        if not np.isfinite(out).all():
            raise ExecutionError(f"{self.name} gives no numbers (NaN).", mend="Its weights may be damaged, or too large for this device's number format.")
        return out

    def _padded(self, rows: Sequence[Mapping[str, list[int]]]) -> dict[str, Any]:
        import torch

        width = max(len(row["input_ids"]) for row in rows)
        fill = {"input_ids": self.tokenizer.pad_token_id or 0, "token_type_ids": self.tokenizer.pad_token_type_id, "attention_mask": 0}
        out = {key: torch.full((len(rows), width), fill[key], dtype=torch.long) for key in (*rows[0], "attention_mask")}
        for at, row in enumerate(rows):
            length = len(row["input_ids"])
            where = slice(width - length, width) if self.tokenizer.padding_side == "left" else slice(0, length)
            for key, ids in row.items():
                out[key][at, where] = torch.tensor(ids)
            out["attention_mask"][at, where] = 1
        return {key: tensor.to(self.model.device) for key, tensor in out.items()}


def load_nli(spec: str, *, window: int | None = None) -> Nli:
    """Load an NLI model by folder or hub id; safetensors only, and no code that comes with it is run.

    Parameters
    ----------
    spec : str
        A folder that transformers saved, or a hub id such as ``org/name``.
    window : int, optional
        As of :class:`Nli`.

    Raises
    ------
    ModelError
        There is no such model, its weights are a pickle or damaged, its head was never trained, or
        its labels do not say which output is which.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from guardmed.models.device import probe
    from guardmed.models.fingerprint import fingerprint_folder
    from guardmed.models.load import reading_errors, resolve
    from guardmed.models.quiet import quiet

    if spec == "reference" or spec.startswith(SERVER) or spec.endswith(".gguf"):
        raise ModelError(f"{spec} is no NLI model.", mend="Name the folder or the hub id of a model for natural language inference.")
    folder = resolve(spec)
    placement = probe()
    # Encoders were mostly trained without a thought of float16's range, and overflow in it.
    dtype = "float32" if placement.dtype == "float16" else placement.dtype
    source = str(folder) if folder else spec
    with quiet(), reading_errors(spec):
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            source, dtype=dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
        missing = sorted(loading["missing_keys"])
        if missing:
            raise ModelError(
                f"{spec} lacks the weights of {missing[0]} and {len(missing) - 1} more.",
                mend="Its head was never trained to tell entailment, or its files are incomplete.",
            )
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        if folder is None:
            from huggingface_hub import snapshot_download

            folder = Path(snapshot_download(spec, local_files_only=True))
    return Nli(model.to(placement.device), tokenizer, name=spec, window=window, fingerprint=fingerprint_folder(folder))


def nli_votes(claims: Sequence[str], samples: Sequence[str], nli: Nli, question: str = "") -> NDArray[np.float64]:
    """How far each sample speaks for each claim, in 0 to 1.

    P(entailment) / (P(entailment) + P(contradiction)), with the sample as premise: neutrality is left
    out, as in SelfCheck-NLI, so that a sample that does not speak of a claim still gives a vote, of
    little worth. A model of two classes gives P(entailment) itself.

    Parameters
    ----------
    claims, samples : sequences of str
    nli : Nli
    question : str
        Put before each sample, so that it is read as an answer to it. A question that takes the
        claim for granted then speaks for it too.

    Returns
    -------
    float64 array of shape (claims, samples)
        NaN where either is blank, or the pair is too long to be read.
    """
    votes = np.full((len(claims), len(samples)), np.nan)
    asked = [(row, column) for row, claim in enumerate(claims) if claim.strip() for column, sample in enumerate(samples) if sample.strip()]
    found = nli.pairs([f"{question} {samples[column]}".strip() for _, column in asked], [claims[row] for row, _ in asked])
    for (row, column), (entails, _, contradicts) in zip(asked, found, strict=True):
        told = entails + contradicts
        votes[row, column] = entails if not nli.contradicts else entails / told if told > 0 else 0.5 if told == 0 else np.nan
    return votes


def nli_score(claims: Sequence[str], samples: Sequence[str], nli: Nli, question: str = "") -> list[float | None]:
    """SelfCheck-NLI of each claim, in 0 to 1, higher where samples support it.

    The mean of :func:`nli_votes` over samples: 1 less the score of Manakul et al. (2023), who take
    P(contradiction) / (P(entailment) + P(contradiction)). ``None`` for a claim without a vote.
    """
    votes = nli_votes(claims, samples, nli, question)
    told = [row[np.isfinite(row)] for row in votes]
    return [float(row.mean()) if len(row) else None for row in told]


def _columns(id2label: Mapping[int, str], name: str) -> list[int]:
    """Which output is entailment, neutral and contradiction, or entailment and its absence."""
    labels = {int(index): str(label) for index, label in id2label.items()}
    meanings = {index: _LABELS.get(re.sub(r"[\s_-]+", "_", label.strip().casefold())) for index, label in labels.items()}
    where = {meaning: index for index, meaning in meanings.items()}
    for wanted in ((ENTAILMENT, NEUTRAL, CONTRADICTION), (ENTAILMENT, _NOT_ENTAILMENT)):
        if len(labels) == len(wanted) and set(where) == set(wanted):
            return [where[meaning] for meaning in wanted]
    said = ", ".join(label for _, label in sorted(labels.items())[:5]) + (", ..." if len(labels) > 5 else "")
    raise ModelError(
        f"The labels of {name} ({said}) do not say which output is entailment, neutral and contradiction.",
        mend="Set id2label in its config.json to these three words, or to entailment and not_entailment, in the order in which it was trained.",
    )


def _limit(model: Any, tokenizer: Any) -> int:
    """Tokens the model can read at once."""
    limits = [getattr(tokenizer, "model_max_length", None), getattr(model.config, "max_position_embeddings", None)]
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings"):
            # RoBERTa and its kin count positions from behind the padding token's id.
            padding = getattr(module, "padding_idx", None)
            limits.append(module.num_embeddings - (0 if padding is None else padding + 1))
    return min((int(limit) for limit in limits if isinstance(limit, (int, float)) and 0 < limit < _NO_LIMIT), default=_USUAL_LIMIT)


def _readable(text: str) -> str:
    """A text without halves of characters, which no tokenizer takes."""
    return _LONE_SURROGATE.sub("\ufffd", text)
