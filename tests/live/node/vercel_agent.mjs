// An agent of the Vercel AI SDK with a scripted model; its spans go out by OpenTelemetry's own exporter.
//
//     node vercel_agent.mjs SITE AUTHORIZATION http|proto [MODULE]    MODULE has a class LiveSpans, which is given the first two

import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { generateText, stepCountIs, tool } from "ai";
import { MockLanguageModelV3 } from "ai/test";
import { z } from "zod";

const [site, authorization, encoding, live] = process.argv.slice(2);
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${encoding}`);
const exporter = new OTLPTraceExporter({ url: `${site}/v1/traces`, headers: { Authorization: authorization } });
const ids = new Set();
const spanProcessors = [
  new BatchSpanProcessor(exporter),
  {
    onStart: (span) => ids.add(span.spanContext().traceId),
    onEnd() {},
    shutdown: async () => {},
    forceFlush: async () => {},
  },
];
if (live !== undefined) {
  const { LiveSpans } = await import(live);
  spanProcessors.push(new LiveSpans(site, authorization));
}
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "ts-agent" }),
  spanProcessors,
});
provider.register();

const usage = {
  inputTokens: { total: 11, noCache: 11, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 7, text: 7, reasoning: 0 },
};
const turns = [
  {
    content: [
      { type: "tool-call", toolCallId: "c1", toolName: "lookup", input: '{"key":"a"}' },
      { type: "tool-call", toolCallId: "c2", toolName: "broken", input: '{"x":3}' },
    ],
    finishReason: { unified: "tool-calls", raw: "tool_calls" },
    usage,
    warnings: [],
  },
  {
    content: [{ type: "text", text: "It is delta." }],
    finishReason: { unified: "stop", raw: "stop" },
    usage,
    warnings: [],
  },
];
const fail = () => {
  throw new Error("no such row 3");
};
await generateText({
  model: new MockLanguageModelV3({ modelId: "fake-1", doGenerate: async () => turns.shift() }),
  prompt: "what is a?",
  stopWhen: stepCountIs(5),
  experimental_telemetry: { isEnabled: true, functionId: "solo", metadata: { userId: "u1", sessionId: "s1" } },
  tools: {
    lookup: tool({ inputSchema: z.object({ key: z.string() }), execute: async ({ key }) => `value of ${key}` }),
    broken: tool({ inputSchema: z.object({ x: z.number() }), execute: async () => fail() }),
  },
});
await spanProcessors.at(-1).forceFlush(); // starts are there before the exporter's batch
await provider.forceFlush();
await provider.shutdown();
console.log([...ids].join(" "));
