// What is copied and kept of rows: as text, and as Markdown that means what it says.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { asMarkdown, asText, runAsMarkdown } from "../../trace_streaming/static/trace_streaming/viewer/as_text.js";
import { Run } from "../../trace_streaming/static/trace_streaming/viewer/run.js";

function runOf(...events) {
  const run = new Run();
  run.add(
    events.map(([event, details, status = "success"], index) => ({
      ...{ event, trace_id: "t", details, status, sequence: index + 1 },
      timestamp: `2026-01-05T12:00:0${index}.000000+00:00`,
    })),
  );
  return run;
}

describe("a row, taken along", () => {
  test("a tool says what it was given and what came of it; an odd name is no markup", () => {
    const run = runOf(
      ["tool_call_start", { tool: "a_b*", call_id: "1", args: { path: "x" } }, "pending"],
      ["tool_call_complete", { tool: "a_b*", call_id: "1", result: "line ```` of\ncode" }],
    );
    assert.equal(
      asText(run.rows[0]),
      'a_b* (Success, 1 s)\n\nInput:\n{\n  "path": "x"\n}\n\nOutput:\nline ```` of\ncode',
    );
    assert.equal(
      asMarkdown(run.rows[0]),
      '## a\\_b\\* (Success, 1 s)\n\n**Input**\n\n```json\n{\n  "path": "x"\n}\n```\n\n' +
        "**Output**\n\n`````\nline ```` of\ncode\n`````",
    );
  });

  test("a model's call is a conversation", () => {
    const call = { name: "search", type: "tool_call", id: "2", arguments: { q: "tides" } };
    const run = runOf(
      [
        "llm_call_start",
        {
          "gen_ai.request.model": "m",
          call_id: "1",
          "gen_ai.input.messages": [{ role: "user", parts: [{ type: "text", content: "Hello\n# you" }] }],
        },
        "pending",
      ],
      [
        "llm_call_complete",
        {
          call_id: "1",
          "gen_ai.output.messages": [{ role: "assistant", parts: [{ content: "Hm", type: "text" }, call] }],
        },
      ],
    );
    assert.equal(
      asMarkdown(run.rows[0]),
      "## m (Success, 1 s)\n\n**User**\n\n> Hello\n> # you\n\n**Assistant**\n\n> Hm\n\n" +
        '**Assistant calls search**\n\n```json\n{\n  "q": "tides"\n}\n```',
    );
  });

  test("a whole run is written as the tree that it is, odd details and all", () => {
    const run = runOf(
      ["agent_start", { name: "solo", call_id: "a" }, "pending"],
      ["tool_call_error", { tool: "x", call_id: "b", parent_call_id: "a", error: null, error_type: 7 }, "error"],
      ["plan_created", { steps: [1] }],
    );
    run.addGap({ from: 4, to: 9, reason: "pruned" });
    const text = runAsMarkdown("my _run_", run.rows);
    assert.deepEqual(
      text.split("\n").filter((line) => line.startsWith("#")),
      [
        "# my \\_run\\_",
        "## solo (Unfinished)",
        "### x (Error)",
        "## Plan (Success)",
        "## Events 4 to 9 are no longer stored.",
      ],
    );
  });
});
