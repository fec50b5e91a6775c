// The other end of a browser's WebSocket, in the test's hand: accepts, says and closes when it is told to.

export const V1 = "trace-stream.v1";

/** The sockets that were opened, oldest first. */
export const sockets = [];

export class FakeWebSocket {
  readyState = 0;
  protocol = "";
  sent = [];
  closedWith = undefined;

  constructor(url, protocols = []) {
    this.url = new URL(url);
    this.offered = protocols;
    sockets.push(this);
  }

  get query() {
    return Object.fromEntries(this.url.searchParams);
  }

  send(text) {
    this.sent.push(text);
  }

  close(code) {
    this.readyState = 3;
    this.closedWith = code ?? null;
  }

  /** The handshake succeeds. */
  accept(protocol = this.offered[0] ?? "") {
    this.readyState = 1;
    this.protocol = protocol;
    this.onopen?.({});
    return this;
  }

  /** Frames from the server. */
  say(...frames) {
    for (const frame of frames) this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
    return this;
  }

  /** The connection ends, and the client is told so. */
  end(code = 1006) {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

export function connected(fields = {}) {
  return {
    type: "connected",
    trace_id: "t",
    epoch: "e1",
    sequence: 0,
    state: "running",
    heartbeat_seconds: 15,
    window: 1000,
    ...fields,
  };
}

/** Events with these numbers. */
export function numbered(...sequences) {
  return sequences.map((sequence) => ({
    event: "plan_created",
    trace_id: "t",
    timestamp: `2026-01-05T12:00:00.${String(sequence).padStart(6, "0")}+00:00`,
    details: {},
    status: "success",
    sequence,
  }));
}

export function batch(...sequences) {
  return { type: "events", events: numbered(...sequences) };
}
