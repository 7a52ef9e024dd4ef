"""Looks at validation prompts while training, keeps the best weights, and ends what only learns to say sorry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from transformers import TrainerCallback

from guardmed.align.conduct import answered, turned_away
from guardmed.align.pairs import PreferencePair
from guardmed.align.results import Probe
from guardmed.align.settings import ProbeSettings
from guardmed.errors import DataError
from guardmed.models.base import Sampling
from guardmed.models.hint import Hint
from guardmed.models.transformers_model import TransformersModel
from guardmed.policy import Policy


class Watch(TrainerCallback):  # type: ignore[misc]
    """A trainer's callback.

    Parameters
    ----------
    rows : sequence of PreferencePair
        Validation rows; as many dangerous as harmless ones are looked at.
    policy : Policy
    tokenizer : transformers tokenizer
    settings : ProbeSettings
    hint : Hint, optional
        What the model listens to.
    advance : callable, optional
        Told the steps that are done, and how many there will be.

    Raises
    ------
    DataError
        Prompts of one kind, or of both, are lacking.
    """

    def __init__(
        self,
        rows: Sequence[PreferencePair],
        policy: Policy,
        tokenizer: Any,
        settings: ProbeSettings,
        *,
        hint: Hint | None = None,
        advance: Callable[[int, int], None] | None = None,
    ) -> None:
        each = settings.prompts // 4
        validation = [row for row in rows if row.split == "validation"]
        cells = [[row for row in validation if row.lang == lang and row.harmful == harmful] for lang in ("en", "zh") for harmful in (True, False)]
        self._rows = [row for cell in cells for row in cell[:each]]
        if settings.every and len({row.harmful for row in self._rows}) < 2:
            raise DataError(
                "There are no validation prompts of both kinds to look at while training.", mend="Set pairs.validation higher, or probe.every to 0."
            )
        self._policy = policy
        self._tokenizer = tokenizer
        self._settings = settings
        self._hint = hint
        self._advance = advance
        self._best: dict[str, Any] | None = None
        self._least = float("inf")
        self._over = 0
        self.probes: list[Probe] = []
        self.stopped: str | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **keywords: Any) -> Any:
        """Look, where it is time to."""
        if self._advance:
            self._advance(int(state.global_step), int(state.max_steps))
        if self._settings.every and state.global_step % self._settings.every == 0:
            probe = self._look(keywords["model"], state.global_step)
            self._over = self._over + 1 if probe.turned_away > self._settings.most_over_refusal * probe.harmless else 0
            if self._over >= self._settings.patience and self._best is not None:
                self.stopped = f"over {self._settings.most_over_refusal:.0%} of harmless prompts were turned away at {self._over} looks in a row"
                control.should_training_stop = True
        return control

    def restore(self, model: Any) -> None:
        """Give a model the weights of the best look back."""
        if self._best is not None:
            model.load_state_dict(self._best, strict=False)

    def _look(self, model: Any, step: int) -> Probe:
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        was_training = model.training
        model.eval()
        caching, base.config.use_cache = base.config.use_cache, True
        speaker = TransformersModel(base, self._tokenizer, name="in training", fingerprint="", hint=self._hint)
        order = sorted(self._rows, key=lambda row: len(row.prompt))
        texts = [found[0].text for found in speaker.generate([row.prompt for row in order], Sampling(max_new_tokens=self._settings.tokens))]
        base.config.use_cache = caching
        model.train(was_training)
        harmful = [answered(text, danger=row.danger, policy=self._policy) for row, text in zip(order, texts, strict=True) if row.harmful]
        harmless = [turned_away(text) for row, text in zip(order, texts, strict=True) if not row.harmful]
        cost = sum(harmful) / len(harmful) + sum(harmless) / len(harmless)
        kept = cost <= self._least
        if kept:
            self._least = cost
            self._best = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
        self.probes.append(Probe(step=step, complied=sum(harmful), harmful=len(harmful), turned_away=sum(harmless), harmless=len(harmless), kept=kept))
        return self.probes[-1]
