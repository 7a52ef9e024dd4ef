"""P(True): asks the model whether its own claim holds.

Kadavath et al., "Language Models (Mostly) Know What They Know" (2022). The conversation and the
answer have been read already; their KV cache is reused and all claims go through in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guardmed.models.base import LanguageModel, Message, Prompt, shares
from guardmed.models.prompting import as_messages
from guardmed.text import language

_ASK = {
    "en": ("Is this statement true or false? {claim}", ("True", "False"), ("true", "false")),
    "zh": ("这句话正确还是错误？{claim}", ("正确", "错误"), ("对", "错")),
}
_ASK_REVERSED = {"en": "Is this statement false or true? {claim}", "zh": "这句话错误还是正确？{claim}"}

QUESTIONS = (_ASK, _ASK_REVERSED)
"""How a model is asked, in each language and both orders."""


def p_true(model: LanguageModel, prompt: Prompt | None, answer: str | None, claims: Sequence[str], *, state: object | None = None) -> list[float]:
    """Probability that each claim is true, says the model.

    Asked in both orders of the options and averaged, because models prefer what was named first or
    last; the variants of each option are summed.

    Parameters
    ----------
    model : LanguageModel
    prompt, answer : Prompt, str, optional
        The conversation the claims come from; claims are judged alone without.
    claims : sequence of str
    state : object, optional
        Of the generation that gave the answer.
    """
    if not claims:
        return []
    before: list[Message] = []
    if prompt is not None and answer is not None:
        before = [*as_messages(prompt), {"role": "assistant", "content": answer}]
    prompts: list[Prompt] = []
    options: list[list[str]] = []
    for claim in claims:
        lang = "zh" if language(claim) == "zh" else "en"
        template, names, variants = _ASK[lang]
        for ask in (template, _ASK_REVERSED[lang]):
            prompts.append([*before, {"role": "user", "content": ask.format(claim=claim)}])
            options.append([names[0], variants[0], names[1], variants[1]])
    logprobs = model.choose(prompts, options, state=state)
    given = [np.maximum(shares(found), 1e-12) for found in logprobs]
    margins = [np.log((found[0] + found[1]) / (found[2] + found[3])) for found in given]
    return [float(1 / (1 + np.exp(-(margins[at] + margins[at + 1]) / 2))) for at in range(0, len(margins), 2)]
