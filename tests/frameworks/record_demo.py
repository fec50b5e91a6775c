"""``make recording``: the run that the demonstration begins with, made by LangGraph and told by our adapter.

Its models are scripted, and its tools return what is written down here; both sleep while it is recorded, so that its
times are those of a run that somebody could have seen. It is run twice, for the two decisions, and written as three
traces of one file: ``asked`` ends with the question, ``approved`` and ``rejected`` are what comes behind it.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, wrap_tool_call
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

ROOT: Final = Path(__file__).resolve().parents[2]
RECORDING: Final = ROOT / "cuga_site" / "recordings" / "langgraph" / "checkout.jsonl"
PARTS: Final = {"approved": "asked", "rejected": ""}
"""The decisions, and what the part before each is called; of the second it is left out."""

MODEL: Final = "gpt-5"
CONVERSATION: Final = "shop-4711"
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
SENT: Final = "Done: **the team knows**."
KEPT: Final = "Then I keep it to myself: the test is mended, and nobody was told."
LOOKS: Final = "What does `checkout()` in `shop/checkout.py` compare?"
TRIES: Final = "How often does `test_expired_cart` fail?"

_WORD_SECONDS: Final = 0.09
_THINKS_SECONDS: Final = 0.8
_READS_SECONDS: Final = 0.0004
"""Of each token that it is sent."""


class ScriptedModel(BaseChatModel):
    """Says one turn after the other, word by word, and how many tokens it took."""

    turns: Iterator[AIMessage]
    pace: float
    streaming: bool

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": MODEL}

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {"ls_provider": "openai", "ls_model_name": MODEL, "ls_model_type": "chat"}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[each.name for each in tools])

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        return generate_from_stream(self._stream(messages, stop, **kwargs))

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
        turn = next(self.turns)
        used = turn.usage_metadata or {"input_tokens": 0}
        time.sleep((_THINKS_SECONDS + _READS_SECONDS * used["input_tokens"]) * self.pace)
        for word in re.findall(r"\S+\s*", turn.text):
            yield ChatGenerationChunk(message=AIMessageChunk(word))
            time.sleep(_WORD_SECONDS * self.pace)
        asked = [
            {"name": each["name"], "args": orjson.dumps(each["args"]).decode(), "id": each["id"], "index": number}
            for number, each in enumerate(turn.tool_calls)
        ]
        last = AIMessageChunk(
            "",
            tool_call_chunks=asked,
            usage_metadata=turn.usage_metadata,
            response_metadata=turn.response_metadata,
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=last)


def turn(text: str, used: tuple[int, int], **calls: dict[str, Any]) -> AIMessage:
    """What a model says, and which tools it asks for.

    :param used: tokens that it was sent, of which half were known to it, and tokens of its answer; it says their price
    """
    sent, got = used
    return AIMessage(
        text,
        tool_calls=[{"name": name, "args": args, "id": f"call_{name}_{sent}"} for name, args in calls.items()],
        usage_metadata={
            "input_tokens": sent,
            "output_tokens": got,
            "total_tokens": sent + got,
            "input_token_details": {"cache_read": sent // 2},
        },
        response_metadata={
            "model_name": MODEL,
            "finish_reason": "tool_calls" if calls else "stop",
            "token_usage": {"cost": round((sent * 0.6875 + got * 10) / 1_000_000, 6)},
        },
    )


@wrap_tool_call
def told_to_the_model(request: Any, handler: Any) -> Any:
    """A tool's error, which would end the run otherwise."""
    try:
        return handler(request)
    except OSError as error:
        return ToolMessage(str(error), tool_call_id=request.tool_call["id"], status="error")


def asked(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def team(last_words: str, pace: float) -> Any:
    """The orchestrator, with the two that work for it.

    :param last_words: what it says behind the human's decision
    :param pace: how long models and tools take: 1 is as long as somebody could have seen, 0 no time
    """

    @tool
    def read_file(path: str) -> str:
        """Read a file."""
        time.sleep(0.6 * pace)
        return SOURCE if path == "shop/checkout.py" else Path(path).read_text(encoding="utf-8")

    @tool
    def bash(command: str, times: int = 1) -> str:
        """Run a command, several times; the output of the worst."""
        time.sleep((9 if times > 1 else 4) * pace)
        return FAILED if times > 1 else PASSED

    @tool
    def apply_patch(path: str, patch: str) -> dict[str, Any]:
        """Apply a patch to a file."""
        time.sleep(0.7 * pace)
        return {"applied": True, "hunks": 1}

    @tool
    def send_mail(to: list[str], subject: str, body: str, *, copy_to_me: bool = False) -> dict[str, Any]:
        """Send a mail."""
        time.sleep(1.2 * pace)
        return {"sent": True}

    def agent(name: str, tools: list[Any], *turns: AIMessage, **options: Any) -> Any:
        model = ScriptedModel(turns=iter(turns), pace=pace, streaming=True)
        return create_agent(model, tools, system_prompt=SYSTEM, name=name, **options)

    reader = agent(
        "reader",
        [read_file],
        turn("", (412, 21), read_file={"path": "shop/chekout.py"}),
        turn("", (466, 21), read_file={"path": "shop/checkout.py"}),
        turn(READ, (640, 38)),
        middleware=[told_to_the_model],
    )
    tester = agent(
        "tester",
        [bash],
        turn("", (408, 30), bash={"command": "pytest -q tests/test_checkout.py", "times": 100}),
        turn(TESTED, (910, 31)),
    )

    @tool
    def ask_reader(question: str) -> str:
        """Ask the one that reads sources."""
        return str(reader.invoke(asked(question))["messages"][-1].text)

    @tool
    def ask_tester(question: str) -> str:
        """Ask the one that runs tests."""
        return str(tester.invoke(asked(question))["messages"][-1].text)

    mail = {"to": ["the team"], "subject": "test_expired_cart is mended", "body": MAIL, "copy_to_me": True}
    return agent(
        "orchestrator",
        [ask_reader, ask_tester, apply_patch, bash, send_mail],
        turn(PLAN, (1812, 96), ask_reader={"question": LOOKS}, ask_tester={"question": TRIES}),
        turn("", (3020, 188), apply_patch={"path": "shop/checkout.py", "patch": PATCH}),
        turn("", (3256, 28), bash={"command": "pytest -q tests/test_checkout.py"}),
        turn(ANSWER, (4120, 331), send_mail=mail),
        turn(last_words, (4480, 12)),
        middleware=[HumanInTheLoopMiddleware({"send_mail": {"allowed_decisions": ["approve", "edit", "reject"]}})],
        checkpointer=InMemorySaver(),
    )


def record(decision: str, pace: float) -> list[dict[str, Any]]:
    """Run it, decide what it asks, and return what is stored of it.

    What a model was sent is there as a whole: what goes on behind the question stands in more than one run.
    """
    from tests.frameworks.conftest import stored
    from trace_streaming import TraceEmitter
    from trace_streaming.approvals import decisions
    from trace_streaming.events.conversations import INPUT, Conversations
    from trace_streaming.integrations.langchain import TraceCallbackHandler, run_with_approvals
    from trace_streaming.models import Approval

    graph = team(SENT if decision == "approved" else KEPT, pace)
    config = {"configurable": {"thread_id": CONVERSATION}, "callbacks": [TraceCallbackHandler()]}
    with TraceEmitter() as emitter:
        run_with_approvals(graph, asked(QUESTION), config, wait=False)
        assert emitter.flush(60)
        asked_for = Approval.objects.get(trace_id=emitter.trace_id)
        decisions.decide(asked_for, decision, user=None, channel="api")
        run_with_approvals(graph, None, config)
        events = stored(emitter)
    sent = Conversations(events)
    for details in [event["details"] for event in events if event["event"] == "llm_call_start"]:
        details[INPUT] = sent.messages(details["call_id"])
        details.pop("history_call_id", None)
        details.pop("history_count", None)
    return events


def parts(events: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What there is up to the question, and what comes behind the answer."""
    names = [event["event"] for event in events]
    return events[: names.index("approval_requested") + 1], events[names.index("approval_received") + 1 :]


def lines(pace: float = 1.0) -> Iterator[bytes]:
    """The file's, without the places of this machine."""
    for decision, before in PARTS.items():
        for name, part in zip((before, decision), parts(record(decision, pace)), strict=True):
            for event in part if name else ():
                line = orjson.dumps({"trace_id": name, **event})
                for place in sorted(filter(None, sys.path), key=len, reverse=True):
                    line = line.replace(f"{place}/".encode(), b"")
                yield line


@contextmanager
def database() -> Iterator[None]:
    """One of its own, for as long as it takes."""
    with tempfile.TemporaryDirectory() as place:
        os.environ |= {
            "DATABASE_URL": f"sqlite:///{place}/recording.sqlite3",
            "DJANGO_SETTINGS_MODULE": "cuga_site.settings",
            "LANGSMITH_TRACING": "false",
        }
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        from trace_streaming.recording.recorder import recorder

        try:
            yield
        finally:
            recorder.close()


if __name__ == "__main__":
    with database():
        RECORDING.write_bytes(b"".join(line + b"\n" for line in lines()))
