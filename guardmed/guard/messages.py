"""What the guard itself says, in the person's language."""

from __future__ import annotations

_TEXTS = {
    "check_failed": {
        "en": "I can't answer this safely right now. Please ask a doctor or pharmacist; in an emergency call your local emergency number.",
        "zh": "我现在无法安全地回答这个问题。请咨询医生或药师；如遇紧急情况，请立即拨打120。",
    },
    "abstain": {
        "en": "I'm not sure enough about this to answer. Please ask a doctor or pharmacist.",
        "zh": "对于这个问题我没有足够把握，不宜作答。请咨询医生或药师。",
    },
    "caveat": {
        "en": "Caution: parts of this answer could not be verified. Check them with a doctor or pharmacist before you act on them.",
        "zh": "提醒：以上内容有部分未能核实，请先向医生或药师确认再采取行动。",
    },
    "cut": {
        "en": "Statements that could not be supported were left out of this answer. Ask a doctor or pharmacist about them.",
        "zh": "以上回答已略去缺乏依据的内容，相关问题请咨询医生或药师。",
    },
    "no_text": {
        "en": "I could not find a question in that. Please describe in words what you would like to know.",
        "zh": "没有看到具体问题，请用文字描述您想了解的内容。",
    },
}


def say(what: str, language: str) -> str:
    """A message by its name, in Chinese for Chinese, else in English."""
    return _TEXTS[what]["zh" if language == "zh" else "en"]
