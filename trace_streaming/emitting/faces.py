"""What a trace is called: its name, its conversation, its tags; said at once or later, by any emitter of the trace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from trace_streaming.events import RANDOM_ID_PATTERN
from trace_streaming.events.texts import cut

MAX_NAME: Final = 200
"""Characters of a name, and of a conversation."""
MAX_TAG: Final = 100
MAX_TAGS: Final = 50


class Face(NamedTuple):
    """What is said; None of that of which nothing is."""

    name: str | None = None
    conversation: str | None = None
    tags: tuple[str, ...] | None = None

    @classmethod
    def of(cls, name: object = None, conversation: object = None, tags: object = None) -> Face:
        """Checked; raises :exc:`ValueError` for what is none."""
        for value in (name, conversation):
            if value is not None and not isinstance(value, str):
                raise ValueError("A trace's name and conversation are texts")
        if tags is None:
            return cls(name, conversation)  # type: ignore[arg-type]
        if isinstance(tags, str) or not isinstance(tags, Iterable):
            raise ValueError("A trace's tags are a list of texts")  # noqa: TRY004  of a value
        listed = tuple(tags)
        if len(listed) > MAX_TAGS or not all(isinstance(tag, str) and tag for tag in listed):
            raise ValueError(f"A trace's tags are at most {MAX_TAGS} texts, none of them empty")
        return cls(name, conversation, listed)  # type: ignore[arg-type]

    def redacted(self, redact: Callable[[object], Mapping[str, Any]]) -> Face:
        """As others see it, and no longer than the columns are."""
        # Random bits are an id, as calls have it; any other conversation may be named after somebody's telephone.
        key = "call_id" if RANDOM_ID_PATTERN.fullmatch(self.conversation or "") else "conversation"
        shown = redact({"name": self.name, key: self.conversation, "tags": list(self.tags or ())})
        listed = shown.get("tags")  # a project's own redactor may make anything of it
        tags = [cut(str(tag), MAX_TAG) for tag in listed] if isinstance(listed, list) else []
        return Face(
            None if self.name is None else cut(str(shown.get("name") or ""), MAX_NAME),
            None if self.conversation is None else cut(str(shown.get(key) or ""), MAX_NAME),
            None if self.tags is None else tuple(dict.fromkeys(tags)),
        )


class FaceEmitter(ABC):
    """The part of :class:`.Emitter` that says what its trace is called; each may be set until the end, and again."""

    _face = Face()

    @property
    def name(self) -> str:
        """What the trace is called, in up to 200 characters."""
        return self._face.name or ""

    @name.setter
    def name(self, name: str) -> None:
        self._say(Face.of(name=name))

    @property
    def conversation(self) -> str:
        """The id of what several traces are parts of, in up to 200 characters."""
        return self._face.conversation or ""

    @conversation.setter
    def conversation(self, conversation: str) -> None:
        self._say(Face.of(conversation=conversation))

    @property
    def tags(self) -> tuple[str, ...]:
        """At most 50 words to find the trace by, each in up to 100 characters."""
        return self._face.tags or ()

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        self._say(Face.of(tags=tags))

    def _say(self, face: Face) -> None:
        told = {name: value for name, value in face._asdict().items() if value is not None}
        self._face = self._face._replace(**told)
        self._hand_over_face(face)

    @abstractmethod
    def _hand_over_face(self, face: Face) -> None:
        """To whoever stores it; returns at once."""
