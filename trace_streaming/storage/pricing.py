"""What a model's call costs where nobody has said it: by ``genai-prices``, if that is installed, by its own data.

It is loaded by the thread that stores events, when the first call is to be priced, and never asks the network.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

_PROVIDERS: Final = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "aws.bedrock": "aws",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
}
"""What the GenAI conventions call otherwise than ``genai-prices``."""


def price(
    models: tuple[str, ...],
    provider: str,
    at: datetime,
    input_tokens: int,
    output_tokens: int,
    cached_tokens: int = 0,
    written_tokens: int = 0,
) -> float | None:
    """US dollars; None where nobody knows them.

    :param models: names of the model, the most exact first
    :param provider: by the GenAI conventions; empty where it is not known
    :param cached_tokens: of the input, what was read from a cache
    :param written_tokens: of the input, what was written into one
    """
    providers = dict.fromkeys((_PROVIDERS.get(provider, provider) or None, None))
    asked = ((model, provider_id) for model in filter(None, models) for provider_id in providers)
    tokens = input_tokens, output_tokens, cached_tokens, written_tokens
    found = (_price(model, provider_id, at, tokens) for model, provider_id in asked)
    return next((cost for cost in found if cost is not None), None)


def _price(model: str, provider: str | None, at: datetime, tokens: tuple[int, int, int, int]) -> float | None:
    known = _model(model, provider, datetime.now(UTC).date())
    if known is None:
        return None
    try:
        if (cost := _multiplied(known.get_prices(at), *tokens)) is None:
            keys = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
            usage = _prices().Usage(**dict(zip(keys, tokens, strict=True)))
            cost = _prices().calc_price(usage, model, provider_id=provider, genai_request_timestamp=at).total_price
        return float(cost)
    except Exception:  # a usage that makes no sense
        return None


def _multiplied(prices: Any, sent: int, got: int, cached: int, written: int) -> Decimal | None:
    """What text costs, where no more than that has a price; None is to ask the library.

    The library takes 85 µs for these products, more than storing an event does; a test compares all its models.
    """
    named = vars(prices)
    if named.get("requests_kcount") is not None or cached + written > sent:
        return None
    for_input, for_output = (_rate(named.get(key), sent) for key in ("input_mtok", "output_mtok"))
    for_cached, for_written = (
        for_input if named.get(key) is None else _rate(named[key], sent)
        for key in ("cache_read_mtok", "cache_write_mtok")
    )
    if for_input is None or for_output is None or for_cached is None or for_written is None:
        return None
    plain = for_input * (sent - cached - written) + for_output * got
    return (plain + for_cached * cached + for_written * written) / 1_000_000


def _rate(price: Any, sent: int) -> Decimal | None:
    """US dollars for a million tokens; of tiers, the highest that this many in the request reach holds for all."""
    if (tiers := getattr(price, "tiers", None)) is not None:
        price = next((tier.price for tier in reversed(tiers) if sent > tier.start), price.base)
    return price if isinstance(price, Decimal) else None


@lru_cache(maxsize=1000)
def _model(model: str, provider: str | None, day: date) -> Any:
    """With its prices; None where nobody knows it. The library looks for those that it does not know each time.

    :param day: today; a project may have the library renew what it knows
    """
    prices = _prices()
    if prices is None:
        return None
    try:
        return prices.calc_price(prices.Usage(), model, provider_id=provider).model
    except Exception:
        return None


@lru_cache(maxsize=1)
def _prices() -> Any:
    try:
        import genai_prices
    except Exception:  # not installed, or not whole
        return None
    return genai_prices
