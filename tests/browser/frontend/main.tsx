// What a project's own frontend does with the package, and nothing else.

import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { TraceStream, type Span, type TraceEvent } from "@django-trace-streaming/client";
import { useTraceStream } from "@django-trace-streaming/client/react";

const asked = new URLSearchParams(location.search);

function Trace({ id }: { id: string }) {
  const [isNewOnly, setNewOnly] = useState(false);
  const since = isNewOnly ? { since: undefined } : {};
  const trace = useTraceStream(id, { autoConnect: !asked.has("waits"), ...since });
  const line = ({ sequence, event }: TraceEvent) => <li key={sequence}>{`${sequence} ${event}`}</li>;
  const row = ({ arrival, kind, name, outcome, inside }: Span) => (
    <li key={arrival}>{`${kind} ${name} ${outcome} ${inside.length}`}</li>
  );
  return (
    <main>
      <p data-testid="state">{trace.isConnected ? "connected" : trace.state}</p>
      <ol aria-label="Events">{trace.events.map(line)}</ol>
      <ul aria-label="Spans">{trace.spans.map(row)}</ul>
      <output aria-label="Says">{Object.values(trace.deltas).join(" ")}</output>
      <p>{`Ended: ${trace.endState}`}</p>
      {trace.error === null ? null : <p role="alert">{trace.error.message}</p>}
      {trace.approvals.map(({ approval_id, action }) => (
        <button key={approval_id} onClick={() => trace.decide(approval_id, "approved", { comment: "fine" })}>
          {`Approve ${action}`}
        </button>
      ))}
      <button onClick={trace.connect}>Connect</button>
      <button onClick={trace.disconnect}>Disconnect</button>
      <button onClick={trace.clearEvents}>Clear</button>
      <button onClick={trace.sendPing}>Ping</button>
      <button onClick={() => setNewOnly(!isNewOnly)}>Only what is new</button>
    </main>
  );
}

console.assert(typeof TraceStream === "function");
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Trace id={asked.get("trace") ?? ""} />
  </StrictMode>,
);
