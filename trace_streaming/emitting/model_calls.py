"""A model call as a ``with`` block, in the words of OpenTelemetry's conventions for generative AI.

https://github.com/open-telemetry/semantic-conventions-genai: attributes are flat, under their names as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Self

from .blocks import Block, Emits, conversation_details, enclosing_agent
from .messages import output_messages


class ModelCall(Block):
    """Made by :meth:`.Emitter.llm_call`.

    Inside the block, ``usage`` and ``finish`` take what the model says of its answer, and ``result`` the answer: a
    text, or messages. ``response_model`` and ``response_id`` are told at the end, where they are set.
    """

    family = "llm_call"

    def __init__(
        self, emitter: Emits, model: str, provider: str, messages: Sequence[Any] | None, details: Mapping[str, Any]
    ) -> None:
        super().__init__(emitter, model)
        self.response_model = ""
        self.response_id = ""
        self._provider = provider
        self._messages = messages
        self._details = details
        self._told: dict[str, Any] = {}

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cost: float | None = None,
    ) -> Self:
        """What the call has used; what is None stays as it was said before.

        :param input_tokens: all of them, those included that were read from a cache
        :param output_tokens: all of them, those included that the model has reasoned with
        :param cost: in US dollars
        """
        told = {
            "gen_ai.usage.input_tokens": input_tokens,
            "gen_ai.usage.output_tokens": output_tokens,
            "gen_ai.usage.cache_read.input_tokens": cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": reasoning_tokens,
            "gen_ai.usage.cost": cost,
        }
        self._told |= {key: value for key, value in told.items() if value is not None}
        return self

    def finish(self, *reasons: str) -> Self:
        """Why the model has stopped: ``stop``, ``length``, ``tool_calls``, …; one for each answer."""
        self._told["gen_ai.response.finish_reasons"] = list(reasons)
        return self

    def first_chunk(self) -> Self:
        """The first piece of the answer has come; later calls change nothing."""
        self._told.setdefault("gen_ai.response.time_to_first_chunk", round(perf_counter() - self._started, 6))
        return self

    def stream(self, text: str) -> Self:
        """A piece of the answer, as the model says it: shown at once to who watches, redacted, and not stored.

        Returns at once. The answer as a whole is its ``result``.
        """
        self.first_chunk()
        self._emitter.stream_text(self.call_id, text)
        return self

    def _begun(self, above: Block | None) -> dict[str, Any]:
        begun: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": self.name}
        if self._provider:
            begun["gen_ai.provider.name"] = self._provider
        if self._messages is not None:
            begun["gen_ai.input.messages"] = self._messages
        if (agent := enclosing_agent(self._emitter)) is not None:
            begun["gen_ai.agent.name"] = agent.name
        return begun | conversation_details(self._emitter) | dict(self._details)

    def _ended(self) -> dict[str, Any]:
        ended = dict(self._told)
        if self.response_model:
            ended["gen_ai.response.model"] = self.response_model
        if self.response_id:
            ended["gen_ai.response.id"] = self.response_id
        if self.result is not None:
            ended["gen_ai.output.messages"] = output_messages(self.result, self._told)
        return ended


def request_details(request: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a request under their names of the conventions."""
    return {f"gen_ai.request.{name}": value for name, value in request.items()}
