// Which parts of messages and results are pictures, as each maker writes them. Run by tests/client/test_client.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { imageUrl, partsIn } from "../../trace_streaming/static/trace_streaming/viewer/content/parts.js";

const PNG = "iVBORw0KGgoAAAA";
const URL = `data:image/png;base64,${PNG}`;
const ADDRESS = "https://example.com/a.png";

const PICTURES = {
  "OpenAI, Chat Completions": { type: "image_url", image_url: { url: URL, detail: "low" } },
  "OpenAI, Responses": { type: "input_image", image_url: URL },
  "OpenAI, a computer's screen": { type: "computer_screenshot", image_url: URL },
  "OpenAI Agents, a tool's output": { type: "image", image_url: URL, file_id: null, detail: null },
  Anthropic: { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } },
  MCP: { type: "image", data: PNG, mimeType: "image/png" },
  "MCP, in Python": { type: "image", data: PNG, mime_type: "image/png", annotations: null, meta: null },
  Gemini: { inline_data: { mime_type: "image/png", data: PNG } },
  "Gemini, in JavaScript": { inlineData: { mimeType: "image/png", data: PNG } },
  "Pydantic AI": { data: PNG, media_type: "image/png", vendor_metadata: null, kind: "binary" },
  LangChain: { type: "image", base64: PNG, mime_type: "image/png" },
  "LangChain, before": { type: "image", source_type: "base64", data: PNG, mime_type: "image/png" },
  "AI SDK": { type: "image", image: PNG },
  "AI SDK, an address": { type: "image", image: URL },
  "AI SDK, a file": { type: "file", mediaType: "image/png", data: PNG },
  OpenTelemetry: { type: "blob", modality: "image", mime_type: "image/png", content: PNG },
};

const ADDRESSES = {
  "OpenAI, Chat Completions": { type: "image_url", image_url: { url: ADDRESS } },
  Anthropic: { type: "image", source: { type: "url", url: ADDRESS } },
  "Pydantic AI": { url: ADDRESS, force_download: false, kind: "image-url" },
  OpenTelemetry: { type: "uri", modality: "image", uri: ADDRESS },
  LangChain: { type: "image", url: ADDRESS },
};

const OTHERS = [
  ...[null, undefined, 1, "", URL, [], [URL], {}, { type: "image" }, { type: "text", text: "an image" }],
  { type: "image", data: "not in base64, and of no type" },
  { type: "audio", data: PNG, mimeType: "audio/wav" },
  { url: ADDRESS },
  { type: "uri", uri: ADDRESS },
  { image: "nginx:1.27", url: "https://example.com" },
  { type: "image", name: "disk", url: "/var/lib/disk.img" },
  { type: {}, source: [], inline_data: "x", image_url: { url: { url: 1 } } },
  Object.create(null),
];

for (const [by, part] of Object.entries(PICTURES)) {
  test(`a picture of ${by}`, () => assert.equal(imageUrl(part), URL));
}

for (const [by, part] of Object.entries(ADDRESSES)) {
  test(`the address of a picture of ${by}`, () => assert.equal(imageUrl(part), ADDRESS));
}

for (const part of OTHERS) {
  test(`none: ${JSON.stringify(part)}`, () => assert.equal(imageUrl(part), null));
}

test("a content has texts and pictures alone, and nothing beside them that would not be seen", () => {
  const text = { type: "text", text: "Done.", annotations: null, meta: {} };
  const image = PICTURES.MCP;
  for (const told of [[text], [text, image], { content: [text], isError: false }]) {
    assert.deepEqual(partsIn(told), told.content ?? told);
  }
  const cited = { type: "text", text: "Done.", citations: [1] };
  for (const told of [null, "text", [], {}, [1], [cited], [text, { type: "resource" }], { content: "text" }, image]) {
    assert.equal(partsIn(told), null);
  }
});
