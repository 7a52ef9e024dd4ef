"""Words that carry no content, and whether a text denies, in English and Chinese."""

from __future__ import annotations

import re

_WITHOUT_CONTENT = (
    "a an the of in on at to for and or but by with from into about over as i is are was were be been being am it its he she his her him you your we our "
    "they them their this that these those which who whom what when where there here have has had do does did can could will would may might shall should "
    "must also than then so such very just about usually generally typically please no not never none neither nor without cannot "
    "的 了 是 在 和 与 及 或 也 都 就 而 着 过 把 被 将 对 于 为 其 这 那 些 它 他 她 们 您 你 我 请 可 以 能 会 不 没 无 非 未 否 勿"
)
EMPTY_WORDS = frozenset(_WITHOUT_CONTENT.split())
"""Words whose presence in two texts says nothing of whether they say the same; denials are read by :func:`denies`."""

# Chinese drug names begin with some of these characters, and some words deny nothing.
_DENIAL = re.compile(
    r"\b(?:no|not|never|none|neither|nor|without|cannot)\b|n't\b|不(?![良适仅但断同锈孕明])|没|无(?![菌创线机])|非(?![常甾洲处那诺布洛索特尔])|未(?!来|成年)|(?<!是)否(?!则)|勿",
    re.IGNORECASE,
)


def denies(text: str) -> bool:
    """Whether a text holds a denial."""
    return _DENIAL.search(text) is not None
