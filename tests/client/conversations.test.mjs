// What a model was sent, put together: the table of cases that `tests/events/test_conversations.py` runs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Conversations } from "../../trace_streaming/static/trace_streaming/client/conversations.js";

const CASES = JSON.parse(readFileSync(new URL("../events/conversation_cases.json", import.meta.url), "utf8"));

for (const { says, details, messages } of CASES) {
  test(says, () => {
    const conversations = new Conversations();
    for (const each of details) conversations.add({ details: each });
    for (const [callId, expected] of Object.entries(messages)) {
      assert.deepEqual(conversations.messages(callId), expected);
    }
  });
}
