"""Whether the channel layer is what it is meant to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import get_channel_layer
from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage

from .ids import W003, W009


def check_redis_hosts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Redis hosts have no read timeout: redis-py 8 otherwise ends an idle ``receive`` after 5 seconds."""
    layers = getattr(settings, "CHANNEL_LAYERS", {})
    config = layers.get("default", {})
    if not str(config.get("BACKEND", "")).startswith("channels_redis."):
        return []
    hosts = config.get("CONFIG", {}).get("hosts") or ["redis://localhost:6379"]
    if all(isinstance(host, dict) and host.get("socket_timeout", ...) is None for host in hosts):
        return []
    hint = 'Write each of CHANNEL_LAYERS["default"]["CONFIG"]["hosts"] as {"address": url, "socket_timeout": None}.'
    return [checks.Warning("A Redis host of the channel layer has a read timeout.", hint=hint, id=W003)]


def check_channel_layer(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The channel layer is what is configured: where making it raises KeyError, Channels says that there is none."""
    if DEFAULT_CHANNEL_LAYER not in getattr(settings, "CHANNEL_LAYERS", {}) or get_channel_layer() is not None:
        return []
    hint = 'See what channels.layers.channel_layers["default"] raises: often it is a missing key of CONFIG.'
    return [checks.Warning("The channel layer cannot be made; news are of one process.", hint=hint, id=W009)]
