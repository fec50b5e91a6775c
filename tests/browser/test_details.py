"""What an event's details show: the most wanted first, each text as what it is, and nothing of it as markup."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.browser.conftest import IN_A_BROWSER, Site
from tests.browser.viewing import RECORDINGS, expect_events, expect_state, lines, made, open_event, row, write_lines

pytestmark = IN_A_BROWSER

DIFF = """diff --git a/shop.py b/shop.py
--- a/shop.py
+++ b/shop.py
@@ -1,2 +1,2 @@ def checkout(cart):
-    if now() > cart.expires:
+    if db_now() > cart.expires:
         raise Expired(cart)
"""
COLOURED = "\x1b]0;title\x07\x1b[1mtests\x1b[0m \x1b[31mF\x1b[0m\x1b[2K\x1b[10;3H.\r\n10 %\r100 %\nabc\x08\x08\x08xyz"
ANSWER = """## What was wrong

Two **clocks**, `now()` and [the docs](https://example.com/a?b=1&c=2), not [this](javascript:alert(1)) or <b>that</b>.

| run | failed |
|---|---|
| before | 7 |

![picture](https://example.com/p.png)
"""
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


async def shown(site: Site, page: Page, folder: Path, *events: dict[str, Any]) -> None:
    """The page of a trace with these events."""
    await site.play(write_lines(folder / "made.jsonl", events), "details")
    await page.goto(site.url("/dashboard/traces/details"))
    await expect_events(page, len(events))


def section(panel: Locator, title: str) -> Locator:
    """A part of the details, by its heading."""
    return panel.locator(".part").filter(has=panel.page.locator("h3", has_text=re.compile(f"^{title}$")))


async def test_values_that_no_text_can_be_made_of(site: Site, page: Page, tmp_path: Path) -> None:
    """JSON may name its keys as JavaScript's methods: what holds them is shown as all else, and nothing stops at it."""
    odd: dict[str, Any] = {"toString": 1, "valueOf": [], "length": 3}
    events = [
        made("llm_call_complete", "success", name="m", **{"gen_ai.output.messages": [{"parts": [{"content": odd}]}]}),
        made("llm_call_complete", "success", name="m", result=[odd], **{"gen_ai.response.finish_reasons": [odd]}),
        made(
            "llm_call_complete",
            "success",
            name="m",
            **{
                "gen_ai.input.messages": [
                    {"role": odd, "parts": [{"type": "image", "mime_type": odd, "content": "AAAA"}]},
                    {"role": "user", "parts": [{"type": "uri", "uri": odd, "modality": odd}, {"type": odd}]},
                ]
            },
        ),
        made("tool_call_complete", "success", tool=odd, call_id=odd, parent_call_id=odd, args=odd, result=odd),
        made("approval_requested", action="pay", approval_id=odd, allowed=["approved"]),
        made("approval_received", approval_id="a", decision=odd, decided_by=odd, comment=odd),
        made("budget_warning", "warning", budget=odd, used=odd, total=odd),
        made("step_complete", "success", name=odd, kind=odd, input=odd, outcome=odd),
    ]
    await shown(site, page, tmp_path, *events)
    for sequence in range(1, len(events) + 1):
        panel = await open_event(page, sequence)
        await panel.get_by_text("as it came").first.click()
    await expect(page.locator("[role=row][data-sequences]")).to_have_count(len(events))


async def test_output_comes_first_then_input_then_the_rest_folded(site: Site, page: Page, tmp_path: Path) -> None:
    """Of an error its type and message; the traceback, ids and raw events are there when they are asked for."""
    await shown(
        site,
        page,
        tmp_path,
        made("tool_call_start", tool="bash", call_id="c1", args={"command": "make"}),
        made("tool_call_complete", "success", call_id="c1", tool="bash", result="done", exit_code=0),
        made("tool_call_start", tool="bash", call_id="c2", args={"command": "rm"}),
        made(
            "tool_call_error", "error", call_id="c2", error="no", error_type="OSError", traceback="File x\nOSError: no"
        ),
    )
    panel = await open_event(page, 2)
    await expect(panel.locator(".part > h3")).to_have_text(["Output", "Input"])
    await expect(section(panel, "Output")).to_contain_text("done")
    await expect(panel.get_by_text("exit_code")).to_have_count(0)
    await panel.get_by_text("1 attribute").click()
    await expect(panel.get_by_text("exit_code")).to_be_visible()

    await open_event(page, 4)
    await expect(section(panel, "Error")).to_contain_text("OSError: no")
    await expect(panel.get_by_text("File x")).to_have_count(0)
    await panel.get_by_text("Traceback").click()
    await expect(panel.get_by_text("File x")).to_be_visible()
    await panel.get_by_text("All events, as they came").click()
    await expect(panel.get_by_text("Call ID", exact=True)).to_be_visible()


async def test_each_text_is_shown_as_what_it_is_or_raw(site: Site, page: Page, tmp_path: Path) -> None:
    """A diff, a terminal's colours, JSON, code, a picture; what moves a cursor is gone."""
    texts = [DIFF, COLOURED, '{"a": {"id": 9007199254740993}}', "a = 1\nb = 2\nc = 3\nd = 4", PNG]
    await shown(site, page, tmp_path, *(made("tool_call_complete", "success", tool="t", result=text) for text in texts))
    panel = await open_event(page, 1)
    await expect(panel.locator(".diff .added")).to_have_text(re.compile(r"\+    if db_now"))
    await expect(panel.locator(".diff .removed")).to_have_count(1)

    await open_event(page, 2)
    assert await panel.locator(".terminal").text_content() == "tests F.\n100 %\nxyz"
    await expect(panel.locator(".terminal .red")).to_have_text("F")
    await panel.locator(".text").hover()
    await panel.get_by_role("button", name="Raw").click()
    assert await panel.locator(".shown").text_content() == COLOURED.replace("\r\n", "\r\n")

    await open_event(page, 3)
    await expect(section(panel, "Output").locator(".number")).to_have_text("9007199254740993")

    await open_event(page, 4)
    await expect(panel.locator(".code .line")).to_have_count(4)

    await open_event(page, 5)
    await expect(panel.get_by_role("img", name="An image in the trace")).to_be_visible()


async def test_a_screen_that_an_agent_has_seen_is_shown(site: Site, page: Page, tmp_path: Path) -> None:
    """In what a tool answers, in JSON that is a text, and in what a model is sent; a shortened one says so."""
    screen = {"type": "image", "data": PNG.partition(",")[2], "mimeType": "image/png"}
    held = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": screen["data"]}}
    large = {**screen, "data": f"{screen['data'].rstrip('=')}{'A' * 300_000}"}
    results: list[Any] = [
        {"content": [screen, {"type": "text", "text": "Clicked.", "meta": None}], "isError": False, "meta": None},
        screen,
        json.dumps([screen]),
        [large],
    ]
    prompt = {"gen_ai.input.messages": [{"role": "user", "content": [{"type": "text", "text": "Where?"}, held]}]}
    await shown(
        site,
        page,
        tmp_path,
        *(made("tool_call_complete", "success", tool="computer", result=result) for result in results),
        made("llm_call_complete", "success", name="m", call_id="m1", **prompt),
    )
    for sequence in (1, 2, 3, 5):
        panel = await open_event(page, sequence)
        await expect(panel.get_by_role("img", name="An image in the trace")).to_be_visible()
    await open_event(page, 4)
    await expect(section(panel, "Output")).to_contain_text("An image (image/png), which was too large to be kept.")
    await open_event(page, 1)
    await expect(section(panel, "Output").locator(".plain")).to_have_text("Clicked.")
    await expect(panel.get_by_text("1 attribute")).to_be_visible()


async def test_a_call_of_a_model_is_a_conversation(site: Site, page: Page, tmp_path: Path) -> None:
    """New messages open, earlier ones folded with their number; a tool's call leads to what carried it out."""
    system: Any = {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}
    question = {"role": "user", "parts": [{"type": "text", "content": "Why does it fail?"}]}
    call = {"type": "tool_call", "id": "c1", "name": "bash", "arguments": {"command": "make"}}
    asks: Any = {"role": "assistant", "parts": [{"type": "reasoning", "content": "Run it."}, call]}
    answer = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "failed"}]}
    says: Any = {"role": "assistant", "parts": [{"type": "text", "content": ANSWER}], "finish_reason": "stop"}
    used: dict[str, Any] = {
        "gen_ai.usage.input_tokens": 1204,
        "gen_ai.usage.output_tokens": 88,
        "gen_ai.usage.cost": 0.0123,
    }
    await shown(
        site,
        page,
        tmp_path,
        made("llm_call_start", "pending", call_id="m1", **{"gen_ai.input.messages": [system, question]}),
        made("llm_call_complete", "success", call_id="m1", **{"gen_ai.output.messages": [asks]}),
        made("tool_call_start", tool="bash", call_id="c1", args={"command": "make"}),
        made("tool_call_complete", "success", tool="bash", call_id="c1", result="failed"),
        made(
            "llm_call_start",
            "pending",
            call_id="m2",
            history_call_id="m1",
            history_count=2,
            **{"gen_ai.input.messages": [asks, answer]},
        ),
        made("llm_call_complete", "success", call_id="m2", **{"gen_ai.output.messages": [says]}, **used),
    )
    panel = await open_event(page, 6)
    await expect(panel.locator(".facts")).to_contain_text("1,204 in \u2192 88 out")
    markdown = section(panel, "Answer").locator(".markdown")
    await expect(markdown.get_by_role("heading", name="What was wrong")).to_be_visible()
    await expect(markdown.locator("strong")).to_have_text("clocks")
    await expect(markdown.locator("td")).to_have_text(["before", "7"])
    links = [await link.get_attribute("href") for link in await markdown.locator("a").all()]
    assert links == ["https://example.com/a?b=1&c=2", "https://example.com/p.png"]
    await expect(markdown).to_contain_text("not this (javascript:alert(1)) or <b>that</b>")

    messages = section(panel, "Messages")
    await expect(messages.get_by_text("Why does it fail?")).to_have_count(0)
    await messages.get_by_text("2 earlier messages").click()
    await expect(messages.get_by_text("Why does it fail?")).to_be_visible()
    await messages.get_by_role("button", name="Calls bash").click()
    await expect(row(page, 4)).to_have_attribute("aria-selected", "true")


async def test_a_long_text_folds_to_the_free_height(site: Site, page: Page, tmp_path: Path) -> None:
    """And what is short does not, however narrow the panel is."""
    text = "\n".join(f"line {number}" for number in range(200))
    await shown(
        site,
        page,
        tmp_path,
        made("tool_call_complete", "success", tool="t", result=text),
        made("tool_call_complete", "success", tool="t", result="short\nand\nsweet"),
    )
    panel = await open_event(page, 1)
    await panel.get_by_role("button", name="Show all: 1.7 kB, 200 lines").click()
    await panel.get_by_text("line 199").scroll_into_view_if_needed()
    await expect(panel.get_by_text("line 199")).to_be_in_viewport()
    await panel.get_by_role("button", name="Show less").click()
    await open_event(page, 2)
    await expect(panel.get_by_role("button", name=re.compile("Show all"))).to_have_count(0)


async def test_of_a_folded_text_no_more_is_built_than_is_seen(site: Site, page: Page, tmp_path: Path) -> None:
    """An error of thousands of lines opens at once; all of it is there for who asks."""
    text = "\n".join(f"line {number}" for number in range(4_000))
    await shown(site, page, tmp_path, made("tool_call_error", "error", tool="t", error=text))
    panel = await open_event(page, 1)
    built = panel.locator(".code .line")
    await expect(built.first).to_have_text("line 0\n")
    assert 100 < await built.count() <= 500
    await panel.get_by_role("button", name="Show all: 38.9 kB, 4,000 lines").click()
    await expect(built).to_have_count(4_000)
    await panel.get_by_role("button", name="Show less").click()
    await panel.locator(".text").hover()
    await panel.get_by_role("button", name="Raw").click()
    assert await panel.locator(".shown").text_content() == text


async def test_nothing_is_shown_in_another_order_than_it_is_in(site: Site, page: Page, tmp_path: Path) -> None:
    """What turns a text around is seen: in a name, a plain text, code, a tree's keys and values."""
    trick, seen = "invoice\u202efdp.exe", "invoice\\u202efdp.exe"
    results = [trick, f"1\n2\n3\n{trick}", {trick: trick}]
    events = [made("tool_call_complete", "success", tool=trick, result=result) for result in results]
    await shown(site, page, tmp_path, *events)
    for number in range(1, 4):
        panel = await open_event(page, number)
        await expect(panel.locator(".title")).to_have_text(seen)
        await expect(section(panel, "Output")).to_contain_text(seen)
        await expect(panel).not_to_contain_text("\u202e")
    await expect(section(panel, "Output").locator(".key")).to_have_text(seen)
    await panel.get_by_label("Search details").fill("invoice")
    await expect(panel.locator(".value").first).to_contain_text(seen)
    await expect(panel).not_to_contain_text("\u202e")


async def test_what_is_written_from_right_to_left_begins_at_the_right(site: Site, page: Page, tmp_path: Path) -> None:
    """A line that is too long is cut at its end, which is at the left, and not at its beginning."""
    goal = "\u05e9\u05dc\u05d5\u05dd " + "\u05e2\u05d5\u05dc\u05dd " * 30
    await shown(site, page, tmp_path, made("plan_created", "success", goal=goal))
    preview = row(page, 1).locator(".preview")
    beginning = """node => {
      const range = document.createRange();
      range.setStart(node.firstChild, 0);
      range.setEnd(node.firstChild, 4);
      return range.getBoundingClientRect().right - node.getBoundingClientRect().right;
    }"""
    assert abs(await preview.evaluate(beginning)) < 2
    panel = await open_event(page, 1)
    value = panel.locator(".value").first
    assert abs(await value.evaluate(beginning)) < 2


async def test_details_are_as_wide_as_their_reader_wants(site: Site, page: Page, tmp_path: Path) -> None:
    """By the mouse, by keys, and as wide as there is room; kept for the next time."""
    await shown(site, page, tmp_path, made("tool_call_complete", "success", tool="t", result="x"))
    panel = await open_event(page, 1)
    handle = panel.get_by_role("separator")

    async def width() -> float:
        box = await panel.bounding_box()
        assert box is not None
        return box["width"]

    before = await width()
    await handle.focus()
    await page.keyboard.press("ArrowLeft")
    assert await width() == pytest.approx(before + 40, abs=1)
    box = await handle.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 4, box["y"] + 200)
    await page.mouse.down()
    await page.mouse.move(box["x"] - 96, box["y"] + 200)
    await page.mouse.up()
    dragged = await width()
    assert dragged == pytest.approx(before + 140, abs=6)
    await page.reload()
    await open_event(page, 1)
    assert await width() == pytest.approx(dragged, abs=1)
    await page.get_by_role("button", name="Maximise details").click()
    assert await width() > 2 * before
    await page.keyboard.press("m")
    assert await width() == pytest.approx(dragged, abs=1)


async def test_lines_are_wrapped_or_not(site: Site, page: Page) -> None:
    """Code, a diff, what a terminal shows and plain words."""
    word = "wide " * 200
    texts = [f"def f():\n  x = 1\n  y = 2\n  {word}", f"@@ -1 +1 @@\n-{word}\n+b", f"\x1b[31m{word}\x1b[0m", word]
    run = await site.begin_run("wide")
    await run.emit(
        lines(
            *(
                event
                for number, text in enumerate(texts)
                for event in (
                    made("tool_call_start", "pending", tool="t", call_id=f"{number}"),
                    made("tool_call_complete", "success", tool="t", call_id=f"{number}", result=text),
                )
            )
        )
    )
    await page.goto(site.url("/dashboard/traces/wide"))
    for number in range(len(texts)):
        await open_event(page, 2 * number + 1)
        text = page.locator(".of-output .shown > *")
        is_wide = "node => node.scrollWidth > node.clientWidth + 100"
        assert not await text.evaluate(is_wide)
        await page.get_by_role("button", name="Wrap lines", pressed=True).click()
        assert await text.evaluate(is_wide)
        await page.keyboard.press("w")
        assert not await text.evaluate(is_wide)


async def test_what_a_model_says_grows_in_its_row_and_its_details(site: Site, page: Page) -> None:
    """Before any of it is stored."""
    run = await site.begin_run("speaking")
    await page.goto(site.url("/dashboard/traces/speaking"))
    await run.emit(lines(made("llm_call_start", "pending", call_id="m1", name="m")))
    await open_event(page, 1)
    await page.evaluate(
        """() => {
            const { stream } = document.querySelector("trace-viewer");
            const detail = { call_id: "m1", offset: 0, text: "The **weather** is fine" };
            stream.dispatchEvent(new CustomEvent("delta", { detail }));
        }"""
    )
    await expect(row(page, 1)).to_contain_text("The weather is fine")
    await expect(page.locator(".panel .markdown strong")).to_have_text("weather")
    await run.end()


async def test_details_are_searched_and_copied(site: Site, page: Page) -> None:
    """What is looked for is opened and marked, in all that is known."""
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await site.play(RECORDINGS / "swe-agent-marshmallow-1867.jsonl", "details")
    await page.goto(site.url("/dashboard/traces/details"))
    await expect_state(page, "Ended: success")
    expected = json.loads((RECORDINGS / "swe-agent-marshmallow-1867.jsonl").read_bytes().splitlines()[-1])["details"]
    panel = await open_event(page, 34)

    await panel.get_by_label("Search details").fill("RETURN")
    matches = panel.locator("mark")
    count = expected["result"].lower().count("return")
    await expect(panel.locator(".found")).to_have_text(f"{count} matches")
    assert [text.lower() for text in await matches.all_text_contents()] == ["return"] * count
    await panel.get_by_label("Search details").fill("")

    await panel.get_by_text("All events, as they came").click()
    await panel.get_by_role("button", name="Copy event 34").click()
    copied = json.loads(await page.evaluate("navigator.clipboard.readText()"))
    assert copied["details"] == expected
    await panel.get_by_role("button", name="Copy link").click()
    assert await page.evaluate("navigator.clipboard.readText()") == site.url("/dashboard/traces/details#e=33")


HOSTILE = (
    '<img src=x onerror="window.hacked=1">',
    "[x](javascript:window.hacked=1) ![y](javascript:window.hacked=1) **z**",
    "[x](data:text/html,<script>window.hacked=1</script>) <svg onload=window.hacked=1>",
    "```\n</pre><script>window.hacked=1</script>\n```",
    "\x1b[31m<script>window.hacked=1</script>\x1b]8;;javascript:window.hacked=1\x07link\x1b]8;;\x07",
    "@@ -1 +1 @@\n+<img src=x onerror=window.hacked=1>",
    "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+",
    '{"__proto__": {"hacked": 1}, "constructor": {"prototype": {"hacked": 1}}}',
    "> " * 5000 + "deep",
    "[" * 5000,
)


async def test_nothing_of_a_trace_is_markup(site: Site, page: Page, tmp_path: Path) -> None:
    """In Markdown, in a terminal's text, in a diff, in links and pictures, and in keys of JSON."""
    events = []
    for text in HOSTILE:
        message = {"role": text, "parts": [{"type": "text", "content": text}, {"type": text, "content": text}]}
        events += [
            made("tool_call_complete", "success", tool="t", args={"text": text}, result=text),
            made("llm_call_complete", "success", name="m", **{"gen_ai.output.messages": [message]}),
        ]

    async def forbid(route: Route) -> None:
        response = await route.fetch()
        policy = response.headers["content-security-policy"] + "; require-trusted-types-for 'script'"
        await route.fulfill(response=response, headers={**response.headers, "content-security-policy": policy})

    await page.route("**/traces/details", forbid)
    await shown(site, page, tmp_path, *events)
    for sequence in range(1, len(events) + 1):
        panel = await open_event(page, sequence)
        await expect(panel.locator(".part").first).to_be_visible()
    assert await page.locator("trace-viewer").locator("img, script, svg[onload]").count() == 0
    assert await page.evaluate("[window.hacked, ({}).hacked]") == [None, None]
