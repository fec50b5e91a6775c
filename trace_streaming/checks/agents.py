"""Whether the adapters of frameworks that are in use can tell what they see, and hold back what needs a human."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from django.apps import AppConfig
from django.core import checks
from django.core.checks import CheckMessage
from django.urls import get_resolver

from trace_streaming.conf import conf
from trace_streaming.events import AGENT_EVENTS, unknown_names

from .ids import W006, W007

ADAPTERS: Final = ("langchain", "openai_agents", "pydantic_ai")
"""Of frameworks: modules of ``trace_streaming.integrations``."""
HELD_BACK_BY: Final = {
    "langchain": ("langchain_middleware", "Give each agent middleware=[ApprovalMiddleware()]"),
    "openai_agents": ("openai_tools", "Give each agent tools=require_approval([...])"),
}
"""What, of modules of ``trace_streaming.integrations``, makes an adapter's tools wait; Pydantic AI's does so itself."""


def check_agent_events(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A project that has imported an adapter of a framework has declared what it tells."""
    used = _adapters_in_use(*ADAPTERS)
    missing = unknown_names(AGENT_EVENTS, conf.EXTRA_EVENTS)
    if not used or not missing:
        return []
    hint = "Set TRACE_STREAMING_EXTRA_EVENTS = trace_streaming.AGENT_EVENTS, or add them to your own names."
    text = f"The adapter {used[0]} shows tools alone: {', '.join(missing)} are not declared."
    return [checks.Warning(text, hint=hint, id=W006)]


def check_held_back(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Where tools need a human, each adapter that is in use can wait for one."""
    messages: list[CheckMessage] = []
    for adapter, (module, how) in HELD_BACK_BY.items() if conf.APPROVALS else ():
        if _adapters_in_use(adapter, module) == [adapter]:
            text = f"TRACE_STREAMING_APPROVALS names tools, and nothing holds back those of {adapter}."
            messages.append(checks.Warning(text, hint=f"{how}; other agents' tools run without a human.", id=W007))
    return messages


def _adapters_in_use(*names: str) -> list[str]:
    with suppress(Exception):  # agents are imported with the views that run them; other checks tell what is wrong there
        _ = get_resolver().url_patterns
    return [name for name in names if f"trace_streaming.integrations.{name}" in sys.modules]
