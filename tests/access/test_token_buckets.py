"""How often something may happen."""

from __future__ import annotations

import pytest

from trace_streaming.access import token_buckets
from trace_streaming.access.token_buckets import TokenBucket, TokenBuckets
from trace_streaming.conf import Rate, parse_rate


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(token_buckets, "monotonic", clock)
    return clock


@pytest.mark.parametrize(
    ("text", "rate"),
    [("600/min", (600, 60)), ("1/s", (1, 1)), ("10/second", (10, 1)), ("5/hour", (5, 3600)), ("9/day", (9, 86400))],
)
def test_rates_are_written_as_in_rest_framework(text: str, rate: tuple[int, int]) -> None:
    """A count, and the first letter of a period."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "600", "600/", "/min", "x/min", "1.5/s", "0/s", "-1/s", "5/year", 5, []])
def test_what_is_no_rate_is_said(text: object) -> None:
    """As an error of the value, whatever it is."""
    with pytest.raises(ValueError, match="Not a rate"):
        parse_rate(text)  # type: ignore[arg-type]


def test_a_bucket_lets_so_many_through_at_once_and_then_at_its_rate(clock: Clock) -> None:
    """And says how long to wait."""
    bucket = TokenBucket(Rate(10, 5))
    assert [bucket.take() for _ in range(10)] == [0] * 10
    assert bucket.take() == pytest.approx(0.5)
    clock.now += 0.4
    assert bucket.take() == pytest.approx(0.1)
    clock.now += 0.1
    assert bucket.take() == 0
    assert bucket.take() == pytest.approx(0.5)


def test_a_bucket_that_rests_holds_no_more_than_its_number(clock: Clock) -> None:
    """However long it rested."""
    bucket = TokenBucket(Rate(3, 1))
    clock.now += 3600
    assert [bucket.take() > 0 for _ in range(4)] == [False, False, False, True]


def test_keys_have_buckets_of_their_own_and_a_new_rate_a_new_one() -> None:
    """A setting that was changed holds at once."""
    buckets = TokenBuckets()
    once, twice = Rate(1, 60), Rate(2, 60)
    assert [buckets.take(key, once) > 0 for key in "aab"] == [False, True, False]
    assert buckets.take("a", twice) == 0
    buckets.clear()
    assert buckets.take("a", once) == 0


def test_a_bounded_number_of_keys_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more, the one unused for longest begins anew."""
    monkeypatch.setattr(token_buckets, "MAX_BUCKETS", 2)
    buckets, once = TokenBuckets(), Rate(1, 60)
    for key in "aba":
        buckets.take(key, once)
    buckets.take("c", once)  # forgets b
    assert [buckets.take(key, once) > 0 for key in "ac"] == [True, True]
    assert buckets.take("b", once) == 0
    assert len(buckets._buckets) == 2


def test_a_finalizer_may_take_inside_a_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """The garbage collector may run it in the middle: with a lock that is not reentrant the thread would hang."""
    buckets, once = TokenBuckets(), Rate(5, 60)
    real = TokenBucket

    def collecting(rate: Rate) -> TokenBucket:
        monkeypatch.setattr(token_buckets, "TokenBucket", real)
        if buckets._lock.acquire(blocking=False):
            buckets.take("finalizer", once)
            buckets._lock.release()
        return real(rate)

    monkeypatch.setattr(token_buckets, "TokenBucket", collecting)
    assert buckets.take("a", once) == 0
    assert ("finalizer", once) in buckets._buckets
