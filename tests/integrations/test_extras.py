"""An adapter whose framework is not installed says how to have it."""

from __future__ import annotations

import importlib
import sys

import pytest

ADAPTERS = [("langchain", "langchain_core"), ("openai_agents", "agents"), ("pydantic_ai", "pydantic_ai")]


@pytest.mark.parametrize(("adapter", "framework"), ADAPTERS)
def test_an_adapter_names_its_extra(adapter: str, framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A framework's module is not always called as what is to be installed: ``agents`` is another project's."""
    name = f"trace_streaming.integrations.{adapter}"
    for module in [module for module in sys.modules if module.startswith((name, framework))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, framework, None)
    with pytest.raises(ModuleNotFoundError, match=rf"django-trace-streaming\[{adapter.replace('_', '-')}\]"):
        importlib.import_module(name)
