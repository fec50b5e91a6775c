"""``<trace-viewer>`` in a real browser, against a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Page, Route, WebSocket, expect

from .conftest import IN_A_BROWSER, Site
from .viewing import (
    LOST_CONNECTION,
    PATIENCE_MS,
    RECORDINGS,
    RUN,
    expect_events,
    expect_state,
    lines,
    made,
    open_event,
    received,
    row,
    rows,
    write_lines,
)

pytestmark = IN_A_BROWSER

HOSTILE = (
    '<img src=x onerror="window.hacked = 1">',
    "</script><script>window.hacked = 1</script>",
    "</span></div></template><h4>",
    "&lt;b&gt; \u202e \u0000 ${window.hacked = 1}",
)


async def test_a_finished_trace_is_shown_completely_once_and_in_order(site: Site, page: Page, recording: Path) -> None:
    """Every event is received as it was recorded; one row for a call and its end."""
    recorded = [json.loads(line) for line in recording.read_bytes().splitlines()]
    await site.play(recording, "finished")

    await page.goto(site.url("/dashboard/traces/finished"))
    await expect_state(page, "Ended: error" if "error" in [event["status"] for event in recorded] else "Ended: success")

    await expect_events(page, len(recorded))
    shown = await received(page)
    assert [(event["event"], event["status"]) for event in shown] == [(e["event"], e["status"]) for e in recorded]
    ends = ("tool_call_complete", "tool_call_error", "approval_received", "approval_timeout")
    expected = sum(event["event"] not in ends for event in recorded)
    assert await page.get_by_role("treegrid").get_attribute("aria-rowcount") == str(expected + 1)
    await page.get_by_role("treegrid").focus()
    await page.keyboard.press("End")
    await expect(row(page, len(recorded))).to_be_in_viewport()


async def test_a_running_trace_is_shown_as_it_happens(site: Site, page: Page) -> None:
    """The viewer waits for a trace that has not begun; then every event is there before the next is emitted."""
    run = await site.begin_run("running")
    await page.goto(site.url("/dashboard/traces/running"))
    await expect_state(page, "Not begun")
    await expect(page.get_by_text("There is no trace of this id yet.")).to_be_visible()

    for number, line in enumerate(RUN[:6], 1):
        await run.emit([line])
        await expect_events(page, number)
    await expect(page.get_by_text("There is no trace of this id yet.")).to_be_hidden()
    await expect(page.get_by_text("Waiting for the next event.")).to_be_visible()
    await expect_state(page, "Live")
    assert [await line.get_attribute("data-sequences") for line in await rows(page).all()] == [
        "1",
        "2",
        "3 4",
        "5",
        "6",
    ]

    await run.end()
    await expect_state(page, "Ended: success")
    await expect(page.get_by_text("End of the trace: success.")).to_be_visible()
    await expect(row(page, 6)).to_contain_text("Unfinished")
    await expect_events(page, 6)


async def test_an_open_call_counts_its_time_until_it_ends(site: Site, page: Page) -> None:
    """Running and growing first, then with the duration that its end says."""
    run = await site.begin_run("open")
    await page.goto(site.url("/dashboard/traces/open"))
    await run.emit(lines(made("tool_call_start", tool="search", call_id="a")))
    await expect(row(page, 1)).to_contain_text("Running")
    await expect(row(page, 1).locator(".duration")).to_have_text(re.compile(r"^(0\.[3-9]|[1-9][\d.]*) s$"))
    width = await row(page, 1).locator(".bar").evaluate("bar => bar.getBoundingClientRect().width")
    assert width > 100

    await run.emit(lines(made("tool_call_complete", "success", tool="search", call_id="a", duration_ms=1234.5)))
    await expect(row(page, 2)).to_contain_text("Success")
    await expect(row(page, 2).locator(".duration")).to_have_text("1.23 s")
    await run.end()


@pytest.mark.parametrize("opened", ["before its first event", "in its middle"])
async def test_a_killed_and_restarted_server_costs_the_viewer_no_event(
    site: Site, page: Page, tolerated: list[str], opened: Literal["before its first event", "in its middle"]
) -> None:
    """Events that were emitted before, during and after the outage are each there once."""
    tolerated.append(LOST_CONNECTION)
    run = await site.begin_run("interrupted")
    if opened == "in its middle":
        await run.emit(RUN[:5])
        await page.goto(site.url("/"))
        await page.get_by_role("link", name="interrupted").click(timeout=PATIENCE_MS)
    else:
        await page.goto(site.url("/dashboard/traces/interrupted"))
    await expect_state(page, "Live" if opened == "in its middle" else "Not begun")
    await run.emit(RUN[5:20] if opened == "in its middle" else RUN[:20])
    await expect_events(page, 20)

    await site.kill()
    await expect(page.locator(".state")).to_contain_text("Reconnecting", timeout=PATIENCE_MS)
    await expect(page.get_by_text("The connection was lost after event 20.")).to_be_visible()
    await run.emit(RUN[20:30])
    await expect_events(page, 20)

    await site.start()
    await expect_state(page, "Live")
    await expect_events(page, 30)
    await run.emit(RUN[30:])
    await run.end()
    await expect_state(page, "Ended: success")
    await expect_events(page, len(RUN))


async def test_time_stands_still_without_a_connection(site: Site, page: Page, tolerated: list[str]) -> None:
    """Of a call that is open when the connection is lost nobody knows whether it still is."""
    tolerated.append(LOST_CONNECTION)
    run = await site.begin_run("still")
    await page.goto(site.url("/dashboard/traces/still"))
    await run.emit(lines(made("tool_call_start", tool="search", call_id="a")))
    duration = row(page, 1).locator(".duration")
    await expect(duration).to_have_text(re.compile(r"^0\.[1-9] s$|^[1-9]"))
    await site.kill()
    await expect(page.locator(".state")).to_contain_text("Reconnecting", timeout=PATIENCE_MS)
    shown = await duration.text_content()
    await expect(page.locator(".state")).to_have_text("Reconnecting in 2 s", timeout=PATIENCE_MS)  # of a later attempt
    assert await duration.text_content() == shown


async def test_a_refused_viewer_says_why_and_does_not_come_back(site: Site, page: Page, tolerated: list[str]) -> None:
    """After a close code of 4400 to 4499 there is no further attempt."""
    tolerated.append(LOST_CONNECTION)
    sockets: list[WebSocket] = []

    def note(opened: WebSocket) -> None:
        sockets.append(opened)

    page.on("websocket", note)
    await page.clock.install()
    await page.goto(site.url("/dashboard/traces/closed"))
    await expect_state(page, "Not begun")

    await site.kill()
    # Without DJANGO_DEBUG the site is closed to those who have not logged in.
    await site.start(DJANGO_DEBUG="0", DJANGO_SECRET_KEY="k" * 50, DJANGO_ALLOWED_HOSTS="127.0.0.1")
    await expect_state(page, "Disconnected")

    await expect(page.get_by_role("alert")).to_have_text("Log in to watch this trace, then load this page again")
    attempts = len(sockets)
    await page.clock.fast_forward("10:00")
    await expect_state(page, "Disconnected")
    assert len(sockets) == attempts


async def test_a_server_without_websockets_is_said_to_be_one(
    site: Site, page: Page, tmp_path: Path, tolerated: list[str]
) -> None:
    """Who has forgotten daphne, or has a proxy that lets no socket through, is told what to look for."""
    tolerated.append(LOST_CONNECTION)
    await site.play(write_lines(tmp_path / "one.jsonl", [made("plan_created")]), "one")
    await page.goto(site.url("/dashboard/traces/one"))
    await expect_state(page, "Ended: success")

    viewer = page.locator("trace-viewer")
    await viewer.evaluate("viewer => viewer.setAttribute('url', '/ws/nowhere')")
    await expect_state(page, "No connection")
    await expect(page.get_by_text("There is no connection to the trace yet; it is tried again.")).to_be_visible()
    await expect(page.get_by_text("daphne in INSTALLED_APPS")).to_be_visible()

    await viewer.evaluate("viewer => viewer.setAttribute('url', '/ws/traces/one')")
    await expect_events(page, 1)
    await expect(page.get_by_text("There is no connection")).to_be_hidden()


async def test_a_plain_connection_does_not_pretend_to_know_the_end(site: Site, page: Page) -> None:
    """The profile without subprotocols does not tell it: then the viewer says so, and shows the same events."""
    run = await site.begin_run("plain")
    await page.add_init_script("window.WebSocket = class extends WebSocket { constructor(url) { super(url) } }")
    await page.goto(site.url("/dashboard/traces/plain"))
    await run.emit(RUN)
    await run.end()
    await expect_events(page, len(RUN))
    await expect_state(page, "Live")
    await expect(page.locator(".foot")).to_have_text(
        "Waiting for the next event. This connection does not tell when the trace ends."
    )
    assert await page.evaluate("document.querySelector('trace-viewer').endState") is None


async def test_hostile_content_is_shown_as_text(site: Site, page: Page, tmp_path: Path) -> None:
    """Markup in every field that the viewer knows, and in keys and values that it does not, stays text."""
    events = []
    for text in HOSTILE:
        nested = {text: [text, {text: text}]}
        call: dict[str, Any] = {"tool": text, "call_id": text, "args": nested, text: text}
        events += [
            made("plan_created", "success", goal=text, steps=[text]),
            made("route_decision", "success", agent_selected=text, reasoning=text),
            made("tool_call_start", **call),
            made("tool_call_error", "error", **call, error=text, error_type=text, parent_call_id=text),
            made("budget_warning", "warning", budget_type=text, domain=text, utilization=0.5),
            made("approval_requested", approval_id=text, tool_name=text, risk_level=text, arguments=nested),
            made("approval_received", "error", approval_id=text, decision=text, reason=text, decided_by=text),
        ]
    await site.play(write_lines(tmp_path / "hostile.jsonl", events), "hostile")
    await page.route("**/traces/hostile", forbid_markup)

    await page.goto(site.url("/dashboard/traces/hostile"))
    await expect_events(page, len(events))
    for index, text in enumerate(text.replace("\u202e", "\\u202e") for text in HOSTILE):
        for number in (1, 2, 4, 5, 7):
            panel = await open_event(page, index * 7 + number)
            shown = " ".join(await panel.locator(".value").all_text_contents())
            assert text in shown
            await expect(row(page, index * 7 + number)).to_be_visible()
        panel = await open_event(page, index * 7 + 3)
        assert await panel.locator(".title").text_content() == text.replace("\0", "\ufffd")
        assert await row(page, index * 7 + 3).locator(".main > .label").text_content() == text.replace("\0", "\ufffd")
        assert text in await panel.locator(".key").all_text_contents()
    assert await page.locator("trace-viewer").locator("img, script, h4, b, template").count() == 0
    assert await page.evaluate("window.hacked") is None


async def forbid_markup(route: Route) -> None:
    """With this policy the browser itself refuses whatever would parse a text as markup or as a script."""
    response = await route.fetch()
    policy = response.headers["content-security-policy"] + "; require-trusted-types-for 'script'"
    await route.fulfill(response=response, headers={**response.headers, "content-security-policy": policy})


async def test_a_long_trace_arrives_completely_because_it_is_acknowledged(
    site: Site, page: Page, tmp_path: Path
) -> None:
    """Several times the bytes that the server leaves unacknowledged."""
    events = [made("tool_call_complete", "success", tool="search", result="é" * 1000)] * 3000
    await site.play(write_lines(tmp_path / "long.jsonl", events), "long")

    await page.goto(site.url("/dashboard/traces/long"))

    await expect_state(page, "Ended: success")
    await expect_events(page, 3000)


async def test_missing_history_is_named(site: Site, page: Page) -> None:
    """Where events were pruned, the viewer says which, whatever it is filtered for."""
    await site.play(RECORDINGS / "swe-agent-ctf-katy.jsonl", "pruned")
    await site.manage(
        "shell", "-c", "from trace_streaming.models import Event; Event.objects.filter(sequence__lte=7).delete()"
    )

    await page.goto(site.url("/dashboard/traces/pruned"))

    await expect_state(page, "Ended: success")
    await expect(rows(page).first).to_contain_text("Events 1 to 7 are no longer stored.")
    assert [event["sequence"] for event in await received(page)] == list(range(8, len(RUN) + 1))
    await page.get_by_label("Search events").fill("no such thing")
    await expect(rows(page)).to_have_count(1)
    await expect(rows(page)).to_contain_text("Events 1 to 7 are no longer stored.")


async def test_a_trace_that_began_again_is_shown_anew(site: Site, page: Page) -> None:
    """The events of a deleted trace make way for those of its successor, and the viewer says so."""
    await site.play(RECORDINGS / "swe-agent-ctf-katy.jsonl", "again")
    await page.goto(site.url("/dashboard/traces/again"))
    await expect_events(page, len(RUN))

    await site.manage("shell", "-c", "from trace_streaming.models import Trace; Trace.objects.all().delete()")
    await site.play(RECORDINGS / "swe-agent-marshmallow-1867.jsonl", "again")

    await expect_events(page, 34)
    await expect_state(page, "Ended: success")
    await page.get_by_role("treegrid").evaluate("grid => { grid.scrollTop = 0 }")
    await expect(page.get_by_text("The trace was deleted.")).to_be_visible(timeout=PATIENCE_MS)


async def test_the_newest_event_stays_in_view_until_somebody_reads(site: Site, page: Page) -> None:
    """A running trace scrolls along, stands still after scrolling up, counts what comes, and goes on when asked."""
    jump = page.locator(".jump")
    follow = page.locator("button.follow")
    run = await site.begin_run("followed")
    await page.goto(site.url("/dashboard/traces/followed"))
    await expect_state(page, "Not begun")
    await run.emit(RUN[:40])
    await expect_events(page, 40)
    await expect(row(page, 40)).to_be_in_viewport()
    await expect(follow).to_have_attribute("aria-pressed", "true")
    await expect(jump).to_be_hidden()

    await page.mouse.move(600, 500)
    await page.mouse.wheel(0, -400)
    await expect(follow).to_have_attribute("aria-pressed", "false")
    before = await page.get_by_role("treegrid").evaluate("grid => grid.scrollTop")
    await run.emit(RUN[40:52])
    await expect(jump).to_have_text("12 new events")
    assert await page.get_by_role("treegrid").evaluate("grid => grid.scrollTop") == before

    await jump.click()
    await expect(row(page, 52)).to_be_in_viewport()
    await expect(jump).to_be_hidden()
    await page.get_by_role("treegrid").press("f")
    await expect(follow).to_have_attribute("aria-pressed", "false")
    await follow.click()
    await run.emit(RUN[52:])
    await expect_events(page, len(RUN))
    await expect(row(page, len(RUN))).to_be_in_viewport()
    await run.end()


async def test_rows_are_filtered_by_status_event_and_text(site: Site, page: Page) -> None:
    """Each alone and together; the viewer says how many of how many, and Escape shows all again."""
    await site.play(RECORDINGS / "cuga-orchestrator.jsonl", "filtered")
    await page.goto(site.url("/dashboard/traces/filtered"))
    await expect_events(page, 296)
    found = page.locator(".toolbar .found")

    await page.get_by_role("button", name="Error", exact=True).click()
    await expect(found).to_have_text("2 of 155")
    await expect(rows(page)).to_have_text([re.compile("Rejected"), re.compile("Error")])
    await page.get_by_role("button", name="Error", exact=True).click()
    await expect(found).to_be_empty()

    await page.get_by_text("Filter", exact=True).click()
    await page.get_by_label("Budget exceeded").check()
    await expect(rows(page)).to_have_count(5)
    await page.get_by_label("Search events").fill("DOMAIN 30")
    await expect(rows(page)).to_have_count(1)
    await expect(rows(page)).to_contain_text("domain engagement")
    await page.get_by_label("Search events").fill("no such thing")
    await expect(page.get_by_text("No event matches.")).to_be_visible()

    await page.keyboard.press("Escape")
    await expect(found).to_be_empty()
    await expect(page.get_by_label("Search events")).to_have_value("")


async def test_a_running_trace_is_filtered_as_it_goes_on(site: Site, page: Page) -> None:
    """A call that fails comes among the errors, and leaves those that run."""
    run = await site.begin_run("changing")
    await page.goto(site.url("/dashboard/traces/changing"))
    await run.emit(
        lines(made("tool_call_start", tool="a", call_id="1"), made("tool_call_start", tool="b", call_id="2"))
    )
    await page.get_by_role("button", name="Running").click()
    await expect(rows(page)).to_have_count(2)

    await run.emit(lines(made("tool_call_error", "error", tool="a", call_id="1", error="no")))
    await expect(rows(page)).to_have_count(1)
    await expect(rows(page)).to_contain_text("b")
    await run.end()


async def test_errors_are_jumped_to(site: Site, page: Page) -> None:
    """One after the other, and again from the first; backwards too. A decision that nobody has taken is none."""
    await site.play(RECORDINGS / "cuga-orchestrator.jsonl", "errors")
    await page.goto(site.url("/dashboard/traces/errors"))
    await expect_events(page, 296)
    status = page.locator(".panel > header .status")
    await page.get_by_role("button", name="Next error").click()
    await expect(status).to_have_text("Rejected")
    for expected in ("Error", "Rejected"):
        await page.keyboard.press("e")
        await expect(status).to_have_text(expected)
    await page.keyboard.press("Shift+E")
    await expect(status).to_have_text("Error")
    await expect(page.locator('.row[aria-selected="true"]')).to_be_in_viewport()


async def test_the_keyboard_leads_everywhere(site: Site, page: Page) -> None:
    """Rows, details, the search and back, without a mouse."""
    await site.play(RECORDINGS / "swe-agent-marshmallow-1867.jsonl", "keys")
    await page.goto(site.url("/dashboard/traces/keys"))
    await expect_state(page, "Ended: success")
    grid = page.get_by_role("treegrid")
    selected = page.locator('.rows > .row[aria-selected="true"]:visible')

    await page.get_by_label("Search events").focus()
    await page.keyboard.press("Escape")
    await expect(grid).to_be_focused()
    for key, sequences in {"ArrowDown": "1", "j": "2", "End": "33 34", "k": "32", "Home": "1"}.items():
        await page.keyboard.press(key)
        await expect(selected).to_have_attribute("data-sequences", sequences)
        assert await grid.get_attribute("aria-activedescendant") == await selected.get_attribute("id")
        await expect(selected).to_be_in_viewport()
    await page.keyboard.press("PageDown")
    await expect(selected).not_to_have_attribute("data-sequences", "1")
    await expect(page.locator(".panel")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator(".panel")).to_be_hidden()
    await expect(grid).to_be_focused()
    await page.keyboard.press("/")
    await expect(page.get_by_label("Search events")).to_be_focused()
    await page.keyboard.type("f?e/")  # letters in a field are letters
    await expect(page.get_by_label("Search events")).to_have_value("f?e/")


async def test_an_address_leads_to_an_event(site: Site, page: Page) -> None:
    """On opening, when it changes, and whichever event is selected is in it."""
    await site.play(RECORDINGS / "cuga-orchestrator.jsonl", "linked")
    await page.goto(site.url("/dashboard/traces/linked#e=200"))
    await expect(page.locator(".panel").get_by_text("#200", exact=True)).to_be_visible()
    await expect(row(page, 200)).to_be_in_viewport()

    await page.evaluate("location.hash = '#e=17'")
    await expect(page.locator(".panel").get_by_text("#17", exact=True)).to_be_visible()
    await expect(row(page, 17)).to_be_in_viewport()
    await page.get_by_role("treegrid").press("ArrowDown")
    await expect(page).to_have_url(site.url("/dashboard/traces/linked#e=18"))
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(site.url("/dashboard/traces/linked"))

    await page.evaluate("location.hash = '#e=99999'")
    await expect(page.get_by_role("alert")).to_have_text("There is no event 99999 in this trace")
    await page.evaluate("location.hash = '#e=17'")
    await expect(page.locator(".panel").get_by_text("#17", exact=True)).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_nested_calls_are_indented_and_fold(site: Site, page: Page, tmp_path: Path) -> None:
    """A call's own calls stand below it, paired by their ids though they end in another order."""
    events = [
        made("tool_call_start", tool="outer", call_id="a"),
        made("tool_call_start", tool="inner", call_id="b", parent_call_id="a"),
        made("tool_call_start", tool="inner", call_id="c", parent_call_id="a"),
        made("tool_call_start", tool="innermost", call_id="d", parent_call_id="c"),
        made("tool_call_complete", "success", tool="innermost", call_id="d", parent_call_id="c"),
        made("tool_call_complete", "success", tool="inner", call_id="c", parent_call_id="a"),
        made("tool_call_error", "error", tool="inner", call_id="b", parent_call_id="a"),
        made("tool_call_complete", "success", tool="outer", call_id="a"),
    ]
    await site.play(write_lines(tmp_path / "nested.jsonl", events), "nested")
    await page.goto(site.url("/dashboard/traces/nested"))
    await expect_events(page, 8)
    assert [
        (await line.get_attribute("data-sequences"), await line.get_attribute("aria-level"))
        for line in await rows(page).all()
    ] == [("1 8", "1"), ("2 7", "2"), ("3 6", "2"), ("4 5", "3")]

    await row(page, 3).locator(".fold").click()
    await expect(rows(page)).to_have_count(3)
    await row(page, 1).click()
    await page.keyboard.press("ArrowLeft")
    await expect(rows(page)).to_have_count(1)
    await expect(row(page, 1)).to_have_attribute("aria-expanded", "false")
    await page.keyboard.press("ArrowRight")
    await expect(rows(page)).to_have_count(3)
    await open_event(page, 5)  # inside of what is folded away
    await expect(row(page, 5)).to_be_visible()


async def test_approvals_and_budgets_are_shown(site: Site, page: Page) -> None:
    """A card that waits and is then decided; the meter of the budget that is used most."""
    run = await site.begin_run("approval")
    await page.goto(site.url("/dashboard/traces/approval"))
    await run.emit(lines(made("approval_requested", approval_id="x", tool_name="send_email", risk_level="high")))
    card = row(page, 1).locator(".card")
    await expect(card).to_contain_text("send_email")
    await expect(card).to_contain_text("high risk")
    await expect(card).to_contain_text("Waiting")
    await expect(page.get_by_role("button", name="Pending")).to_be_visible()
    await run.emit(lines(made("approval_received", "error", approval_id="x", decision="rejected", reason="not today")))
    await expect(card).to_contain_text("Rejected")
    await expect(card).to_contain_text("not today")
    await expect(page.get_by_role("button", name="Pending")).to_be_hidden()

    meter = page.get_by_role("meter", name="Budget used")
    await expect(meter).to_be_hidden()
    await run.emit(lines(made("budget_warning", "warning", budget_type="total", used=160, limit=200)))
    await expect(meter).to_have_attribute("aria-valuenow", "80")
    await run.emit(lines(made("budget_exceeded", "warning", budget_type="tool", tool="crm", limit=1)))
    await expect(meter).to_have_attribute("aria-valuenow", "100")
    await run.end()


async def test_the_overview_follows_the_page_from_light_to_dark(site: Site, page: Page) -> None:
    """It is a picture, whose colours the style sheet does not change."""
    await site.play(RECORDINGS / "cuga-orchestrator.jsonl", "colours")
    await page.goto(site.url("/dashboard/traces/colours"))
    await expect_state(page, "Ended: error")
    canvas = page.locator(".overview canvas")
    await expect(canvas).to_have_attribute("aria-label", re.compile("^296 events in "))
    light = await canvas.evaluate("canvas => canvas.toDataURL()")
    await page.emulate_media(color_scheme="dark")
    await canvas.evaluate(
        "(canvas, light) => new Promise((done) => {"
        " const look = () => (canvas.toDataURL() === light ? requestAnimationFrame(look) : done()); look() })",
        light,
    )


async def test_a_part_of_the_trace_fills_the_timeline(site: Site, page: Page) -> None:
    """Dragged in the overview or by keys, and back."""
    await site.play(RECORDINGS / "swe-agent-ctf-katy.jsonl", "zoomed")
    await page.goto(site.url("/dashboard/traces/zoomed"))
    await expect_state(page, "Ended: success")
    box = await page.locator(".overview").bounding_box()
    assert box is not None
    whole = page.get_by_role("button", name="Whole trace")
    await expect(whole).to_be_hidden()
    await page.mouse.move(box["x"] + 100, box["y"] + 20)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 300, box["y"] + 20)
    await page.mouse.up()
    await expect(page.locator(".window")).to_be_visible()
    await whole.click()
    await expect(page.locator(".window")).to_be_hidden()
    await page.get_by_role("treegrid").press("+")
    await expect(page.locator(".window")).to_be_visible()
    await page.get_by_role("treegrid").press("0")
    await expect(whole).to_be_hidden()


@pytest.mark.takes(seconds=20)
async def test_fifty_thousand_events_stay_smooth(
    site: Site, page: Page, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Only what is in view is in the document, and no frame takes a second; the numbers are reported."""
    events = [
        made(f"tool_call_{kind}", status, tool="search", call_id=str(number), result="x" * 200)
        for number in range(25_000)
        for kind, status in (("start", "pending"), ("complete", "success"))
    ]
    await site.play(write_lines(tmp_path / "many.jsonl", events), "many")
    await page.add_init_script(
        "window.frameTimes = []; let last = performance.now();"
        "const tick = (now) => { frameTimes.push(now - last); last = now; requestAnimationFrame(tick) };"
        "requestAnimationFrame(tick)"
    )
    await page.goto(site.url("/dashboard/traces/many"))
    await expect(rows(page).first).to_be_visible()
    seconds = {"first rows": await page.evaluate("performance.now() / 1000")}
    await expect_state(page, "Ended: success")
    seconds["all events"] = await page.evaluate("performance.now() / 1000")
    loading: list[float] = await page.evaluate("frameTimes.splice(0)")
    await expect_events(page, 50_000)
    await page.evaluate("frameTimes.length = 0")  # to hand all of them to the test takes long
    await page.get_by_role("treegrid").evaluate(
        "grid => new Promise((done) => { let left = 120; requestAnimationFrame(function step() {"
        " grid.scrollTop += left % 10 ? 900 : grid.scrollHeight / 15;"
        " left-- ? requestAnimationFrame(step) : done() }) })"
    )
    scrolling: list[float] = await page.evaluate("frameTimes.splice(0)")
    await page.get_by_label("Search events").fill('"call_id 24999"')
    await expect(rows(page)).to_have_count(1)

    report = ", ".join(f"{name} after {value:.1f} s" for name, value in seconds.items())
    for name, frames in {"loading": loading, "scrolling": scrolling}.items():
        frames.sort()
        report += f"; {name}: median {frames[len(frames) // 2]:.0f}, longest {frames[-1]:.0f} ms a frame"
    print(report)  # noqa: T201  shown with -s
    record_property("50,000 events", report)
    assert await page.locator("trace-viewer").evaluate("v => v.shadowRoot.querySelectorAll('*').length") < 3000
    assert max(*loading, *scrolling) < 1000
