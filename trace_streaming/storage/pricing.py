"""What a model's call costs where nobody has said it: by ``genai-prices``, if that is installed, by its own data.

It is loaded by the thread that stores events, when the first call is to be priced, and never asks the network.
"""

from __future__ import annotations

from datetime import datetime
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
) -> float | None:
    """US dollars; None where nobody knows them.

    :param models: names of the model, the most exact first
    :param provider: by the GenAI conventions; empty where it is not known
    """
    prices = _prices()
    if prices is None:
        return None
    usage = prices.Usage(input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=cached_tokens)
    providers = dict.fromkeys((_PROVIDERS.get(provider, provider) or None, None))
    asked = ((model, provider_id) for model in filter(None, models) for provider_id in providers)
    found = (_price(prices, usage, model, provider_id, at) for model, provider_id in asked)
    return next((cost for cost in found if cost is not None), None)


def _price(prices: Any, usage: Any, model: str, provider: str | None, at: datetime) -> float | None:
    if not _is_known(model, provider):
        return None
    try:
        return float(prices.calc_price(usage, model, provider_id=provider, genai_request_timestamp=at).total_price)
    except Exception:  # an unknown model, or a usage that makes no sense
        return None


@lru_cache(maxsize=1000)
def _is_known(model: str, provider: str | None) -> bool:
    """Whether it has a price: the library remembers what it has found, and looks for all else again each time."""
    prices = _prices()
    try:
        prices.calc_price(prices.Usage(), model, provider_id=provider)
    except LookupError:
        return False
    except Exception:  # of a price that depends on more
        return True
    return True


@lru_cache(maxsize=1)
def _prices() -> Any:
    try:
        import genai_prices
    except Exception:  # not installed, or not whole
        return None
    return genai_prices
