// Which traces the list knows, and in which order. Run by tests/client/test_client.py.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { nameOf } from "../../trace_streaming/static/trace_streaming/list/row.js";
import { Traces } from "../../trace_streaming/static/trace_streaming/list/traces.js";

const trace = (number, state = "success") => ({
  trace_id: `t-${number}`,
  state,
  started_at: `2026-01-05T12:00:${String(number).padStart(2, "0")}.000000+00:00`,
});
const ids = (traces) => traces.map(({ trace_id }) => trace_id).join(" ");

describe("the traces that are known", () => {
  test("those that run come first, then the newest", () => {
    const traces = new Traces();
    traces.update([trace(3), trace(2), trace(1, "running")], [trace(1, "running")], true);
    assert.equal(ids(traces.ordered), "t-1 t-3 t-2");
  });

  test("what a page no longer has stays, if it is older, and goes, if it was deleted", () => {
    const traces = new Traces();
    traces.update([trace(3), trace(2), trace(1)], [], false);
    traces.update([trace(5), trace(4), trace(3)], [], false);
    assert.equal(ids(traces.ordered), "t-5 t-4 t-3 t-2 t-1");
    traces.update([trace(5), trace(3), trace(2)], [], false);
    assert.equal(ids(traces.ordered), "t-5 t-3 t-2 t-1");
    traces.update([trace(5)], [], true);
    assert.equal(ids(traces.ordered), "t-5");
  });

  test("what ran and is in no answer is asked for", () => {
    const traces = new Traces();
    traces.update([trace(2, "running"), trace(1, "running")], [], false);
    assert.equal(ids(traces.unseen([trace(2)])), "t-1");
    traces.remove("t-1");
    assert.equal(ids(traces.ordered), "t-2");
  });
});

test("a trace is called by its name, or what it is about", () => {
  assert.equal(nameOf({ name: "Report", metadata: { goal: "x" } }), "Report");
  assert.equal(nameOf({ name: "", metadata: { goal: "  ", task: "Find\n it" } }), "Find it");
  for (const metadata of [null, undefined, {}, { goal: 7 }, []]) assert.equal(nameOf({ name: "", metadata }), "");
});
