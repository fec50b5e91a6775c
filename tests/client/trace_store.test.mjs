// TraceStore, of which React's hook is made, against a server in the test's hand. Run by tests/client/test_client.py.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { TraceStore } from "../../trace_streaming/static/trace_streaming/client/trace_store.js";
import { FakeWebSocket, batch, connected, numbered, sockets } from "./fake_server.mjs";

const URL_ = "ws://host/ws/traces/t";

/** @type {TraceStore | null} */
let open = null;

async function settle() {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

/** A store that is connected, and how often it has told of a change. */
async function watching(options) {
  const store = (open = new TraceStore(URL_, options));
  const told = { times: 0 };
  store.subscribe(() => (told.times += 1));
  store.connect();
  await settle();
  const socket = sockets.at(-1).accept();
  return { store, socket, told };
}

const event = (sequence, name, details, status = "success") => ({
  ...numbered(sequence)[0],
  event: name,
  details,
  status,
});
const say = (...events) => ({ type: "events", events });
const sequences = (store) => store.snapshot().events.map(({ sequence }) => sequence);

beforeEach(() => {
  globalThis.WebSocket = FakeWebSocket;
  sockets.length = 0;
});

afterEach(() => open?.disconnect());

describe("a snapshot", () => {
  test("is the same object until something changes; what changes at once is told once", async () => {
    const { store, socket, told } = await watching();
    assert.equal(store.snapshot().state, "connecting");
    socket.say(connected({ sequence: 2 }), batch(1), batch(2), { type: "live", sequence: 2 });
    const before = told.times;
    await settle();
    assert.equal(told.times, before + 1);
    const snapshot = store.snapshot();
    assert.equal(snapshot, store.snapshot());
    assert.deepEqual([snapshot.state, snapshot.isConnected, sequences(store)], ["live", true, [1, 2]]);
    socket.say({ type: "heartbeat", sequence: 2 });
    await settle();
    assert.equal(store.snapshot(), snapshot);
    socket.say({ type: "delta", call_id: "none", offset: 0, text: "x" });
    await settle();
    assert.equal(store.snapshot().spans, snapshot.spans);
  });

  test("says why a connection was refused, and forgets what was mended", async () => {
    const { store, socket } = await watching();
    socket.say(connected({ sequence: 0 }), { type: "error", code: 4400, message: "What?" });
    await settle();
    assert.equal(store.snapshot().error.message, "What?");
    socket.say({ type: "live", sequence: 0 });
    await settle();
    assert.equal(store.snapshot().error, null);
    socket.end(4403);
    await settle();
    assert.deepEqual([store.snapshot().state, store.snapshot().error.code], ["refused", 4403]);
    store.connect();
    await settle();
    assert.deepEqual([store.snapshot().state, store.snapshot().error], ["connecting", null]);
  });
});

describe("left and come back to", () => {
  test("it goes on where it was", async () => {
    const { store, socket } = await watching();
    socket.say(connected({ sequence: 2 }), batch(1, 2));
    store.disconnect();
    await settle();
    assert.deepEqual([store.snapshot().state, store.snapshot().isConnected], ["closed", false]);
    store.connect();
    await settle();
    assert.equal(sockets.at(-1).query.since, "2");
    sockets
      .at(-1)
      .accept()
      .say(connected({ sequence: 3 }), batch(3));
    await settle();
    assert.deepEqual(sequences(store), [1, 2, 3]);
  });

  test("a trace that has begun again meanwhile is another one", async () => {
    const { store, socket } = await watching();
    socket.say(connected({ sequence: 2 }), batch(1, 2));
    store.disconnect();
    store.connect();
    await settle();
    sockets
      .at(-1)
      .accept()
      .say(connected({ sequence: 5, epoch: "e2" }), batch(3, 4, 5));
    await settle();
    assert.equal(sockets.at(-1).query.since, "0");
    assert.deepEqual(sequences(store), []);
    sockets
      .at(-1)
      .accept()
      .say(connected({ sequence: 5, epoch: "e2" }), batch(1, 2, 3, 4, 5));
    await settle();
    assert.deepEqual(sequences(store), [1, 2, 3, 4, 5]);
  });

  test("what was told before a refusal does not come again", async () => {
    const { store, socket } = await watching();
    socket.say(connected({ sequence: 2 }), batch(1, 2));
    socket.end(4401);
    store.connect();
    await settle();
    assert.equal(sockets.at(-1).query.since, "2");
    sockets
      .at(-1)
      .accept()
      .say(connected({ sequence: 3 }), batch(3));
    await settle();
    assert.deepEqual(sequences(store), [1, 2, 3]);
  });

  test("a trace that had ended, and goes on when its connection is gone", async () => {
    const { store, socket } = await watching();
    socket.say(connected({ sequence: 1 }), batch(1), { type: "ended", state: "incomplete", sequence: 1 });
    store.connect();
    await settle();
    assert.equal(sockets.length, 1);
    socket.end(1001);
    store.connect();
    await settle();
    assert.deepEqual([sockets.length, sockets.at(-1).query.since], [2, "1"]);
    sockets
      .at(-1)
      .accept()
      .say(connected({ sequence: 2 }), batch(2));
    await settle();
    assert.deepEqual([sequences(store), store.snapshot().endState], [[1, 2], null]);
  });

  test("it knows of another life also after attempts that failed", async () => {
    const { store, socket } = await watching();
    socket.say(connected({ sequence: 2 }), batch(1, 2));
    for (const _ of [1, 2]) {
      store.disconnect();
      store.connect();
      await settle();
    }
    sockets
      .at(-1)
      .accept()
      .say(connected({ sequence: 5, epoch: "e2" }));
    await settle();
    assert.equal(sockets.at(-1).query.since, "0");
  });

  test("of gaps, those of the life that is shown", async () => {
    const { store, socket } = await watching();
    socket.say(connected({ sequence: 9 }), { type: "gap", from: 1, to: 4, reason: "pruned" });
    await settle();
    assert.equal(store.snapshot().gaps[0].to, 4);
    socket.say({ type: "gap", from: 1, to: 9, reason: "epoch", epoch: "e2" });
    await settle();
    assert.deepEqual(
      store.snapshot().gaps.map(({ reason }) => reason),
      ["epoch"],
    );
  });

  test("what was cleared does not come again", async () => {
    const { store, socket } = await watching({ since: undefined });
    assert.deepEqual(socket.query, {});
    socket.say(connected({ sequence: 7 }), batch(8));
    store.clearEvents();
    socket.say(batch(9));
    await settle();
    assert.deepEqual(sequences(store), [9]);
  });
});

describe("what is made of events", () => {
  test("spans inside of each other, and what a model says until it has said it", async () => {
    const { store, socket } = await watching();
    socket.say(
      connected({ sequence: 2 }),
      say(
        event(1, "agent_start", { call_id: "a", name: "writer" }, "pending"),
        event(2, "llm_call_start", { call_id: "m", parent_call_id: "a" }, "pending"),
      ),
      { type: "delta", call_id: "m", offset: 0, text: "Once " },
      { type: "delta", call_id: "m", offset: 5, text: "upon" },
      { type: "delta", call_id: "m", offset: 0, text: "Once " },
    );
    await settle();
    assert.deepEqual(store.snapshot().deltas, { m: "Once upon" });
    socket.say({ type: "delta", call_id: "m", offset: 20, text: "time" });
    await settle();
    assert.deepEqual(store.snapshot().deltas, { m: "… time" });
    const [agent] = store.snapshot().spans;
    assert.deepEqual([agent.name, agent.inside.map(({ kind }) => kind)], ["writer", ["llm"]]);
    socket.say(say(event(3, "llm_call_complete", { call_id: "m" })));
    await settle();
    assert.deepEqual(store.snapshot().deltas, {});
  });

  test("what an agent asks, until somebody has answered", async () => {
    const { store, socket } = await watching();
    const asked = { approval_id: "1", action: "send", arguments_hash: "f00" };
    socket.say(connected({ sequence: 1 }), say(event(1, "approval_requested", asked, "pending")));
    await settle();
    assert.deepEqual(store.snapshot().approvals, [asked]);
    const decided = store.decide("1", "approved", { comment: "fine" });
    const { id, ...sent } = JSON.parse(socket.sent.at(-1));
    const shown = { approval_id: "1", arguments_hash: "f00" };
    assert.deepEqual(sent, { type: "decide", ...shown, decision: "approved", comment: "fine" });
    socket.say({ type: "result", id }, say(event(2, "approval_received", { approval_id: "1", decision: "approved" })));
    await decided;
    await settle();
    assert.deepEqual(store.snapshot().approvals, []);
    store.disconnect();
    await assert.rejects(store.decide("1", "approved"), /Not connected/);
  });
});
