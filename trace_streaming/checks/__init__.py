"""System checks: what is set up wrong is said at start, with the setting to change."""

from __future__ import annotations

from django.core.checks import Tags, register

from .agents import check_agent_events, check_held_back
from .databases import check_databases, check_mysql, check_sqlite
from .layers import check_channel_layer, check_redis_hosts
from .values import check_open_doors, check_settings

__all__ = [
    "check_agent_events",
    "check_channel_layer",
    "check_databases",
    "check_held_back",
    "check_mysql",
    "check_open_doors",
    "check_redis_hosts",
    "check_settings",
    "check_sqlite",
    "register_checks",
]


def register_checks() -> None:
    """Register all checks with Django."""
    register(check_settings)
    register(check_databases)
    register(check_sqlite)
    register(check_mysql)
    register(check_redis_hosts)
    register(check_channel_layer)
    register(check_agent_events)
    register(check_held_back)
    register(check_open_doors, Tags.security, deploy=True)
