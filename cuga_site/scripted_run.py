"""A run that shows what can be watched: agents side by side, models that think and speak, and a human who is asked.

Its words are written down; the blocks, the times and the decision are real.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from trace_streaming import TraceEmitter
from trace_streaming.exceptions import StopRequestedError

Wait = Callable[[float], bool]
"""Takes seconds; returns whether to stop."""
ANSWER_SECONDS: Final = 120.0
"""How long the agent that asks waits for an answer."""
MODEL: Final = "gpt-5"
SYSTEM: Final = "You mend software. Work with the tools, and answer in Markdown."
QUESTION: Final = "`test_expired_cart` fails now and then. Find out why, mend it, and tell the team."

FAILED: Final = (
    "\x1b[1m============================= test session starts ==============================\x1b[0m\n"
    "collected 3 items\n\n"
    "tests/test_checkout.py \x1b[32m.\x1b[0m\x1b[31mF\x1b[0m\x1b[32m.\x1b[0m"
    "\x1b[31m                                              [100%]\x1b[0m\n\n"
    "=================================== FAILURES ===================================\n"
    "\x1b[31m\x1b[1m______________________________ test_expired_cart _______________________________\x1b[0m\n\n"
    "    \x1b[94mdef\x1b[39;49;00m \x1b[92mtest_expired_cart\x1b[39;49;00m(cart):\n"
    "        cart.created = db_now() - timedelta(minutes=\x1b[94m30\x1b[39;49;00m)\n"
    ">       \x1b[94massert\x1b[39;49;00m cart.state == \x1b[33m'expired'\x1b[39;49;00m\n"
    "\x1b[1m\x1b[31mE       AssertionError: assert 'open' == 'expired'\x1b[0m\n\n"
    "\x1b[1m\x1b[31mtests/test_checkout.py\x1b[0m:31: AssertionError\n"
    "\x1b[31m========================= \x1b[1m1 failed\x1b[0m, \x1b[32m2 passed\x1b[0m\x1b[31m in 0.42s"
    " =========================\x1b[0m\n"
)
PASSED: Final = (
    "\x1b[1m============================= test session starts ==============================\x1b[0m\n"
    "collected 3 items\n\n"
    "tests/test_checkout.py \x1b[32m...\x1b[0m\x1b[32m                                              [100%]\x1b[0m\n\n"
    "\x1b[32m============================== \x1b[1m3 passed\x1b[0m\x1b[32m in 0.38s"
    " ==============================\x1b[0m\n"
)
SOURCE: Final = (
    "def checkout(cart):\n"
    "    total = sum(item.price for item in cart)\n"
    "    if now() > cart.created + timedelta(minutes=30):\n"
    "        raise Expired(cart)\n"
    "    return charge(total)\n"
)
PATCH: Final = (
    "diff --git a/shop/checkout.py b/shop/checkout.py\n"
    "--- a/shop/checkout.py\n"
    "+++ b/shop/checkout.py\n"
    "@@ -10,5 +10,6 @@ def checkout(cart):\n"
    "     total = sum(item.price for item in cart)\n"
    "-    if now() > cart.created + timedelta(minutes=30):\n"
    "+    # The clock of the database, as the fixture has it, and not that of this host.\n"
    "+    if db_now() >= cart.created + timedelta(minutes=30):\n"
    "         raise Expired(cart)\n"
    "     return charge(total)\n"
)
PLAN: Final = (
    "Two things to find out, side by side:\n\n"
    "1. **reader**: what does `checkout()` compare?\n"
    "2. **tester**: how often does the test fail?\n"
)
READ: Final = "`checkout()` asks the **host's** clock, and `created` comes from the **database's**."
TESTED: Final = "It fails in **7 of 100** runs, always by less than a second."
ANSWER: Final = (
    "## What was wrong\n\n"
    "The test compares *two clocks*: the fixture asks the database, `checkout()` asked the host.\n\n"
    "| 100 runs | failed |\n|---|---:|\n| before | 7 |\n| after | 0 |\n\n"
    "```python\nif db_now() >= cart.created + timedelta(minutes=30):\n    raise Expired(cart)\n```\n\n"
    "See [Now](https://docs.djangoproject.com/en/5.2/ref/models/database-functions/#now) in Django's manual. "
    "May I tell the team?\n"
)
MAIL: Final = (
    "Dear all,\n\ntest_expired_cart failed now and then because it compared two clocks.\n"
    "It asks the database now; 100 runs passed.\n\nYour agent\n"
)


class Stopped(Exception):  # noqa: N818  no error
    """The demonstration ends."""


class ScriptedRun:
    """One run.

    :param wait: for as long as the agents would think, or work
    :raises Stopped: when ``wait`` says that it is over
    """

    def __init__(self, emitter: TraceEmitter, wait: Wait) -> None:
        self._emitter = emitter
        self._wait = wait
        self._messages = [_message("system", SYSTEM), _message("user", QUESTION)]

    def play(self) -> None:
        """From the question to what came of the human's decision."""
        emitter = self._emitter
        emitter.emit("plan_created", {"goal": "Mend test_expired_cart", "steps": ["look", "mend", "tell"]}, "success")
        with emitter.agent("orchestrator") as run:
            self._says(PLAN, (1812, 96, 0.0031))
            self._side_by_side(self._reads, self._tests)
            self._messages += [_message("user", f"reader: {READ}"), _message("user", f"tester: {TESTED}")]
            self._calls("apply_patch", {"path": "shop/checkout.py", "patch": PATCH}, '{"applied": true, "hunks": 1}')
            self._uses("bash", {"command": "pytest -q tests/test_checkout.py"}, PASSED, 2)
            self._says(ANSWER, (4120, 231, 0.0094))
            run.result = self._tells()

    def _reads(self) -> None:
        with self._emitter.agent("reader") as run:
            with suppress(FileNotFoundError), self._emitter.tool_call("read_file", path="shop/chekout.py") as call:
                self._pause(0.4)
                call.result = Path("shop/chekout.py").read_text(encoding="utf-8")  # which is not there
            self._uses("read_file", {"path": "shop/checkout.py"}, SOURCE, 0.6)
            run.result = self._speaks([_message("user", SOURCE)], READ, (640, 38, 0.0012))

    def _tests(self) -> None:
        with self._emitter.agent("tester") as run:
            self._uses("bash", {"command": "pytest -q tests/test_checkout.py", "times": 100}, FAILED, 3)
            run.result = self._speaks([_message("user", FAILED)], TESTED, (910, 31, 0.0015))

    def _tells(self) -> str:
        decision = self._emitter.request_approval(
            "Tell the team by mail",
            tool_name="send_mail",
            risk_level="medium",
            arguments={
                "to": ["the team"],
                "subject": "test_expired_cart is mended",
                "body": MAIL,
                "copy_to_me": True,
            },
            timeout=ANSWER_SECONDS,
        )
        if not decision.is_approved:
            self._says(f"Then I keep it to myself ({decision.decision}).", (4460, 22, 0.0081))
            return "Mended; nobody was told."
        self._uses("send_mail", decision.arguments, {"sent": True}, 0.5)
        self._says("Done: **the team knows**.", (4480, 12, 0.0080))
        return "Mended, and the team was told."

    def _side_by_side(self, *parts: Callable[[], None]) -> None:
        with ThreadPoolExecutor(len(parts)) as threads:
            for done in [threads.submit(copy_context().run, part) for part in parts]:
                done.result()

    def _says(self, text: str, used: tuple[int, int, float]) -> None:
        self._speaks(self._messages, text, used)
        self._messages.append(_message("assistant", text))

    def _speaks(self, messages: Sequence[Any], text: str, used: tuple[int, int, float]) -> str:
        """A model's call, which says it word by word."""
        with self._emitter.llm_call(MODEL, provider="openai", messages=messages) as call:
            self._pause(0.7)
            call.first_chunk()
            for word in text.split(" "):
                call.stream(f"{word} ")
                self._pause(0.06)
            sent, got, cost = used
            call.usage(input_tokens=sent, output_tokens=got, cached_tokens=sent // 2, cost=cost)
            call.result = [_message("assistant", text)]
        return text

    def _calls(self, tool: str, arguments: Mapping[str, Any], result: Any) -> None:
        """What a model asks for, and its tool carries out."""
        call_id = f"call_{tool}_{self._emitter.trace_id[-6:]}"
        asked = {"type": "tool_call", "id": call_id, "name": tool, "arguments": dict(arguments)}
        with self._emitter.llm_call(MODEL, provider="openai", messages=self._messages) as call:
            self._pause(0.9)
            call.usage(input_tokens=3020, output_tokens=88, cached_tokens=1500, cost=0.0062)
            call.result = [{"role": "assistant", "parts": [asked], "finish_reason": "tool_call"}]
        self._emitter.open_span("tool_call", tool, call_id=call_id, details={"args": arguments})
        self._pause(0.4)
        self._emitter.close_span("tool_call", call_id, details={"result": result})
        answer = {"type": "tool_call_response", "id": call_id, "response": result}
        self._messages += [{"role": "assistant", "parts": [asked]}, {"role": "tool", "parts": [answer]}]

    def _uses(self, tool: str, arguments: Mapping[str, Any], result: Any, seconds: float) -> None:
        with self._emitter.tool_call(tool, **arguments) as call:
            self._pause(seconds)
            call.result = result

    def _pause(self, seconds: float) -> None:
        if self._wait(seconds):
            raise Stopped
        self._emitter.check_stop()


def play_scripted_run(wait: Wait) -> None:
    """One run, under a trace id of its own; it ends early where somebody asks it to stop.

    :raises Stopped: when ``wait`` says that it is over
    """
    suffix = datetime.now().strftime("%H%M%S")  # noqa: DTZ005  for people to read
    name, conversation, tags = "Mend the flaky checkout test", "shop-4711", ["demonstration"]
    emitter = TraceEmitter(f"checkout-{suffix}", name=name, conversation=conversation, tags=tags)
    with suppress(StopRequestedError), emitter:
        ScriptedRun(emitter, wait).play()


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}
