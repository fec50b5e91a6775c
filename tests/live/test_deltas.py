"""Text that streams, on real servers: to the watchers of every process, beside a log that does not change."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from tests.live.conftest import StartSite
from tests.live.servers import Server
from tests.live.watching import V1, watch
from trace_streaming.remote import RemoteTraceEmitter

SECONDS = 30


SAID = "The weather is fine, and the password is [redacted:key] as it was. "


@pytest.mark.takes(seconds=10)
@pytest.mark.parametrize("layer", ["none", "pubsub", "core"])
async def test_a_remote_agents_words_reach_the_watchers_of_every_process(
    start_site: StartSite, trace_id: str, layer: str
) -> None:
    """In order, redacted, and before the call's result; the numbers of the log are those of its events."""
    site = start_site(layer)
    token = await asyncio.to_thread(new_token, site.servers[0], f"ada-{layer}")
    sender, others = site.servers[0], site.servers if layer != "none" else site.servers[:1]
    async with AsyncExitStack() as stack:
        sockets = [await watch(stack, server.url(trace_id), V1) for server in others]
        heard = [threading.Event() for _ in sockets]
        told = asyncio.gather(*(words(*each) for each in zip(sockets, heard, strict=True)))
        await asyncio.to_thread(speak, f"http://127.0.0.1:{sender.port}", token, trace_id, heard)
        async with asyncio.timeout(2 * SECONDS):
            for began, text, sequences in await told:
                assert text
                assert (SAID + "\n" * len(text))[began:].startswith(text)
                assert "hunter2" not in text
                assert sequences == [1, 2]


def new_token(server: Server, name: str) -> str:
    """Of a user who may do everything."""
    server.manage("createsuperuser", "--noinput", "--username", name, "--email", "ada@example.com")
    return server.manage("drf_create_token", name).stdout.split()[2]


def speak(url: str, token: str, trace_id: str, heard: Sequence[threading.Event]) -> None:
    """Until all have heard something: what comes behind the end, as on a busy machine, is told nobody."""
    with RemoteTraceEmitter(url, token, trace_id) as emitter, emitter.llm_call("m") as call:
        for piece in ("The weather is fine, and the pass", "word is hunter2-Tr0", "ub4dor as it was. ", "\n"):
            call.stream(piece)
            time.sleep(0.3)  # as a model that thinks, longer than pieces are gathered
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and not all(one.wait(0.3) for one in heard):
            call.stream("\n")
        call.result = "It is fine."
    assert emitter.flush(SECONDS)


async def words(socket: ClientConnection, heard: threading.Event) -> tuple[int, str, list[int]]:
    """What is told until the call's result, from where on, and the numbers of the events beside.

    Who still reads the log when the call begins does without its first words.
    """
    began, text, sequences = -1, "", list[int]()
    while len(sequences) < 2:
        frame = orjson.loads(await socket.recv())
        if frame["type"] == "delta":
            began = frame["offset"] if began < 0 else began
            assert frame["offset"] == began + len(text)
            text += frame["text"]
            heard.set()
        elif frame["type"] == "events":
            sequences += [event["sequence"] for event in frame["events"]]
    return began, text, sequences
