"""A language model asked, about a text, one question that is answered by yes or no.

Its answer is the log-odds of yes over no at the first token, asked in both orders and averaged, since models
lean to what was named first (Zheng et al., arXiv:2309.03882). It sees meaning, as far as the model does. A
small model's answers are noise, and a text may talk a model round: join it with another detector, and
measure it on the rule's own tests before relying on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardmed.policy.detectors import Evidence
from guardmed.text import Normalised, Span, language

if TYPE_CHECKING:
    from guardmed.models.base import LanguageModel

_ASK = {
    "en": ('Text: "{text}"\n{question} Answer {first} or {second}.', ("Yes", "No")),
    "zh": ("文本：“{text}”\n{question}请回答{first}或{second}。", ("是", "否")),
}


@dataclass(frozen=True)
class Judge:
    """Texts of which the model says yes to ``question`` with a probability over ``over``."""

    model: LanguageModel = field(hash=False)
    question: tuple[tuple[str, str], ...]
    over: float

    def find(self, text: Normalised) -> list[Evidence]:
        """The whole text, or nothing."""
        return [Evidence(Span(0, len(text.text)))] if text.text.strip() and self.probability(text.text) > self.over else []

    def probability(self, text: str) -> float:
        """Probability of yes."""
        import numpy as np

        from guardmed.models.base import shares

        questions = dict(self.question)
        asked = "zh" if language(text) == "zh" and "zh" in questions else next(iter(questions)) if "en" not in questions else "en"
        template, (yes, no) = _ASK[asked]
        prompts = [template.format(text=text, question=questions[asked], first=first, second=second) for first, second in ((yes, no), (no, yes))]
        found = self.model.choose(prompts, [[yes, no], [yes, no]])
        # Refuses what names neither, as nothing can be judged by it.
        odds = float(np.mean([np.log(yes / no) for yes, no in (np.maximum(shares(scores), 1e-12) for scores in found)]))
        return float(1 / (1 + np.exp(-odds)))
