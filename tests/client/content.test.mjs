// What a text is, and what of a terminal's is left. Run by tests/client/test_client.py.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { isDiff } from "../../trace_streaming/static/trace_streaming/viewer/content/diff.js";
import { isPicture } from "../../trace_streaming/static/trace_streaming/viewer/content/links.js";
import { isMarkdown } from "../../trace_streaming/static/trace_streaming/viewer/content/markdown.js";
import { isTerminal, withoutControls } from "../../trace_streaming/static/trace_streaming/viewer/content/terminal.js";

const ESC = "\x1b";

describe("a terminal's text", () => {
  test("keeps what is read, and nothing of what moves a cursor or speaks to the terminal", () => {
    const cases = [
      [`${ESC}[1;31mred${ESC}[0m plain`, "red plain"],
      [`${ESC}[2J${ESC}[10;3Hat${ESC}[K ${ESC}[?25lhome${ESC}[?25h`, "at home"],
      [`${ESC}]0;title\x07text ${ESC}]8;;https://x.y${ESC}\\link${ESC}]8;;${ESC}\\`, "text link"],
      [`${ESC}P1$r0m${ESC}\\after`, "after"],
      [`${ESC}(B${ESC}=${ESC}7x${ESC}8`, "x"],
      ["10 %\r50 %\r100 %\ndone\r\n", "100 %\ndone\n"],
      ["N\bNA\bAM\bME\bE", "NAME"],
      ["abc\b\b\bxyz", "xyz"],
      ["\n\b\bx", "\nx"],
      ["bell\x07 and nul\x00", "bell and nul"],
      [`cut off ${ESC}`, "cut off "],
      [`cut off ${ESC}[`, "cut off "],
      [`cut off ${ESC}]0;title`, "cut off "],
      ["\x9b31mold\x9b0m", "old"],
    ];
    for (const [text, read] of cases) assert.equal(withoutControls(text), read, JSON.stringify(text));
  });

  test("takes no longer than its length, whatever it is", () => {
    for (const part of [ESC, `${ESC}[`, `${ESC}]`, "x\b", "\b", "\r", `${ESC}[1`, `${ESC}P`]) {
      const began = performance.now();
      withoutControls(part.repeat(50_000));
      assert.ok(performance.now() - began < 2_000, JSON.stringify(part));
    }
  });

  test("is told by its colours", () => {
    assert.deepEqual([`${ESC}[31m`, `${ESC}[2K`, "[31m", ""].map(isTerminal), [true, false, false, false]);
  });
});

test("a diff is told by its hunks, Markdown by its signs, a picture by what it cannot hold", () => {
  assert.deepEqual(["--- a\n+++ b\n@@ -1,2 +1 @@\n-x\n+y", "@@ -1 +1 @@", "+ 1\n- 2", "@@ x"].map(isDiff), [
    ...[true, true, false, false],
  ]);
  const texts = ["**a**", "# A", "- a", "1. a", "```\nx\n```", "[a](b)", "`a`", "| a | b |", "> a"];
  assert.ok(texts.every(isMarkdown));
  assert.ok(!["a", "2 * 3 * 4", "a_b_c", "x > y", "#tag", "-1"].some(isMarkdown));
  const pictures = [
    "data:image/png;base64,iVBO",
    "data:image/svg+xml;base64,iVBO",
    "data:text/html,x",
    "https://a.b/c.png",
  ];
  assert.deepEqual(pictures.map(isPicture), [true, false, false, false]);
});
