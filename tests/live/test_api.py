"""The REST API on real servers: what is posted is stored once, and every answer is a documented one."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import StartSite
from tests.live.reports import report
from tests.live.servers import ROOT, Server

CLIENTS = 8
TIMES = 50
BATCH = 20
EXAMPLES = 25
"""Requests that Schemathesis makes of each kind."""


def writer(server: Server, name: str) -> str:
    """A user who may do everything; returns what authenticates it."""
    env = {**server.env, "DJANGO_SUPERUSER_PASSWORD": name}
    command = [sys.executable, "manage.py", "createsuperuser", "--noinput", "--username", name, "--email=a@example.com"]
    subprocess.run(command, cwd=server.project, env=env, check=True, capture_output=True)
    return "Basic " + base64.b64encode(f"{name}:{name}".encode()).decode()


def post(server: Server, path: str, body: object, authorization: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    try:
        connection.request("POST", f"/api/traces/{path}", json.dumps(body), headers)
        with connection.getresponse() as response:
            return response.status, json.load(response)
    finally:
        connection.close()


@pytest.mark.takes(seconds=10)
@pytest.mark.parametrize("layer", ["none", "pubsub"], ids=["sqlite", "postgresql"])
async def test_the_same_batch_by_many_clients_is_stored_once(start_site: StartSite, trace_id: str, layer: str) -> None:
    """8 clients, 50 times over, each on one of two serving processes; the numbers have no hole."""
    site = start_site(layer)
    authorization = await asyncio.to_thread(writer, site.servers[0], f"writer-{layer}")
    together = threading.Barrier(CLIENTS)

    def client(number: int) -> set[int]:
        answers = set()
        for time in range(TIMES):
            events = [
                {"event": "plan_created", "event_id": f"{time}-{n}", "details": {"by": "client", "number": n}}
                for n in range(BATCH)
            ]
            together.wait(60)
            status, answer = post(site.servers[number % 2], f"{trace_id}/events", {"events": events}, authorization)
            assert (answer["accepted"], answer["errors"]) == (BATCH, [])
            answers.add(status)
        return answers

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = await asyncio.gather(
            *(asyncio.get_running_loop().run_in_executor(threads, client, number) for number in range(CLIENTS))
        )
    assert set().union(*answers) == {200}
    log = site.log(trace_id)
    assert [sequence for sequence, _ in log] == list(range(1, TIMES * BATCH + 1))
    assert [details["number"] for _, details in log] == list(range(BATCH)) * TIMES
    report("ingest", {"database": layer, "clients": CLIENTS, "posted": CLIENTS * TIMES * BATCH, "stored": len(log)})


async def test_a_repeat_after_a_restart_is_harmless(own_server: Server, trace_id: str) -> None:
    """The server is killed behind an answer, and in front of one that never came."""
    authorization = await asyncio.to_thread(writer, own_server, "writer")
    body = {"events": [{"event": "plan_created", "event_id": str(n)} for n in range(10)]}
    for _ in range(3):
        assert await asyncio.to_thread(post, own_server, f"{trace_id}/events", body, authorization) == (
            200,
            {"accepted": 10, "stored": True, "errors": []},
        )
        own_server.process.kill()
        own_server.process.wait()
        own_server.start()
    page = await asyncio.to_thread(own_server.get, f"/api/traces/{trace_id}/events")
    assert [event["sequence"] for event in page["events"]] == list(range(1, 11))


@pytest.mark.thorough
@pytest.mark.takes(seconds=35)
async def test_every_answer_is_a_documented_one(server: Server, trace_id: str, tmp_path: Path) -> None:
    """Schemathesis, by the schema that the server gives; a stream is bounded by its trace's end."""
    pytest.importorskip("schemathesis", exc_type=ImportError)
    authorization = await asyncio.to_thread(writer, server, f"schemathesis-{server.kind}")
    for path, body in (("events", {"event": "plan_created"}), ("end", {"state": "success"})):
        await asyncio.to_thread(post, server, f"t-1/{path}", body, authorization)
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        f'request-timeout = 20\nheaders = {{ Authorization = "{authorization}" }}\n'
        # A trace may be watched before it begins: only of one that has ended does the stream end.
        '[[operations]]\ninclude-path-regex = "stream"\nparameters = { "path.trace_id" = "t-1" }\n'
    )
    options = ["--seed=1", f"--max-examples={EXAMPLES}", "--checks=all", "--phases=examples,coverage,fuzzing"]
    options += [
        "--exclude-checks=positive_data_acceptance,negative_data_rejection,ignored_auth,missing_required_header"
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", *options),
        f"http://127.0.0.1:{server.port}/api/schema/?format=json",
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def test_the_examples_of_the_documentation(own_server: Server, tmp_path: Path) -> None:
    """One after the other, as they stand there; the stream ends with its trace."""
    await asyncio.to_thread(writer, own_server, "ada")
    commands = re.findall(r"^\$ (curl .*)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    host = f"http://127.0.0.1:{own_server.port}"
    outputs = []
    for command in commands:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", command),
            cwd=tmp_path,
            env={**os.environ, "HOST": host, "USER": "ada:ada"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            output, error = await process.communicate()
        assert process.returncode == 0, (command, error, output)
        outputs.append(output.decode())
    assert len(commands) == 9
    out = (ROOT / "docs" / "opentelemetry.md").read_text().split("## Out\n")[1]
    for command in re.findall(r"^\$ (.*t-1\.json)$", out, re.MULTILINE):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = {**own_server.env, "HOST": host, "USER": "ada:ada", "PATH": path}
        told = tmp_path / "t-1.json"
        there = command.replace("t-1.json", str(told))
        await asyncio.to_thread(subprocess.run, ["bash", "-c", there], cwd=ROOT, env=env, check=True, timeout=60)
        assert json.loads(told.read_text())["resourceSpans"]
        told.unlink()
    assert json.loads(outputs[1])["accepted"] == 2
    assert json.loads(outputs[3])["results"][0]["owner"] == "ada"
    assert [event["sequence"] for event in json.loads(outputs[5])["events"]] == [2, 3]
    assert len(outputs[6].splitlines()) == 2
    assert json.loads((tmp_path / "t-1.trace.json").read_text())["traceEvents"]
    assert outputs[8].endswith('event: ended\nid: 3\ndata: {"state":"success","sequence":3}\n\n')
