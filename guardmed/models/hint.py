"""What the guard makes of a request, told to a model that was trained to listen.

A small model sees less in a request than the guard's intent model does. A checkpoint that was aligned with hints
carries that model, and finds its finding as the first sign of the answer it is to write: ⚠ where the request is taken
for harm, ✓ where it is not, and none where the intent model is not sure. It stands in the model's own turn, where
nobody who asks can write.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from guardmed.errors import DataError
from guardmed.files import write_json
from guardmed.intent import IntentModel
from guardmed.models.base import Prompt
from guardmed.records import Frozen, read_document

HARM, FINE = "⚠", "✓"
HINT, INTENT = "hint.json", "intent.npz"


class _File(Frozen):
    schema_version: Annotated[int, Field(ge=1, le=1)] = 1
    kind: Literal["hint"] = "hint"
    below: float = Field(ge=0.0, le=1.0)
    above: float = Field(ge=0.0, le=1.0)


@dataclass(frozen=True)
class Hint:
    """Says by a sign what the guard makes of a request.

    Attributes
    ----------
    intent : IntentModel
    below, above : float
        Probabilities of harm under which a request is called fine, and from which harmful; between them there is no hint.
    """

    intent: IntentModel
    below: float
    above: float

    @property
    def digest(self) -> str:
        """What the hints depend on, in one line."""
        return f"{self.intent.digest} {self.below} {self.above}"

    def of(self, prompt: Prompt) -> str:
        """The sign for a prompt, by the worst of the user's turns: ⚠, ✓ or nothing."""
        asked = [prompt] if isinstance(prompt, str) else [message["content"] for message in prompt if message["role"] == "user"]
        probability = max(map(self.intent.probability, asked))
        return HARM if probability >= self.above else FINE if probability < self.below else ""

    def save(self, folder: Path) -> None:
        """Put what the hints need into a model's folder."""
        shutil.copyfile(self.intent.path, folder / INTENT)
        write_json(folder / HINT, _File(below=self.below, above=self.above).model_dump(mode="json"))


def read_hint(folder: Path) -> Hint | None:
    """The hint of a model's folder; None for a model that was trained without.

    Raises
    ------
    DataError
        Its file does not fit, or the intent model beside it is missing.
    """
    if not (folder / HINT).is_file():
        return None
    file = read_document(folder / HINT, _File, kind="hint", what="a checkpoint's hint", mend="Copy the checkpoint again, whole.")
    if not (folder / INTENT).is_file():
        raise DataError(f"{folder} has a {HINT} but no {INTENT}.", mend="Copy the checkpoint again, whole.")
    return Hint(IntentModel(folder / INTENT), file.below, file.above)
