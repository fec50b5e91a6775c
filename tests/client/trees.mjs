// Reads JSON: traces, each a list of events; writes each one's tree, as the table of cases has it.

import { readFileSync } from "node:fs";

import { Span, Spans } from "../../trace_streaming/static/trace_streaming/client/spans.js";

const rounded = (milliseconds) => (milliseconds === null ? null : Math.round(milliseconds * 1000) / 1000);
const nodes = (spans) =>
  spans.map((span) => [span.kind, span.name, span.outcome, rounded(span.duration), nodes(span.inside)]);
const trees = JSON.parse(readFileSync(0, "utf8")).map((events) => {
  const spans = new Spans(() => new Span());
  for (const event of events) spans.add(event);
  return nodes(spans.roots);
});
process.stdout.write(JSON.stringify(trees));
