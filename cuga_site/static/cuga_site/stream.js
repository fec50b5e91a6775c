// One trace over trace-stream.v1: replays it from the start, follows it, and comes back after any disconnect.

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 10_000;
const ANSWER_SECONDS = 15;

/**
 * Watch a trace. Every event reaches `page.events` once, in order.
 *
 * @param {string} traceId
 * @param {object} page what is told:
 *   `status(name, state)`: connecting, catching up, live, reconnecting, refused, or ended with the trace's state;
 *   `events(list)`; `gap(frame)`: numbers that no longer exist; `reset()`: forget all events, they come again;
 *   `error(message)`: what the server complains of, null when that is over.
 */
export function watch(traceId, page) {
  const url = new URL(`/ws/traces/${encodeURIComponent(traceId)}`, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  let since = 0;
  let epoch = null; // which life of the trace `since` belongs to; null when it began after we connected
  let attempts = 0;
  let ended = false;

  function beginAgain(nextEpoch) {
    since = 0;
    epoch = nextEpoch;
    ended = false;
    page.reset();
  }

  function receive(socket, frame) {
    switch (frame.type) {
      case "connected":
        if (since > 0 && (epoch === null || epoch !== frame.epoch)) beginAgain(frame.epoch);
        epoch = frame.epoch;
        page.error(null);
        page.status("catching up", frame.state);
        break;
      case "live":
        attempts = 0;
        page.status("live");
        break;
      case "events": {
        const events = frame.events.filter((event) => event.sequence > since);
        if (events.length > 0) {
          since = events.at(-1).sequence;
          page.events(events);
          if (ended) page.status("live");
          ended = false;
        }
        socket.send(JSON.stringify({ type: "ack", sequence: since }));
        break;
      }
      case "gap":
        if (frame.reason === "epoch") beginAgain(frame.epoch ?? null);
        else since = Math.max(since, frame.to);
        page.gap(frame);
        break;
      case "ended":
        ended = true;
        page.status("ended", frame.state);
        break;
      case "error":
        page.error(frame.message);
    }
  }

  function connect() {
    // Of a life that is not known nothing can be resumed.
    url.searchParams.set("since", epoch === null ? 0 : since);
    if (epoch === null) url.searchParams.delete("epoch");
    else url.searchParams.set("epoch", epoch);

    const socket = new WebSocket(url, ["trace-stream.v1"]);
    let patience = ANSWER_SECONDS;
    let silence = setTimeout(lost, patience * 1000);

    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type === "connected") patience = Math.max(frame.heartbeat_seconds * 2.5, ANSWER_SECONDS);
      clearTimeout(silence);
      silence = setTimeout(lost, patience * 1000);
      receive(socket, frame);
    };
    socket.onclose = ({ code }) => lost(code);

    // Closed, or silent for so long that the network has forgotten it.
    function lost(code) {
      clearTimeout(silence);
      socket.onmessage = socket.onclose = null;
      socket.close();
      if (ended) return;
      if (code >= 4400 && code < 4500) {
        page.status("refused", code);
      } else {
        page.status("reconnecting");
        setTimeout(connect, Math.random() * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** attempts++));
      }
    }
  }

  page.status("connecting");
  connect();
}
