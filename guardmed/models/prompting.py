"""From prompts to token ids: chat templates where a model has one, question and answer where not."""

from __future__ import annotations

from typing import Any

from guardmed.errors import UsageError
from guardmed.models.base import Message, Prompt
from guardmed.text import language

# Where a base model would go on to ask itself the next question.
PLAIN_STOPS = ("\nQuestion:", "\nQ:", "\n问题：", "\n问题:", "\n\n\n")
_PLAIN = {"en": ("Question: ", "\nAnswer:"), "zh": ("问题：", "\n回答：")}

# The same words as a chat template, for a checkpoint that was taught to stop by itself. Chinese is a turn of which
# two thirds of the Chinese characters outnumber the Latin words.
PLAIN_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{%- set said = message['content'] | trim -%}"
    "{%- if message['role'] == 'user' -%}"
    "{%- set count = namespace(han=0, latin=0, inside=false) -%}"
    "{%- for char in said -%}"
    "{%- if '\u3400' <= char <= '\u9fff' -%}{%- set count.han = count.han + 1 -%}{%- endif -%}"
    "{%- set letter = 'a' <= char | lower <= 'z' -%}"
    "{%- if letter and not count.inside -%}{%- set count.latin = count.latin + 1 -%}{%- endif -%}"
    "{%- set count.inside = letter -%}"
    "{%- endfor -%}"
    "{%- set chinese = count.han * 2 > count.latin * 3 -%}"
    "{{- ('问题：' if chinese else 'Question: ') + said + ('\n回答：' if chinese else '\nAnswer:') -}}"
    "{%- if not loop.last -%}{{- '' if chinese else ' ' -}}{%- endif -%}"
    "{%- elif message['role'] == 'assistant' -%}"
    "{{- said + (eos_token if loop.last else '\n\n') -}}"
    "{%- else -%}{{- said + '\n\n' -}}{%- endif -%}"
    "{%- endfor -%}"
)


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
    if tokenizer.chat_template and tokenizer.chat_template != PLAIN_TEMPLATE:
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


def signed(rendered: str, sign: str) -> str:
    """A rendered prompt with a sign as the first of the answer; what comes before the answer is the same after it."""
    return f"{rendered}{lead(rendered)}{sign}" if sign else rendered


def lead(rendered: str) -> str:
    """What comes before an answer: a space on the same line, in a script that has spaces."""
    return " " if rendered[-1:].isascii() and not rendered[-1:].isspace() else ""
