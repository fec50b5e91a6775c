"""Which tools need a human, by the settings alone."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from trace_streaming.emitting.asking.policies import Policy, policy_for, problems


@pytest.mark.parametrize(
    ("tool", "policy"),
    [
        ("send_receipt", None),
        ("send_mail", Policy("high", 600)),
        ("delete_user", Policy(allowed=("approved", "rejected"))),
        ("Send_mail", None),
        ("lookup", None),
    ],
)
def test_the_first_pattern_that_fits_counts(settings: Settings, tool: str, policy: Policy | None) -> None:
    """And None says that a tool needs nobody."""
    settings.TRACE_STREAMING_APPROVALS = {
        "send_receipt": None,
        "send_*": {"risk_level": "high", "timeout": 600},
        "delete_user": {"allowed": ["approved", "rejected"]},
    }
    assert list(problems(settings.TRACE_STREAMING_APPROVALS)) == []
    assert policy_for(tool) == policy


def test_without_a_setting_no_tool_needs_a_human() -> None:
    """As ever."""
    assert policy_for("send_mail") is None


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"send_*": {"risk": "high"}}, "risk_level, timeout, allowed"),
        ({"send_*": {"risk_level": "huge"}}, "risk level"),
        ({"send_*": {"risk_level": ["high"]}}, "risk level"),
        ({"send_*": {"timeout": 0}}, "seconds"),
        ({"send_*": {"timeout": True}}, "seconds"),
        ({"send_*": {"timeout": "600"}}, "seconds"),
        ({"send_*": {"allowed": ["yes"]}}, "approved"),
        ({"send_*": {"allowed": "approved"}}, "approved"),
        ({"send_*": {"allowed": [["approved"]]}}, "send"),
        ({"send_*": "high"}, "mapping"),
        ({"": {}}, "name of a tool"),
        ({7: {}}, "name of a tool"),
        (["send_*"], "mapping"),
        ("send_*", "mapping"),
    ],
)
def test_what_cannot_be_read_is_said_and_asks_all_the_same(settings: Settings, setting: Any, words: str) -> None:
    """A slip in the settings lets no tool run without a human."""
    (problem,) = problems(setting)
    assert words in problem
    settings.TRACE_STREAMING_APPROVALS = setting
    needs_nobody = isinstance(setting, dict) and "send_*" not in setting
    assert policy_for("send_mail") == (None if needs_nobody else Policy())
