"""What the place in which agents run knows to be secret: a project's settings, and a process's environment."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from trace_streaming.events.freezing import freeze_details
from trace_streaming.redaction import redact
from trace_streaming.redaction.known.learning import learnt, noting_what_is_hidden
from trace_streaming.redaction.known.memory import project

_PLAIN = (str, bytes, dict, list, tuple)


def learn_environment() -> None:
    """Hide, in all traces, the values of this process's variables whose names or forms are those of secrets."""
    _learn(os.environ.items())


def learn_settings(settings: Any) -> None:
    """The same of a project's settings: ``SECRET_KEY``, the passwords of databases, of caches, in URLs, and the like.

    :param settings: ``django.conf.settings``, or what is like it
    """
    names = [name for name in dir(settings) if name.isupper()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of settings that Django will do without
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        values = [(name, getattr(settings, name)) for name in names]
    _learn(values)


def _learn(values: Iterator[tuple[str, Any]] | Any) -> None:
    with noting_what_is_hidden() as hidden:
        for name, value in values:
            if isinstance(value, _PLAIN):
                redact(freeze_details({name: _without_lazy(value)}))
    project.add(learnt(hidden))


def _without_lazy(value: Any) -> Any:
    """Without what reads a file or a translation when it is looked at."""
    if isinstance(value, Mapping):
        return {key: _without_lazy(inside) for key, inside in value.items() if isinstance(inside, _PLAIN)}
    if isinstance(value, list | tuple):
        return [_without_lazy(inside) for inside in value if isinstance(inside, _PLAIN)]
    return value
