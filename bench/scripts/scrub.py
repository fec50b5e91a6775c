"""What a peer of the redactor leaves of details: ``scrub (Logfire|Sentry|detect-secrets)``, JSON lines in and out.

Runs in the environment of the peers, with nothing of ours. For each line: the texts in which a secret can still be
read, or those that a hit covers, and whether anything was changed or flagged.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

Left = dict[str, Any]


def texts(value: object) -> Iterator[str]:
    """All that can be read, keys and numbers, too."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield key
            yield from texts(inside)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif value is not None:
        yield str(value)


def logfire() -> Callable[[Any], Left]:
    """Its default patterns. JSON that it has written anew is not changed where it has scrubbed nothing."""
    from logfire._internal.scrubbing import Scrubber

    scrubber = Scrubber(patterns=None)

    def scrub(details: Any) -> Left:
        scrubbed, notes = scrubber.scrub_value((), details)
        return {"readable": [*texts(scrubbed)], "is_changed": bool(notes)}

    return scrub


def sentry() -> Callable[[Any], Left]:
    """Its default deny list, at any depth."""
    from sentry_sdk.scrubber import EventScrubber

    scrubber = EventScrubber(recursive=True)

    def scrub(details: Any) -> Left:
        before = json.dumps(details)
        scrubber.scrub_dict(details)
        after = json.dumps(details, default=lambda annotated: annotated.value)
        return {"readable": [*texts(json.loads(after))], "is_changed": after != before}

    return scrub


def detect_secrets() -> Callable[[Any], Left]:
    """All its plugins, on each line of each value and of the details as indented JSON, whichever finds more.

    It reports words below its own limits of entropy, too, to say that they are: those are no hits. Of an armour it
    flags the first line, and means all.
    """
    from detect_secrets.core.plugins.initialize import from_secret_type
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    def is_hit(found: Any) -> bool:
        plugin = from_secret_type(found.type)
        limit = getattr(plugin, "entropy_limit", None)
        return limit is None or plugin.calculate_shannon_entropy(found.secret_value) > limit

    def scrub(details: Any) -> Left:
        with default_settings():
            covered = [
                text if found.type == "Private Key" else str(found.secret_value)
                for text in (*values(details), json.dumps(details, indent=1, ensure_ascii=False))
                for line in text.split("\n")
                for found in scan_line(line)
                if is_hit(found)
            ]
        return {"covered": covered, "is_changed": bool(covered)}

    return scrub


def values(value: object) -> Iterator[str]:
    """The texts in details, without keys."""
    if isinstance(value, dict | list):
        for inside in value.values() if isinstance(value, dict) else value:
            yield from values(inside)
    elif isinstance(value, str):
        yield value


PEERS = {"Logfire": logfire, "Sentry": sentry, "detect-secrets": detect_secrets}


if __name__ == "__main__":
    scrub = PEERS[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(scrub(json.loads(line))))
