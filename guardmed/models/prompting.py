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
    """The text a model is to continue, without the begin-of-text token where the tokenizer writes it by itself.

    A system turn that the model's template does not take becomes the beginning of the user's next turn.

    Raises
    ------
    UsageError
        The template does not take the conversation at all.
    """
    messages = as_messages(prompt)
    if not tokenizer.chat_template or tokenizer.chat_template == PLAIN_TEMPLATE:
        return _plain(messages)
    text = _templated(messages, tokenizer)
    begin = tokenizer.bos_token
    # Some templates write it for a tokenizer that does not.
    return text.removeprefix(begin) if begin and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id] else text


def _templated(messages: list[Message], tokenizer: Any) -> str:
    from jinja2 import TemplateError

    def told(turns: list[Message]) -> str:
        text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return text

    try:
        return told(messages)
    except TemplateError:
        pass
    try:
        return told(_without_system(messages))
    except TemplateError as error:
        raise UsageError(
            f"The model's chat template does not take the conversation: {error}.", mend="Let user and assistant take turns, the user first."
        ) from None


def _without_system(messages: list[Message]) -> list[Message]:
    """Each system turn before the text of the user's next one, as templates have it that know of both."""
    out: list[Message] = []
    held = ""
    for message in messages:
        if message["role"] == "system":
            held += message["content"].strip() + "\n\n"
        elif message["role"] == "user":
            out.append({"role": "user", "content": held + message["content"]})
            held = ""
        else:
            out.append(message)
    return out


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
