"""From prompts to token ids: chat templates where a model has one, question and answer where not."""

from __future__ import annotations

from typing import Any

from guardmed.errors import UsageError
from guardmed.models.base import Message, Prompt
from guardmed.text import language

# Where a base model would go on to ask itself the next question.
PLAIN_STOPS = ("\nQuestion:", "\nQ:", "\n问题：", "\n问题:", "\n\n\n")
_PLAIN = {"en": ("Question: ", "\nAnswer:"), "zh": ("问题：", "\n回答：")}


def as_messages(prompt: Prompt) -> list[Message]:
    """A prompt as a conversation.

    Raises
    ------
    UsageError
        It holds no text, a turn lacks role or content, or the last turn is not the user's.
    """
    messages: list[Message] = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if not messages:
        raise UsageError("The conversation has no messages.", mend="Give at least one user message.")
    for index, message in enumerate(messages):
        if message.get("role") not in ("system", "user", "assistant") or not isinstance(message.get("content"), str):
            raise UsageError(f"Message {index} needs a role (system, user, assistant) and a content string.", mend="See the chat format of transformers.")
    if messages[-1]["role"] != "user":
        raise UsageError(f"The last message is the {messages[-1]['role']}'s.", mend="End with a user message.")
    if not messages[-1]["content"].strip():
        raise UsageError("The prompt is empty.", mend="Write a question.")
    return messages


def last_question(prompt: Prompt) -> str:
    """The text of the last user turn."""
    return prompt if isinstance(prompt, str) else prompt[-1]["content"]


def render(prompt: Prompt, tokenizer: Any) -> str:
    """The text a model is to continue, without the tokenizer's own begin-of-text token."""
    messages = as_messages(prompt)
    if tokenizer.chat_template:
        text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text.removeprefix(tokenizer.bos_token or "")
    return _plain(messages)


def _plain(messages: list[Message]) -> str:
    out = ""
    for message in messages:
        ask, answer = _PLAIN["zh" if language(message["content"]) == "zh" else "en"]
        if message["role"] == "system":
            out += message["content"].strip() + "\n\n"
        elif message["role"] == "user":
            out += f"{ask}{message['content'].strip()}{answer}"
        else:
            # The answer goes in as it was generated, so that its tokens stay the same ones.
            out += f"{lead(out)}{message['content'].strip()}\n\n"
    return out


def lead(rendered: str) -> str:
    """What comes before an answer: a space on the same line, in a script that has spaces."""
    return " " if rendered[-1:].isascii() and not rendered[-1:].isspace() else ""
