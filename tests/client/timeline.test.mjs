// The timeline: where times stand on it, and what a wait for a human takes of its room.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { timesOf } from "../../trace_streaming/static/trace_streaming/viewer/hover_card.js";
import { Run } from "../../trace_streaming/static/trace_streaming/viewer/run.js";
import { TimeScale } from "../../trace_streaming/static/trace_streaming/viewer/timescale.js";
import { Breaks, waitsOf } from "../../trace_streaming/static/trace_streaming/viewer/waits.js";

const BEGAN = Date.UTC(2026, 0, 5, 12);

/** A run of `[event, seconds, details]`. */
function runOf(...events) {
  const run = new Run();
  run.add(
    events.map(([event, seconds, details = {}], index) => ({
      event,
      trace_id: "t",
      timestamp: new Date(BEGAN + seconds * 1000).toISOString().replace("Z", "000+00:00"),
      details,
      status: "success",
      sequence: index + 1,
    })),
  );
  return run;
}

const asked = (id, seconds, more = {}) => ["approval_requested", seconds, { approval_id: id, ...more }];
const decided = (id, seconds) => ["approval_received", seconds, { approval_id: id }];
const begins = (id, seconds, parent) => ["step_start", seconds, { call_id: id, parent_call_id: parent }];
const ends = (id, seconds) => ["step_complete", seconds, { call_id: id }];
const seconds = (parts) => parts.map(({ from, to }) => [(from - BEGAN) / 1000, (to - BEGAN) / 1000]);
const waits = (run, now = run.end) => seconds(waitsOf(run.rows, now));

describe("when only a human is waited for", () => {
  test("what goes on beside it is work, and what it is asked for in is not", () => {
    const run = runOf(
      begins("agent", 0),
      begins("call", 1, "agent"),
      ends("call", 3),
      asked("a", 3, { parent_call_id: "agent" }),
      begins("beside", 10, "agent"),
      ends("beside", 12),
      decided("a", 40),
      ends("agent", 44),
    );
    assert.deepEqual(waits(run), [
      [3, 10],
      [12, 40],
    ]);
  });

  test("two questions at a time are one wait, and one that is open waits on", () => {
    assert.deepEqual(waits(runOf(asked("a", 0), asked("b", 5), decided("a", 10), decided("b", 20))), [[0, 20]]);
    assert.deepEqual(waits(runOf(asked("a", 0)), BEGAN + 90_000), [[0, 90]]);
  });

  test("nothing is a wait where nobody was asked", () => {
    assert.deepEqual(waits(runOf(begins("a", 0), ends("a", 90))), []);
  });
});

describe("a timeline with breaks", () => {
  const scale = (parts, from, to) => {
    const waits = parts.map(([from, to]) => ({ from, to }));
    return new TimeScale(from, to, Breaks.of(waits, to - from));
  };

  test("a wait has a sliver of the room, and work has the rest", () => {
    const line = scale([[2000, 47_000]], 0, 49_000);
    assert.equal(line.breaks.parts.length, 1);
    assert.ok(line.place(47_000) - line.place(2000) < 0.05);
    assert.ok(Math.abs(line.place(2000) - (1 - line.place(47_000))) < 1e-9);
    assert.deepEqual([line.place(0), line.place(49_000)], [0, 1]);
  });

  test("each place is that of its time, and of no other", () => {
    const line = scale(
      [
        [10_000, 40_000],
        [50_000, 90_000],
      ],
      0,
      100_000,
    );
    assert.equal(line.breaks.parts.length, 2);
    let before = -1;
    for (let time = 0; time <= 100_000; time += 500) {
      const place = line.place(time);
      assert.ok(place > before);
      before = place;
      assert.ok(Math.abs(line.time(place) - time) < 1e-6);
    }
  });

  test("what is short, or little beside the whole, is shown as long as it is", () => {
    assert.ok(scale([[0, 1900]], 0, 3000).breaks.isEmpty);
    assert.ok(scale([[0, 5000]], 0, 100_000).breaks.isEmpty);
  });

  test("no tick stands in a break, be it of days", () => {
    const day = 86_400_000;
    const ticks = scale([[3000, 30 * day]], 0, 30 * day + 4000).ticks(0, 8);
    assert.deepEqual(ticks.slice(0, 4), [0, 1000, 2000, 3000]);
    assert.ok(ticks.length <= 9);
    assert.ok(ticks.slice(4).every((tick) => tick >= 30 * day));
  });
});

describe("how long something took", () => {
  test("its own time is without what is inside of it, however that overlaps", () => {
    const run = runOf(
      begins("a", 0),
      begins("b", 1, "a"),
      begins("c", 2, "a"),
      ends("b", 4),
      ends("c", 5),
      begins("d", 7, "a"),
      ends("d", 8),
      ends("a", 10),
    );
    const [a, b] = run.rows;
    assert.deepEqual(timesOf(a, run.end), { own: 5000, share: null });
    assert.deepEqual(timesOf(b, run.end), { own: 3000, share: 0.3 });
  });

  test("what is open takes its time until now", () => {
    const run = runOf(begins("a", 0), begins("b", 1, "a"));
    assert.deepEqual(timesOf(run.rows[1], BEGAN + 5000), { own: 4000, share: 0.8 });
  });
});
