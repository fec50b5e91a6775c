"""What ``pip install "django-trace-streaming[…]"`` adds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs_extra(name: str, needed: str, *modules: str) -> Iterator[None]:
    """Around imports: where one of the modules is not installed, the error says what to install.

    :param name: of the extra that has them
    :param needed: what the error begins with
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in modules:
            raise
        text = f'{needed}: pip install "django-trace-streaming[{name}]"'
        raise ModuleNotFoundError(text, name=error.name) from None
