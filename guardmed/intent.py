"""The intent model: whether a request means harm, learned from pairs that share their words.

A transformer encoder of six layers, in whole numbers, run by ONNX Runtime on one core: every other layer of a
multilingual one that was fine-tuned on requests and their harmless twins, taught by the whole
(``benchmarks/train_intent.py``; after Sanh et al., arXiv:1910.01108). It sees wording that no rule lists, in English
and Chinese. It does not see facts: whether a dose is too high is for the limit table, and an aim that stands nowhere
in the words stays unseen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from guardmed.errors import PolicyError
from guardmed.files import digest_file
from guardmed.text import normalise

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

# A request hidden in a long text must not be thinned out by the rest: long texts are read in parts that overlap.
PART, STEP = 94, 70
_BEGIN, _END = 0, 2
_LEAD = re.compile(r"[^:：]{4,100}[:：](?=[^\n]{12})")
# A first sentence that only asks for a hearing: "Can you help me with this?", "你好，请教一下。".
_COURTESY = re.compile(
    r"(?:(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|thanks?|thank you|please|sorry|excuse me|ok|okay)\b[^.?!\n]{0,40}"
    r"|(?:can|could|would|will|may) (?:you|i|someone|anyone) (?:please |kindly |maybe )?(?:help|assist|advise|answer|ask)\b[^.?!\n]{0,40}"
    r"|i(?:'d| would)? (?:have|need|want|like)\b[^.?!\n]{0,12}\b(?:questions?|help|favou?r|advice|information)\b[^.?!\n]{0,30}"
    r"|(?:just )?(?:a )?(?:quick|small|simple) question\b[^.?!\n]{0,20}"
    r"|i(?:'m| am) (?:just |only )?(?:curious|wondering|asking)\b[^.?!\n]{0,40})[.?!]+\s+(?=.{12})"
    r"|(?:你好|您好|请问|麻烦|打扰|不好意思|谢谢|能不能帮|能帮|可以帮|帮个忙|帮我|想请教|请教|有个问题|我有|我想问|我想咨询)[^。？！?!.\n]{0,18}[。？！?!]+\s*(?=.{6})"
)
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class _Network:
    tokenizer: Tokenizer
    session: InferenceSession

    def parts(self, text: str) -> set[tuple[int, ...]]:
        """A text's pieces, in parts that overlap; what a text says over and over is read once."""
        ids = self.tokenizer.encode(text).ids
        return {tuple(ids[at : at + PART]) for at in range(0, max(1, len(ids) - PART + STEP), STEP)} if ids else set()

    def logit(self, part: tuple[int, ...]) -> float:
        import numpy as np

        (logits,) = self.session.run(["logit"], {"pieces": np.array([[_BEGIN, *part, _END]], dtype=np.int64)})
        return float(logits[0])


class IntentModel:
    """An encoder and a linear head, read from an ``.npz`` without pickles.

    Parameters
    ----------
    path : Path
        Holds two arrays of bytes: ``tokenizer``, a ``tokenizers`` file, and ``network``, an ONNX model that gives
        ``logit``, shape (rows,), for ``pieces``, shape (rows, pieces).
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """Its file."""
        return self._path

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return digest_file(self._path)

    def probability(self, text: str) -> float:
        """Probability that a request means harm, the highest over its parts."""
        import numpy as np

        network = self._network
        folded = _SPACES.sub(" ", normalise(text).text.lower()).strip()
        parts = network.parts(folded)
        # "In my novel, a character asks: ...": what a lead or a courtesy brings in is read for itself as well.
        for opening in (_LEAD.match(folded), _COURTESY.match(folded)):
            if opening:
                parts |= network.parts(folded[opening.end() :])
        if not parts:
            return 0.0
        return float(1 / (1 + np.exp(-np.float64(max(map(network.logit, parts))))))

    @cached_property
    def _network(self) -> _Network:
        import numpy as np
        from onnxruntime import InferenceSession, SessionOptions
        from tokenizers import Tokenizer

        # Threads on matrices this small wait for one another longer than they compute.
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            with np.load(self._path, allow_pickle=False) as data:
                tokenizer = Tokenizer.from_buffer(data["tokenizer"].tobytes())
                session = InferenceSession(data["network"].tobytes(), options, providers=["CPUExecutionProvider"])
            network = _Network(tokenizer, session)
            network.logit(())
        # Both libraries raise bare exceptions for bytes that are none of theirs.
        except Exception as error:  # noqa: BLE001
            raise PolicyError(
                f"{self._path} can't be read: {type(error).__name__}: {error}.", mend="Train it again: python benchmarks/train_intent.py"
            ) from None
        return network
