"""Spans say what was decided, never what was asked, unless the settings say so; and the guard has an async side."""

from __future__ import annotations

import asyncio

import pytest

from guardmed.guard import GuardedModel
from guardmed.guard.settings import GuardSettings
from guardmed.spans import span
from tests.unit.scripted import Scripted

SECRET = "my neighbour's codeword is heliotrope"


def guarded(clinical, text: str = "Drink water and rest.", **settings) -> GuardedModel:
    return GuardedModel(Scripted(text), policy=clinical, settings=GuardSettings(checks=("token",), **settings))


def test_spans_carry_decisions_and_no_text(clinical, exporter):
    exporter.clear()
    guarded(clinical).generate(f"I have a cold; {SECRET}. What helps?")
    spans = exporter.get_finished_spans()
    assert [s.name for s in spans] == ["guardmed.policy", "guardmed.model", "guardmed.policy", "guardmed.claims", "guardmed.generate"]
    assert spans[0].attributes["guardmed.decision"] == "allow"
    assert spans[-1].attributes["guardmed.policy"] == clinical.digest
    assert "heliotrope" not in "".join(s.to_json() for s in spans)


def test_text_is_traced_when_asked_for(clinical, exporter):
    exporter.clear()
    guarded(clinical, trace_text=True).generate(f"I have a cold; {SECRET}. What helps?")
    assert "heliotrope" in exporter.get_finished_spans()[0].attributes["guardmed.text"]


def test_an_exception_leaves_its_type_only(exporter):
    exporter.clear()
    with pytest.raises(ValueError, match="heliotrope"), span("step"):
        raise ValueError(SECRET)
    (step,) = exporter.get_finished_spans()
    assert step.attributes["guardmed.error"] == "ValueError"
    assert "heliotrope" not in step.to_json()


def test_async_answers_are_the_same(clinical):
    model = guarded(clinical)

    async def both():
        one = await model.agenerate("I have a cold. What helps?")
        return one, [piece async for piece in model.astream("I have a cold. What helps?")]

    one, pieces = asyncio.run(both())
    assert one.text == model.generate("I have a cold. What helps?").text
    assert pieces == list(model.stream("I have a cold. What helps?"))


def test_an_async_stream_that_is_left_is_closed(clinical):
    model = guarded(clinical, "One sentence. Two sentences. Three sentences.")

    async def first():
        stream = model.astream("I have a cold. What helps?")
        piece = await anext(stream)
        await stream.aclose()
        return piece

    assert asyncio.run(first()).startswith("One sentence.")
