// TraceStream against a server in the test's hand; clocks are held. Run by tests/client/test_client.py.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";

import { TraceRefusedError, TraceStream } from "../../trace_streaming/static/trace_streaming/trace-stream.js";
import { FakeWebSocket, V1, batch, connected, numbered, sockets } from "./fake_server.mjs";

const URL_ = "ws://host/ws/traces/t";
let open = [];

/** A stream, and everything it dispatches in order. */
function watch(options = { since: 0 }, url = URL_) {
  const stream = new TraceStream(url, options);
  const seen = [];
  for (const type of ["connected", "live", "gap", "ended", "error", "refused"]) {
    stream.addEventListener(type, ({ detail }) => seen.push([type, detail]));
  }
  stream.addEventListener("events", ({ detail }) => seen.push(...detail.map(({ sequence }) => sequence)));
  open.push(stream);
  return { stream, seen, numbers: () => seen.filter(Number.isInteger) };
}

/** Whatever was promised by now has happened. */
async function settle() {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

/** The newest socket, once it is there; its handshake succeeds. */
async function accepted(protocol) {
  await settle();
  return sockets.at(-1).accept(protocol);
}

async function pass(milliseconds) {
  mock.timers.tick(milliseconds);
  await settle();
}

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(Math, "random", () => 0.5);
  globalThis.WebSocket = FakeWebSocket;
  sockets.length = 0;
});

afterEach(() => {
  for (const stream of open) stream.close();
  open = [];
  mock.timers.reset();
  mock.restoreAll();
  delete globalThis.document;
});

describe("what is asked for", () => {
  test("v1 is offered, and the query carries since and the filter", async () => {
    watch({ since: 7, events: ["plan_created", "budget_warning"], status: ["error"] });
    await settle();
    assert.deepEqual(sockets[0].offered, [V1]);
    assert.deepEqual(sockets[0].query, { since: "7", events: "plan_created,budget_warning", status: "error" });
  });

  test("without since the first connection is live only, and the next goes on where it began", async () => {
    watch({});
    (await accepted()).say(connected({ sequence: 41 })).end();
    assert.deepEqual(sockets[0].query, {});
    await pass(250);
    assert.deepEqual(sockets[1].query, { since: "41", epoch: "e1" });
  });

  test("a page's address gives scheme and host", async () => {
    globalThis.document = { baseURI: "https://site.example/traces/t", addEventListener() {}, removeEventListener() {} };
    watch({ since: 0 }, "/ws/traces/t");
    await settle();
    assert.equal(sockets[0].url.href, "wss://site.example/ws/traces/t?since=0");
  });

  test("every attempt has a ticket of its own", async () => {
    let number = 0;
    watch({ since: 0, ticket: async () => `ticket-${++number}` });
    (await accepted()).end(4031);
    await pass(250);
    assert.deepEqual(
      sockets.map(({ query }) => query.ticket),
      ["ticket-1", "ticket-2"],
    );
  });

  test("a ticket that cannot be had is an error, and asked for again", async () => {
    const tickets = [() => Promise.reject(new Error("503")), () => "late"];
    const { seen } = watch({ since: 0, ticket: () => tickets.shift()() });
    await settle();
    assert.deepEqual(seen, [["error", { code: null, message: "No ticket: Error: 503" }]]);
    await pass(250);
    assert.equal(sockets[0].query.ticket, "late");
  });

  test("a stream that is closed while it waits for its ticket opens nothing", async () => {
    const { stream } = watch({ ticket: async () => "x" });
    stream.close();
    await settle();
    assert.equal(sockets.length, 0);
  });
});

describe("each event once, in order", () => {
  test("after a break the stream resumes after the last event, and drops what comes twice", async () => {
    const { numbers, stream } = watch();
    (await accepted()).say(connected(), batch(1, 2, 3), { type: "live", sequence: 3 }).end();
    assert.equal(stream.state, "reconnecting");
    await pass(250);
    assert.deepEqual(sockets[1].query, { since: "3", epoch: "e1" });
    (await accepted()).say(connected({ sequence: 5 }), batch(2, 3, 4), batch(4, 5));
    assert.deepEqual(numbers(), [1, 2, 3, 4, 5]);
  });

  test("the position is advanced before listeners are called, so what one fails on does not come again", async () => {
    const stream = new TraceStream(URL_, { since: 0 });
    open.push(stream);
    const positions = [];
    stream.addEventListener("events", ({ detail }) => {
      positions.push([stream.position, detail.at(-1).sequence]);
    });
    const socket = (await accepted()).say(connected(), batch(1, 2));
    socket.say(batch(1, 2), batch(3));
    assert.deepEqual(positions, [
      [2, 2],
      [3, 3],
    ]);
  });

  test("a deleted trace that began again is told, and followed from its first event", async () => {
    const { seen, stream } = watch();
    (await accepted()).say(connected(), batch(1, 2)).end();
    await pass(250);
    const gap = { from: 1, to: 2, reason: "epoch", epoch: "e2" };
    (await accepted()).say(connected({ epoch: "e2" }), { type: "gap", ...gap }, batch(1));
    assert.deepEqual(seen.slice(-2), [["gap", gap], 1]);
    assert.equal(stream.epoch, "e2");
  });

  test("pruned numbers are skipped, and never asked for again", async () => {
    const { seen } = watch();
    (await accepted()).say(connected(), { type: "gap", from: 1, to: 9, reason: "pruned" }).end();
    assert.deepEqual(seen.at(-1), ["gap", { from: 1, to: 9, reason: "pruned", epoch: null }]);
    await pass(250);
    assert.equal(sockets[1].query.since, "9");
  });

  test("of a trace that began after we connected, the last event is asked for again and taken once", async () => {
    const { numbers, stream } = watch();
    (await accepted()).say(connected({ epoch: null, state: null }), batch(1, 2)).end();
    await pass(250);
    assert.deepEqual(sockets[1].query, { since: "1" });
    (await accepted()).say(connected({ sequence: 3 }), batch(2, 3));
    assert.deepEqual(numbers(), [1, 2, 3]);
    assert.equal(stream.epoch, "e1");
  });

  test("until that event has come, nothing is taken for certain", async () => {
    watch();
    (await accepted()).say(connected({ epoch: null, state: null }), batch(1, 2)).end();
    await pass(250);
    (await accepted()).say(connected({ epoch: "e2", sequence: 3 })).end();
    await pass(500);
    assert.deepEqual(sockets[2].query, { since: "1" });
  });

  test("when that last event is another one, the trace has begun again", async () => {
    const { seen } = watch();
    (await accepted()).say(connected({ epoch: null, state: null }), batch(1, 2)).end();
    await pass(250);
    const other = numbered(2, 3).map((event) => ({ ...event, timestamp: "2026-02-02T00:00:00.000000+00:00" }));
    (await accepted()).say(connected({ epoch: "e2", sequence: 3 }), { type: "events", events: other });
    assert.deepEqual(seen.at(-1), ["gap", { from: 1, to: 2, reason: "epoch", epoch: "e2" }]);
    await settle();
    assert.deepEqual(sockets[2].query, { since: "0", epoch: "e2" });
  });

  test("nothing is delivered after close, not even to the next listener or of the same batch", async () => {
    const stream = new TraceStream(URL_, { since: 0 });
    open.push(stream);
    const late = [];
    stream.addEventListener("events", () => stream.close());
    stream.addEventListener("events", () => late.push("second listener"));
    for (const type of ["ended", "live", "error"]) stream.addEventListener(type, () => late.push(type));
    const socket = (await accepted()).say(connected(), batch(1), batch(2), { type: "ended", state: "success" });
    socket.end(4400);
    await pass(60_000);
    assert.deepEqual(late, []);
    assert.equal(socket.closedWith, 1000);
    assert.equal(stream.state, "closed");
    assert.equal(sockets.length, 1);
  });
});

describe("acknowledgements", () => {
  const acks = (socket) => socket.sent.map((text) => JSON.parse(text)).filter(({ type }) => type === "ack");

  test("a part of the window is acknowledged at once", async () => {
    watch();
    const socket = (await accepted()).say(connected({ window: 800 }), batch(1));
    assert.deepEqual(acks(socket), [{ type: "ack", sequence: 1 }]);
  });

  test("little is acknowledged together, a second after it began to come", async () => {
    watch();
    const socket = (await accepted()).say(connected({ window: 1e6 }), batch(1));
    await pass(600);
    socket.say(batch(2));
    assert.deepEqual(acks(socket), []);
    await pass(400);
    assert.deepEqual(acks(socket), [{ type: "ack", sequence: 2 }]);
    await pass(1000);
    assert.equal(acks(socket).length, 1);
    socket.say(batch(3));
    await pass(1000);
    assert.deepEqual(acks(socket).at(-1), { type: "ack", sequence: 3 });
  });
});

describe("coming back", () => {
  const delays = async (count, code = 1006) => {
    const found = [];
    for (let attempt = 0; attempt < count; attempt++) {
      await settle();
      const opened = sockets.length;
      sockets.at(-1).end(code);
      let delay = 0;
      for (; sockets.length === opened && delay < 20_000; delay += 50) await pass(50);
      found.push(delay);
    }
    return found;
  };

  test("the wait doubles up to its ceiling, and a random part of it is waited", async () => {
    watch();
    assert.deepEqual(await delays(7), [250, 500, 1000, 2000, 4000, 5000, 5000]);
  });

  test("it is short again once the stream was live", async () => {
    watch();
    await delays(4);
    (await accepted()).say(connected(), { type: "live", sequence: 0 });
    assert.deepEqual(await delays(1), [250]);
  });

  test("a server that accepts and closes at once is not hammered", async () => {
    watch();
    await settle();
    const waits = [];
    for (let attempt = 0; attempt < 4; attempt++) {
      sockets.at(-1).accept().say(connected());
      waits.push(...(await delays(1, 4001)));
    }
    assert.deepEqual(waits, [250, 500, 1000, 2000]);
  });

  for (const code of [1000, 1006, 1012, 4001, 4008, 4031]) {
    test(`${code} is come back from`, async () => {
      watch();
      await settle();
      assert.deepEqual(await delays(1, code), [250]);
    });
  }

  test("after 4029 it comes back later", async () => {
    watch();
    await settle();
    assert.deepEqual(await delays(1, 4029), [5000]);
  });

  for (const code of [4400, 4401, 4403, 4413, 4499]) {
    test(`${code} is final`, async () => {
      const { seen, stream } = watch();
      (await accepted()).say({ type: "error", code, message: "No." }).end(code);
      await pass(600_000);
      assert.equal(sockets.length, 1);
      assert.equal(stream.state, "refused");
      const [type, error] = seen.at(-1);
      assert.equal(type, "refused");
      assert.ok(error instanceof TraceRefusedError);
      assert.deepEqual([error.code, error.message], [code, "No."]);
    });
  }

  test("a trace that has ended is not come back for, and goes on while its connection is there", async () => {
    const { stream, numbers } = watch();
    const socket = (await accepted()).say(connected(), batch(1), { type: "ended", state: "success", sequence: 1 });
    assert.equal(stream.state, "ended");
    socket.say(batch(2));
    assert.equal(stream.state, "live");
    socket.say({ type: "ended", state: "success", sequence: 2 }).end();
    await pass(60_000);
    assert.deepEqual(numbers(), [1, 2]);
    assert.equal(sockets.length, 1);
  });

  test("a frame that is not JSON is a broken connection", async () => {
    watch();
    const socket = (await accepted()).say(connected(), batch(1), "{");
    assert.equal(socket.closedWith, null);
    await pass(250);
    assert.equal(sockets[1].query.since, "1");
  });
});

describe("text that streams", () => {
  test("a piece is handed on, and moves no cursor", async () => {
    const { stream } = watch();
    const heard = [];
    stream.addEventListener("delta", ({ detail }) => heard.push(detail));
    const socket = (await accepted()).say(connected());
    const { position } = stream;
    socket.say({ type: "delta", call_id: "1", offset: 0, text: "The weather" });
    assert.deepEqual(heard, [{ call_id: "1", offset: 0, text: "The weather" }]);
    assert.equal(stream.position, position);
  });
});

describe("silence", () => {
  test("a connection that misses heartbeats is asked, and left when it does not answer", async () => {
    watch();
    const socket = (await accepted()).say(connected({ heartbeat_seconds: 2 }));
    await pass(4999);
    assert.deepEqual(socket.sent, []);
    await pass(1);
    assert.deepEqual(socket.sent, ['{"type":"ping"}']);
    await pass(5000);
    assert.equal(socket.closedWith, null);
    await pass(250);
    assert.equal(sockets.length, 2);
  });

  test("one that answers is kept", async () => {
    watch();
    const socket = (await accepted()).say(connected({ heartbeat_seconds: 2 }));
    await pass(5000);
    socket.say({ type: "pong" });
    await pass(4999);
    assert.equal(socket.closedWith, undefined);
  });

  test("a handshake that is not answered is given up", async () => {
    watch();
    await settle();
    await pass(15_000);
    assert.equal(sockets[0].closedWith, null);
    await pass(250);
    assert.equal(sockets.length, 2);
  });

  for (const [target, type] of [
    ["window", "online"],
    ["document", "visibilitychange"],
  ]) {
    test(`${type} cuts the wait short, and asks a connection that seems to be there`, async () => {
      const listeners = new Map();
      const listening = {
        addEventListener: (name, listener) => listeners.set(name, listener),
        removeEventListener: (name) => listeners.delete(name),
      };
      globalThis.document = { baseURI: "http://host/", hidden: false, addEventListener() {}, removeEventListener() {} };
      Object.assign(target === "window" ? globalThis : globalThis.document, listening);
      try {
        const { stream } = watch();
        (await accepted()).end();
        listeners.get(type)();
        await settle();
        assert.equal(sockets.length, 2);
        const socket = (await accepted()).say(connected());
        listeners.get(type)();
        assert.deepEqual(socket.sent, ['{"type":"ping"}']);
        globalThis.document.hidden = true;
        socket.end();
        listeners.get(type)();
        await settle();
        assert.equal(sockets.length, 2);
        stream.close();
        assert.equal(listeners.has(type), false);
      } finally {
        delete globalThis.addEventListener;
        delete globalThis.removeEventListener;
      }
    });
  }
});

describe("a server that does not speak v1", () => {
  const plainConnected = { event: "connected", trace_id: "t", details: {}, sequence: 2, epoch: "e1" };

  test("is spoken to plainly after its handshake failed", async () => {
    const { seen, stream } = watch();
    await settle();
    sockets[0].end();
    await pass(250);
    assert.deepEqual(sockets[1].offered, []);
    const gap = { event: "gap", trace_id: "t", status: "warning", details: { from: 2, to: 2, reason: "pruned" } };
    const socket = (await accepted()).say(plainConnected, numbered(1)[0]);
    assert.equal(stream.state, "replaying");
    socket.say(gap, numbered(3)[0]);
    assert.equal(stream.profile, "plain");
    assert.deepEqual(
      seen.map((item) => item[0] ?? item),
      ["connected", 1, "gap", 3, "live"],
    );
    await pass(30_000);
    assert.deepEqual(socket.sent, ["ping"]);
    socket.say("pong");
    await pass(29_999);
    assert.equal(socket.closedWith, undefined);
  });

  test("is understood where it accepts without choosing a subprotocol", async () => {
    const { numbers, seen } = watch();
    (await accepted("")).say(plainConnected, ...numbered(1, 2), {
      event: "error",
      status: "error",
      details: { code: 4001, message: "Going" },
    });
    assert.deepEqual(numbers(), [1, 2]);
    assert.deepEqual(seen.at(-1), ["error", { code: 4001, message: "Going" }]);
  });

  test("one that has spoken v1 is not asked for less after an outage", async () => {
    watch();
    (await accepted()).say(connected()).end();
    for (let attempt = 1; attempt < 4; attempt++) {
      await pass(10_000);
      assert.deepEqual(sockets[attempt].offered, [V1]);
      sockets[attempt].end();
    }
  });
});

describe("commands", () => {
  test("are answered by result or error, or rejected with their connection", async () => {
    const { stream, seen } = watch();
    await assert.rejects(stream.command("subscribe"), /Not connected/);
    const socket = (await accepted()).say(connected());
    const [first, second, third] = [1, 2, 3].map((n) => stream.command("subscribe", { status: [`s${n}`] }));
    assert.deepEqual(
      socket.sent.map((text) => JSON.parse(text)),
      [1, 2, 3].map((n) => ({ status: [`s${n}`], type: "subscribe", id: n })),
    );
    socket.say({ type: "result", id: 1 }, { type: "error", id: 2, code: 4400, message: "Bad status" });
    assert.deepEqual(await first, { type: "result", id: 1 });
    await assert.rejects(second, { name: "TraceCommandError", code: 4400, message: "Bad status" });
    socket.end();
    await assert.rejects(third, /gone/);
    assert.deepEqual(
      seen.map(([type]) => type),
      ["connected"],
    );
  });
});

describe("as an async iterator", () => {
  test("it yields every event, over a break, until the trace ends, and closes", async () => {
    const stream = new TraceStream(URL_, { since: 0 });
    open.push(stream);
    const taken = [];
    const done = (async () => {
      for await (const { sequence } of stream) taken.push(sequence);
    })();
    (await accepted()).say(connected(), batch(1, 2)).end();
    await pass(250);
    (await accepted()).say(connected({ sequence: 3 }), batch(3), { type: "ended", state: "error", sequence: 3 });
    await done;
    assert.deepEqual(taken, [1, 2, 3]);
    assert.equal(stream.state, "closed");
  });

  test("leaving the loop closes the stream; nothing of the batch follows", async () => {
    const stream = new TraceStream(URL_, { since: 0 });
    open.push(stream);
    const taken = [];
    const done = (async () => {
      for await (const { sequence } of stream) {
        taken.push(sequence);
        if (sequence === 2) break;
      }
    })();
    const socket = (await accepted()).say(connected(), batch(1, 2, 3));
    await done;
    assert.deepEqual(taken, [1, 2]);
    assert.equal(socket.closedWith, 1000);
  });

  test("a stream that is closed inside of the loop yields nothing more of its batch", async () => {
    const stream = new TraceStream(URL_, { since: 0 });
    open.push(stream);
    const taken = [];
    const done = (async () => {
      for await (const { sequence } of stream) {
        taken.push(sequence);
        stream.close();
      }
    })();
    (await accepted()).say(connected(), batch(1, 2, 3));
    await done;
    assert.deepEqual(taken, [1]);
  });

  test("a closed stream ends it, a refused one throws", async () => {
    const stream = new TraceStream(URL_);
    open.push(stream);
    const next = stream[Symbol.asyncIterator]().next();
    await settle();
    stream.close();
    assert.deepEqual(await next, { value: undefined, done: true });

    const refused = new TraceStream(URL_);
    open.push(refused);
    const failed = refused[Symbol.asyncIterator]().next();
    (await accepted()).end(4403);
    await assert.rejects(failed, TraceRefusedError);
  });
});

test("integers of details are exact where that is asked for, also in what is sent", async () => {
  for (const exactIntegers of [true, false]) {
    const { stream } = watch({ since: 0, exactIntegers });
    const seen = [];
    stream.addEventListener("events", ({ detail }) => seen.push(...detail));
    const socket = await accepted(V1);
    socket.onmessage({ data: JSON.stringify(connected()) });
    const frame = JSON.stringify(batch(1)).replace('"details":{', '"details":{"id":9007199254740993');
    socket.onmessage({ data: frame.replace('993"', '993,"') });
    assert.equal(seen[0].details.id, exactIntegers ? 9007199254740993n : 9007199254740992);
    stream.close();
  }
});
