"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

EncoderOption = Annotated[str | None, typer.Option("--encoder", help="Sentence encoder for rules with similar: a sentence-transformers folder or hub id.")]
JudgeOption = Annotated[str | None, typer.Option("--judge", help="Language model for rules with judge, as models are named everywhere.")]
