// The viewer's plain modules: what a run's events tell, and how it is written.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { parseExact, stringifyExact } from "../../trace_streaming/static/trace_streaming/client/exact_json.js";
import { percent } from "../../trace_streaming/static/trace_streaming/dashboard/formats.js";
import { budgetOf } from "../../trace_streaming/static/trace_streaming/viewer/budgets.js";
import { Filter } from "../../trace_streaming/static/trace_streaming/viewer/filter.js";
import {
  cut,
  formatBytes,
  formatClock,
  formatDate,
  formatDuration,
  formatNumber,
  formatOffset,
  oneLine,
  parseTime,
} from "../../trace_streaming/static/trace_streaming/viewer/format.js";
import { excerpt, partsOf } from "../../trace_streaming/static/trace_streaming/viewer/matches.js";
import { Run } from "../../trace_streaming/static/trace_streaming/viewer/run.js";
import { isOver, label, outcome, preview, usage } from "../../trace_streaming/static/trace_streaming/viewer/summary.js";
import { TimeScale } from "../../trace_streaming/static/trace_streaming/viewer/timescale.js";

/** A run of `[event, milliseconds, details, status]`. */
function runOf(...events) {
  const run = new Run();
  run.add(
    events.map(([event, milliseconds, details = {}, status = "success"], index) => ({
      event,
      trace_id: "t",
      timestamp: `2026-01-05T12:00:00.${String(milliseconds * 1000).padStart(6, "0")}+00:00`,
      details,
      status,
      sequence: index + 1,
      ...(details.tool === undefined ? {} : { tool_name: details.tool }),
      ...(details.duration_ms === undefined ? {} : { duration_ms: details.duration_ms }),
    })),
  );
  return run;
}

const sequences = (run) => run.rows.map((row) => row.events.map(({ sequence }) => sequence));
const START = "tool_call_start";
const COMPLETE = "tool_call_complete";

test("of content a row tells the texts, and that there are pictures", () => {
  const image = { type: "image", data: "iVBORw0KGgo", mimeType: "image/png" };
  const text = { type: "text", text: "Clicked **Book**" };
  const results = [{ content: [text, image], isError: false }, image, [text]];
  const run = runOf(...results.map((result, index) => [COMPLETE, index, { tool: "t", result }]));
  assert.deepEqual(run.rows.map(preview), ["\u2192 Clicked Book (image)", "\u2192 (image)", "\u2192 Clicked Book"]);
});

test("values that no text can be made of have one, and no word of JavaScript is a decision", () => {
  const odd = { toString: 1, valueOf: [] };
  const run = runOf(
    ["llm_call_complete", 0, { "gen_ai.output.messages": [{ parts: [{ content: odd }, { type: odd }] }] }],
    ["tool_call_complete", 1, { tool: "t", args: odd, result: [odd] }],
    ["approval_received", 2, { approval_id: "a", decision: odd, comment: odd }],
    ["approval_received", 3, { approval_id: "b", decision: "constructor" }],
  );
  assert.deepEqual(run.rows.map(preview), [
    "\u2192 toString: 1, valueOf: [] toString: 1, valueOf: []",
    'toString: 1, valueOf: []  \u2192 {"toString":1,"valueOf":[]}',
    ...["decision toString: 1, valueOf: []  \u00b7  comment toString: 1, valueOf: []", "decision constructor"],
  ]);
  assert.deepEqual(
    run.rows.map((row) => outcome(row, true).text),
    ["Success", "Success", "Decided", "Decided"],
  );
});

describe("what a call says while it says it", () => {
  const begun = () => runOf(["llm_call_start", 0, { "gen_ai.request.model": "m", call_id: "1" }, "pending"]);
  const said = (run) => preview(run.rows[0]);

  test("it grows in its row until the result is there", () => {
    const run = begun();
    run.takeChanges();
    run.hear({ call_id: "1", offset: 0, text: "The weather " });
    run.hear({ call_id: "1", offset: 12, text: "is fine" });
    assert.equal(said(run), "\u2192 The weather is fine");
    assert.equal(run.takeChanges().size, 1);
    run.add([
      {
        event: "llm_call_complete",
        trace_id: "t",
        timestamp: "2026-01-05T12:00:01.000000+00:00",
        details: { call_id: "1", result: "The weather is fine today." },
        status: "success",
        sequence: 2,
      },
    ]);
    run.hear({ call_id: "1", offset: 19, text: " late" });
    assert.equal(said(run), "\u2192 The weather is fine today.");
  });

  test("a piece that was missed is seen by the offset, and one that comes again changes nothing", () => {
    const run = begun();
    run.hear({ call_id: "1", offset: 30, text: "and so on" });
    run.hear({ call_id: "1", offset: 30, text: "and so on" });
    run.hear({ call_id: "another", offset: 0, text: "of a call that is not known" });
    assert.equal(said(run), "\u2192 \u2026 and so on");
  });

  test("a row keeps the end of it", () => {
    const run = begun();
    for (let at = 0; at < 10_000; at += 10) run.hear({ call_id: "1", offset: at, text: "ten signs " });
    assert.ok(run.rows[0].said.length <= 2000);
  });
});

describe("calls", () => {
  test("a start is paired with its end by call_id, whatever ends between", () => {
    const run = runOf(
      [START, 0, { tool: "a", call_id: "1" }],
      [START, 10, { tool: "a", call_id: "2" }],
      [COMPLETE, 30, { tool: "a", call_id: "2" }],
      ["tool_call_error", 50, { tool: "a", call_id: "1" }, "error"],
    );
    assert.deepEqual(sequences(run), [
      [1, 4],
      [2, 3],
    ]);
    assert.deepEqual(
      run.rows.map(({ duration }) => Math.round(duration)),
      [50, 20],
    );
    assert.deepEqual([run.calls, run.openCalls, run.errors], [2, 0, 1]);
    assert.deepEqual([...run.rowsByStatus].sort(), [
      ["error", 1],
      ["running", 0],
      ["success", 1],
    ]);
  });

  test("without an id by tool, the first that is open first", () => {
    const run = runOf(
      [START, 0, { tool: "a" }],
      [START, 1, { tool: "b" }],
      [START, 2, { tool: "a" }],
      [COMPLETE, 3, { tool: "a" }],
      [COMPLETE, 4, { tool: "a" }],
    );
    assert.deepEqual(sequences(run), [[1, 4], [2], [3, 5]]);
    assert.deepEqual([run.rows[1].status, run.rows[1].duration, run.openCalls], ["running", null, 1]);
  });

  test("a second end, an end without a start, and ends of different kinds of id do not meet another's start", () => {
    const run = runOf(
      [START, 100, { tool: "a", call_id: "1" }],
      [COMPLETE, 200, { tool: "a", call_id: "1" }],
      [COMPLETE, 300, { tool: "a", call_id: "1" }],
      [START, 400, { tool: "a" }],
      [COMPLETE, 500, { tool: "a", call_id: "9", duration_ms: 80 }],
    );
    assert.deepEqual(sequences(run), [[1, 2], [3], [4], [5]]);
    assert.equal(run.rows[3].end - run.rows[3].start, 80);
  });

  test("an end without an id does not meet a start that has one", () => {
    const run = runOf([START, 0, { tool: "a", call_id: "1" }], [START, 1, { tool: "a" }], [COMPLETE, 2, { tool: "a" }]);
    assert.deepEqual(sequences(run), [[1], [2, 3]]);
  });

  test("the duration that an event says counts more than its times", () => {
    const run = runOf([START, 0, { tool: "a" }], [COMPLETE, 10, { tool: "a", duration_ms: 7.5 }]);
    assert.equal(run.rows[0].duration, 7.5);
  });

  test("calls are nested by parent_call_id; a parent that is not known is none", () => {
    const run = runOf(
      [START, 0, { call_id: "a" }],
      [START, 1, { call_id: "b", parent_call_id: "a" }],
      ["route_decision", 2, { parent_call_id: "b" }],
      [START, 3, { call_id: "c", parent_call_id: "?" }],
    );
    assert.deepEqual(
      run.rows.map(({ depth }) => depth),
      [0, 1, 2, 0],
    );
    assert.equal(run.rows[0].children, 1);
  });

  test("a child that comes before its parent moves under it, and what ends a step may say what it was", () => {
    const run = runOf(
      ["step_start", 5, { call_id: "m", parent_call_id: "a", name: "span" }, "pending"],
      ["plan_created", 6],
      ["agent_start", 0, { call_id: "a", name: "solo" }, "pending"],
      ["llm_call_complete", 9, { call_id: "m", name: "gpt-5" }],
    );
    assert.deepEqual(
      run.rows.map((row) => [label(row), row.kind, row.depth, row.children]),
      [
        ["solo", "agent", 0, 1],
        ["gpt-5", "llm", 1, 0],
        ["Plan", "plan", 0, 0],
      ],
    );
    assert.deepEqual([run.start, run.openCalls], [run.rows[0].start, 1]);
    assert.equal(run.rowOf(1), run.rows[1]);
  });

  test("calls of models and their tokens are counted apart from those of tools", () => {
    const usage = { "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2 };
    const run = runOf(
      ["llm_call_start", 0, { call_id: "a" }, "pending"],
      ["llm_call_complete", 1, { call_id: "a", ...usage }],
      ["llm_call_error", 2, { call_id: "b", "gen_ai.usage.input_tokens": "many" }, "error"],
      [START, 3, { tool: "t" }, "pending"],
    );
    assert.deepEqual([run.calls, run.modelCalls, run.tokens], [1, 2, 12]);
  });

  test("an event that comes again changes nothing", () => {
    const run = runOf([START, 0, { tool: "a" }]);
    run.add(run.events.slice());
    assert.deepEqual([run.events.length, run.rows.length, run.calls], [1, 1, 1]);
  });

  for (const told of ["interrupted", "cancelled", "abandoned", "triggered"]) {
    test(`a call that was ${told} is neither a success nor an error`, () => {
      const run = runOf(
        [START, 0, { call_id: "a" }, "pending"],
        [COMPLETE, 1, { call_id: "a", outcome: told }, "warning"],
      );
      const text = told[0].toUpperCase() + told.slice(1);
      assert.deepEqual(outcome(run.rows[0], false), { status: "warning", text });
      assert.deepEqual(
        [...run.rowsByStatus].filter(([, count]) => count > 0),
        [["warning", 1]],
      );
    });
  }

  test("an end before its start has no duration, and a bar of no length", () => {
    const run = runOf([START, 50, { tool: "a" }], [COMPLETE, 20, { tool: "a" }]);
    assert.deepEqual([run.rows[0].duration, run.rows[0].end - run.rows[0].start], [null, 0]);
  });

  test("changes are told once, of rows that were there before", () => {
    const run = runOf([START, 0, { call_id: "a" }], [COMPLETE, 1, { call_id: "a" }]);
    assert.deepEqual([...run.takeChanges()], [run.rows[0]]);
    assert.deepEqual([...run.takeChanges()], []);
  });
});

describe("approvals and budgets", () => {
  test("a decision belongs to its request; what ends a trace undecided says so", () => {
    const run = runOf(
      ["approval_requested", 0, { approval_id: "x", tool_name: "mail" }, "pending"],
      ["approval_requested", 1, { approval_id: "y" }, "pending"],
      ["approval_timeout", 9, { approval_id: "y" }, "error"],
    );
    assert.deepEqual(sequences(run), [[1], [2, 3]]);
    assert.deepEqual(outcome(run.rows[0], false), { status: "pending", text: "Waiting" });
    assert.deepEqual(outcome(run.rows[0], true), { status: "warning", text: "Undecided" });
    assert.deepEqual(outcome(run.rows[1], true), { status: "warning", text: "Timed out" });
  });

  test("of a trace that was left unfinished, calls are over and approvals can still be decided", () => {
    const run = runOf([START, 0, { call_id: "a" }], ["approval_requested", 1, { approval_id: "x" }, "pending"]);
    const overIn = (scene) => run.rows.map((row) => isOver(row, scene));
    assert.deepEqual(overIn({ hasEnded: true, isUnfinished: true }), [true, false]);
    assert.deepEqual(overIn({ hasEnded: true, isUnfinished: false }), [true, true]);
    assert.deepEqual(overIn({ hasEnded: false, isUnfinished: false }), [false, false]);
    assert.deepEqual(outcome(run.rows[0], true), { status: "warning", text: "Unfinished" });
  });

  for (const [details, event, expected] of [
    [{ utilization: 0.8 }, "budget_warning", 0.8],
    [{ used: 160, limit: 200 }, "budget_warning", 0.8],
    [{ spent: 3, ceiling: 4 }, "budget_warning", 0.75],
    [{ limit: 100 }, "budget_exceeded", 1],
    [{}, "budget_exceeded", 1],
    [{}, "budget_warning", undefined],
  ]) {
    test(`${event} ${JSON.stringify(details)} is a share of ${expected}`, () => {
      const run = runOf([event, 0, details, "warning"]);
      assert.equal([...run.budgets.values()][0]?.utilization, expected);
    });
  }
});

describe("filters", () => {
  const run = runOf(
    [START, 0, { tool: "Search", call_id: "a", q: "Weather" }, "pending"],
    [START, 1, { tool: "read", call_id: "b", parent_call_id: "a" }, "pending"],
    [COMPLETE, 2, { tool: "Search", call_id: "a", result: { city: "Paris" } }],
    ["budget_warning", 3, {}, "warning"],
  );
  run.addGap({ from: 5, to: 9, reason: "pruned" });
  const shown = (change) => {
    const filter = new Filter();
    change(filter);
    return run.rows.filter((row) => filter.shows(row)).map(({ index }) => index);
  };

  test("all words must be there, in any event of the row; gaps are always shown", () => {
    assert.deepEqual(
      shown((filter) => (filter.text = " weather  PARIS ")),
      [0, 3],
    );
    assert.deepEqual(
      shown((filter) => (filter.text = "weather london")),
      [3],
    );
  });

  test("by any event of the row, and by what became of it", () => {
    assert.deepEqual(
      shown((filter) => filter.events.add(START)),
      [0, 1, 3],
    );
    assert.deepEqual(
      shown((filter) => filter.statuses.add("running")),
      [1, 3],
    );
    assert.deepEqual(
      shown((filter) => filter.statuses.add("pending")),
      [3],
    );
  });

  test("by how long it took: longer than the shortest that was chosen", () => {
    const timed = runOf(
      ["llm_call_complete", 0, { call_id: "a", duration_ms: 100 }],
      ["llm_call_complete", 1, { call_id: "b", duration_ms: 101 }],
      ["llm_call_complete", 2, { call_id: "c", duration_ms: 70_000 }],
    );
    const longer = (...names) => {
      const filter = new Filter();
      for (const name of names) filter.longer.add(name);
      return timed.rows.filter((row) => filter.shows(row)).map(({ callId }) => callId);
    };
    assert.deepEqual([longer("100 ms"), longer("1 min", "1 s"), longer("1 min", "10 s")], [["c", "b"], ["c"], ["c"]]);
  });

  test("what a row has got since is found", () => {
    const growing = runOf([START, 0, { tool: "a" }]);
    const filter = new Filter();
    filter.text = "paris";
    assert.equal(filter.shows(growing.rows[0]), false);
    const [start] = growing.events;
    growing.add([{ ...start, sequence: 2, event: COMPLETE, details: { tool: "a", result: "Paris" } }]);
    assert.equal(filter.shows(growing.rows[0]), true);
  });

  test("folded calls hide what is inside of them", () => {
    assert.deepEqual(
      shown((filter) => filter.fold(run.rows[0], true)),
      [0, 2, 3],
    );
  });
});

describe("what is looked for", () => {
  const run = runOf(
    [START, 0, { tool: "bash", call_id: "a", args: { command: 'say "hi" \\ there' } }, "pending"],
    [COMPLETE, 20, { tool: "bash", call_id: "a", duration_ms: 2000 }],
    ["llm_call_start", 30, { call_id: "b", "gen_ai.request.model": "gpt-5" }, "pending"],
    ["llm_call_error", 40, { call_id: "b", duration_ms: 100, error: "busy" }, "error"],
    ["step_start", 50, { call_id: "c", kind: "chain" }, "pending"],
    [START, 60, { tool: "read", call_id: "d", parent_call_id: "c" }, "pending"],
    [COMPLETE, 70, { tool: "read", call_id: "d", outcome: "cancelled" }, "warning"],
    ["step_complete", 80, { call_id: "c" }],
  );
  const found = (text, change = () => {}) => {
    const filter = new Filter();
    filter.text = text;
    change(filter);
    return run.rows.filter((row) => filter.shows(row)).map(({ first }) => first.sequence);
  };

  for (const [text, sequences] of [
    ["tool:bash", [1]],
    ["TOOL:Ba", [1]],
    ["kind:tool", [1, 6]],
    ["kind:model", [3]],
    ["kind:tool kind:step", [1, 5, 6]],
    ["model:gpt", [3]],
    ["status:error", [3]],
    ["status:cancelled", [6]],
    ["event:tool_call", [1, 6]],
    [">1s", [1]],
    [">50ms <1s", [3]],
    ["status:error busy", [3]],
    ["status:error bash", []],
    ['"hi" \\\\ THERE', []],
    ['say "\\ there"', [1]],
    ["command say", [1]],
    ["nothing:else", []],
  ]) {
    test(text, () => assert.deepEqual(found(text), sequences));
  }

  test("boxes of kinds, tools and models are as the words that say so", () => {
    assert.deepEqual(
      found("", (filter) => filter.kinds.add("llm")),
      [3],
    );
    assert.deepEqual(
      found("", (filter) => filter.tools.add("read").add("bash")),
      [1, 6],
    );
    assert.deepEqual(
      found("", (filter) => filter.tools.add("read") && filter.models.add("gpt-5")),
      [3, 6],
    );
    assert.deepEqual([[...run.tools], [...run.models]], [["bash", "read"], ["gpt-5"]]);
  });

  test("steps are folded until a reader unfolds them, and hide nothing from a search", () => {
    assert.deepEqual(found(""), [1, 3, 5]);
    assert.deepEqual(found("read"), [6]);
    assert.deepEqual(
      found("", (filter) => filter.fold(run.ofCall("c"), false)),
      [1, 3, 5, 6],
    );
    assert.deepEqual(
      found("", (filter) => filter.foldSteps(false)),
      [1, 3, 5, 6],
    );
  });

  test("marks stand where the match is, also behind letters that change their length", () => {
    const marks = (text, ...words) =>
      partsOf(text, words)
        .filter(({ isMatch }) => isMatch)
        .map(({ text }) => text);
    assert.deepEqual(marks("\u0130\u0130\u0130 Straße", "straße"), ["Straße"]);
    assert.deepEqual(marks("a.b a+b (x)", "a.b", "(x"), ["a.b", "(x"]);
    assert.deepEqual(marks("aXa", "x", "a"), ["a", "X", "a"]);
    assert.equal(partsOf("abc", []).length, 1);
  });

  test("the text around what is found is shown, and no half of a letter", () => {
    const text = `${"\u{1f600}".repeat(60)} needle ${"y".repeat(500)}`;
    const shown = excerpt(text, ["needle"]);
    assert.match(shown, /^\u2026 \u{1f600}+ needle y+$/u);
    assert.ok(shown.length < 260);
    assert.equal(excerpt("hay", ["needle"]), null);
  });
});

describe("in words", () => {
  for (const [milliseconds, text] of [
    [0, "0 ms"],
    [0.023, "23 µs"],
    [9.96, "10 ms"],
    [250, "250 ms"],
    [999.6, "1 s"],
    [4250, "4.25 s"],
    [59_960, "1m 00s"],
    [125_400, "2m 05s"],
    [3_725_000, "1h 02m"],
    [90_000_000, "1d 1h"],
  ]) {
    test(`${milliseconds} ms is ${text}`, () => assert.equal(formatDuration(milliseconds), text));
  }

  test("times since the beginning, sizes, values", () => {
    assert.deepEqual([1234, 61_250, 3_725_000].map(formatOffset), ["1.234", "1:01.2", "1:02:05"]);
    assert.deepEqual([999, 1500, 2_000_000].map(formatBytes), ["999 B", "1.5 kB", "2 MB"]);
    assert.equal(oneLine({ q: "a\n b", list: [1, 2], none: null }), "q: a b, list: [1,2], none: null");
    assert.deepEqual([oneLine([]), oneLine({}), oneLine(["x", 1])], ["[]", "{}", "x, 1"]);
    assert.equal(oneLine("x".repeat(1000)).length, 240);
  });

  test("a model's call says what it has used, and what came of it; odd details are no error", () => {
    const rowOf = (details) => runOf(["llm_call_complete", 0, { call_id: "a", name: "m", ...details }]).rows[0];
    const call = (details) => preview(rowOf(details));
    const parts = [
      { type: "text", content: "Hello" },
      { type: "tool_call", name: "search" },
    ];
    const used = {
      "gen_ai.response.time_to_first_chunk": 0.31,
      "gen_ai.usage.input_tokens": 1204,
      "gen_ai.usage.output_tokens": 88,
      "gen_ai.usage.cost": 0.00412345,
    };
    const output = { "gen_ai.output.messages": [{ role: "assistant", parts }] };
    assert.equal(call({ ...used, ...output }), "→ Hello search");
    assert.equal(usage(rowOf(used)), "1.2k → 88 tokens · $0.00412 · 310 ms to first");
    assert.equal(usage(rowOf({ "gen_ai.usage.input_tokens": 5 })), "5 → ? tokens");
    assert.equal(call({ error: "slow down", error_type: "RateLimitError" }), "RateLimitError: slow down");
    for (const odd of [null, "x", 7, [null], [{ parts: "x" }], [{ parts: [null, 1] }]]) {
      assert.equal(typeof call({ "gen_ai.output.messages": odd, "gen_ai.usage.cost": "?" }), "string");
    }
  });

  test("of a tool's arguments the one that tells most comes first, and before it why it failed", () => {
    const call = (args, more = {}) => preview(runOf([COMPLETE, 0, { tool: "t", args, ...more }]).rows[0]);
    assert.equal(call({ timeout: 5, command: "ls -l" }), "ls -l  timeout: 5");
    assert.equal(call({ id: 7 }), "7");
    assert.equal(call({ a: 1, b: 2 }, { result: "done" }), "a: 1, b: 2  → done");
    assert.equal(call({ path: "x" }, { error: "no such file", error_type: "OSError" }), "OSError: no such file  ·  x");
    assert.equal(call({ path: "x" }, { "gen_ai.tool.call.id": "call_1" }), "x");
    for (const odd of [null, 7, [], {}, { command: 7 }, [{}]]) assert.equal(typeof call(odd), "string");
  });

  test("of an agent it is said what it was asked, and its answer", () => {
    const agent = (details) => preview(runOf(["agent_complete", 0, { name: "a", ...details }]).rows[0]);
    assert.equal(agent({ input: "what is it?", result: "It is **blue**." }), "what is it?  → It is blue.");
    assert.equal(agent({ input: "what is it?" }), "what is it?");
  });

  test("a time keeps its microseconds", () => {
    const difference = parseTime("2026-01-05T12:00:00.000123+00:00") - parseTime("2026-01-05T12:00:00.000000+00:00");
    assert.ok(Math.abs(difference - 0.123) < 0.001);
  });

  test("odd details are shown as they are", () => {
    const run = runOf(
      ["route_decision", 0, { agent_selected: 7, reasoning: null }],
      ["plan_created", 0, { steps: [] }],
    );
    assert.deepEqual(run.rows.map(label), ["Route", "Plan"]);
    assert.deepEqual(run.rows.map(preview), ["", "steps []"]);
  });
});

describe("the axis", () => {
  test("ticks are round, since the beginning, and as many as fit", () => {
    assert.deepEqual(new TimeScale(1000, 5250).ticks(1000, 6), [0, 1000, 2000, 3000, 4000]);
    assert.deepEqual(new TimeScale(0, 7_200_000).ticks(0, 3), [0, 3_600_000, 7_200_000]);
    assert.ok(new TimeScale(0, 40 * 86_400_000).ticks(0, 6).length <= 7);
  });
});

describe("numbers that no number of a browser's holds", () => {
  const text = `{"id":9007199254740993,"list":[-9223372036854775807,1,1.5,1e20,12345678901234567.5],"s":"9007199254740993 \\"9007199254740993"}`;

  test("an integer keeps its digits when it is read, shown and copied", () => {
    const value = parseExact(text);
    assert.equal(value.id, 9007199254740993n);
    assert.deepEqual(value.list.slice(0, 4), [-9223372036854775807n, 1, 1.5, 1e20]);
    assert.equal(value.s, '9007199254740993 "9007199254740993');
    assert.match(stringifyExact(value), /"id":9007199254740993,"list":\[-9223372036854775807,1,/);
    assert.match(stringifyExact(value, 2), /"id": 9007199254740993,\n/);
    assert.equal(oneLine(value), stringifyExactLine(value));
    assert.equal(oneLine(9007199254740993n), "9007199254740993");
  });

  test("what is no JSON is refused, and everything else is what JSON.parse makes of it", () => {
    for (const bad of ["9007199254740993x", '{"a":9007199254740993', "", "[9007199254740993,]"]) {
      assert.throws(() => parseExact(bad), SyntaxError);
    }
    for (const good of ["1", '"9007199254740993"', "[1.7976931348623157e308]", "0.12345678901234567890", "true"]) {
      assert.deepEqual(parseExact(good), JSON.parse(good));
    }
  });

  test("rows are found by all digits", () => {
    const filter = new Filter();
    filter.text = "9007199254740993";
    assert.equal(filter.shows(runOf(["plan_created", 0, parseExact(text)]).rows[0]), true);
  });

  const stringifyExactLine = ({ s }) =>
    `id: 9007199254740993, list: [-9223372036854775807,1,1.5,100000000000000000000,12345678901234568], s: ${s}`;
});

describe("numbers that cannot be", () => {
  for (const duration of [1e308, 1.7e18, -5, Infinity, NaN]) {
    test(`a call of ${duration} ms is shown`, () => {
      const run = runOf([COMPLETE, 10, { tool: "a", duration_ms: duration }]);
      const [row] = run.rows;
      assert.equal(row.duration, null);
      assert.equal(row.start, row.end);
      assert.ok(formatDate(row.start).length > 3);
      assert.ok(new TimeScale(run.start, run.end).ticks(run.start, 10).length < 20);
    });
  }

  test("what no date is, is no error", () => {
    assert.deepEqual([formatDate(-1e308), formatClock(NaN)], ["–", "–"]);
    assert.equal(formatNumber(1e308), "1.00e+308");
  });

  test("a budget counts an integer of any size, and no infinity", () => {
    const event = "budget_warning";
    assert.equal(budgetOf({ event, details: { used: 2n ** 60n, limit: 2n ** 61n } }).utilization, 0.5);
    assert.equal(budgetOf({ event, details: { used: 1e308, limit: 1e-308 } }), null);
    assert.equal(budgetOf({ event, details: { utilization: Infinity } }), null);
  });
});

test("a cut leaves no half of what is seen as one character", () => {
  for (const emoji of [
    "\u{1f600}",
    "\u{1f44d}\u{1f3fd}",
    "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}",
    "e\u0301",
    "\u{1f1e9}\u{1f1ea}",
  ]) {
    for (let length = 21; length < 40; length++) {
      const kept = cut("x".repeat(20) + emoji.repeat(8), length).slice(20);
      assert.equal(kept, emoji.repeat(kept.length / emoji.length));
    }
    assert.ok(oneLine(emoji.repeat(200), 9).isWellFormed?.() ?? true);
  }
});

test("a rate that is not all is not 100 %, and one that is not nothing not 0 %", () => {
  const shown = [0, 0.0001, 0.0005, 0.5, 0.9994, 0.9999, 1, null].map(percent);
  assert.deepEqual(shown, ["0%", "<0.1%", "0.1%", "50%", "99.9%", ">99.9%", "100%", "–"]);
});
