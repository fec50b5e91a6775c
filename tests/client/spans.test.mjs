// The rule for pairs and trees: the table of cases that `tests/events/test_spans.py` runs, in any order of arrival.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { parseExact } from "../../trace_streaming/static/trace_streaming/client/exact_json.js";
import { Span, Spans } from "../../trace_streaming/static/trace_streaming/client/spans.js";

const CASES = parseExact(readFileSync(new URL("../events/span_cases.json", import.meta.url), "utf8"));

const eventsOf = (rows) =>
  rows.map(([event, timestamp, status, details], index) => ({
    event,
    timestamp,
    status,
    details,
    sequence: index + 1,
  }));
const rounded = (milliseconds) => (milliseconds === null ? null : Math.round(milliseconds * 1000) / 1000);
const nodes = (spans) =>
  spans.map((span) => [span.kind, span.name, span.outcome, rounded(span.duration), nodes(span.inside)]);

/** Adds all; looks at the tree after each as often as `looks` says. */
function spansOf(events, looks = () => false) {
  const spans = new Spans(() => new Span());
  for (const event of events) {
    spans.add(event);
    if (looks()) void spans.ordered;
  }
  return spans;
}

describe("the table", () => {
  for (const { says, events, tree } of CASES) {
    test(says, () => {
      const all = eventsOf(events);
      assert.deepEqual(nodes(spansOf(all).roots), tree);
      assert.deepEqual(nodes(spansOf([...all, ...all]).roots), tree);
      assert.deepEqual(nodes(spansOf(all, () => true).roots), tree);
    });
  }
});

/** A small generator with a seed, so that a failure comes again. */
const random = (seed) => () => ((seed = (seed * 48271) % 2147483647) - 1) / 2147483646;

/** Events of spans with ids, parents and times of their own, some without a start, some without an end. */
function traceOf(next) {
  const pick = (list) => list[Math.floor(next() * list.length)];
  const at = () => new Date(1.7e12 + Math.floor(next() * 1e9)).toISOString().replace("Z", "000+00:00");
  const family = () => pick(["tool_call", "llm_call", "agent", "step"]);
  const rows = [];
  for (let number = 0; number < 1 + next() * 8; number++) {
    const parent = next() < 0.7 ? { parent_call_id: `c${Math.floor(next() * 9)}` } : {};
    const details = { call_id: `c${number}`, ...parent };
    const half = pick(["both", "both", "start", "end"]);
    if (half !== "end") rows.push([`${family()}_start`, at(), "pending", { ...details, name: `n${number}` }]);
    if (half !== "start") rows.push([`${family()}_complete`, at(), pick(["success", "error"]), details]);
  }
  return eventsOf(rows);
}

test("the tree does not depend on the order of arrival", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const next = random(seed * 7919);
    const events = traceOf(next);
    const told = nodes(spansOf(events).roots);
    for (let round = 0; round < 5; round++) {
      const arriving = [...events, ...events.slice(0, 3)]
        .map((event) => [next(), event])
        .sort(([a], [b]) => a - b)
        .map(([, event]) => event);
      const spans = spansOf(arriving, () => next() < 0.5);
      assert.deepEqual(nodes(spans.roots), told, `seed ${seed}`);
      const { ordered } = spans;
      assert.equal(ordered.length, spans.all.length);
      for (const span of ordered) {
        if (span.parent !== null) assert.ok(ordered.indexOf(span.parent) < ordered.indexOf(span));
        assert.equal(span.depth, span.parent === null ? 0 : span.parent.depth + 1);
      }
    }
  }
});

test("what comes in order is put in its place at once", () => {
  const at = (ms) => `2026-01-05T12:00:00.${String(ms).padStart(3, "0")}000+00:00`;
  const rows = [];
  for (let n = 0; n < 100; n++) {
    rows.push(["agent_start", at(4 * n), "pending", { call_id: `a${n}` }]);
    rows.push(["tool_call_start", at(4 * n + 1), "pending", { call_id: `t${n}`, parent_call_id: `a${n}` }]);
    rows.push(["tool_call_complete", at(4 * n + 2), "success", { call_id: `t${n}` }]);
    rows.push(["agent_complete", at(4 * n + 3), "success", { call_id: `a${n}` }]);
  }
  const spans = spansOf(eventsOf(rows));
  assert.equal(spans.ordered.length, 200);
  assert.equal(spans.reordered, 0);
});
