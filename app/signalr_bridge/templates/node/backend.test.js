// The backend as the bridge sees it: events are posted, signed, and its answers are looked at. `node --test` runs it.

"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { createHmac, randomBytes } = require("node:crypto");
const { once } = require("node:events");
const { after, before, test } = require("node:test");

const KEY = randomBytes(32);
let backend, url;

before(async () => {
  const settings = { PORT: "0", WEBHOOK_SECRET: `whsec_${KEY.toString("base64")}` };
  backend = spawn(process.execPath, [`${__dirname}/backend.js`], { env: { ...process.env, ...settings } });
  const [line] = await once(backend.stdout, "data"); // backend: listening on port 12345
  url = `http://localhost:${/port (\d+)/.exec(line)[1]}/signalr`;
});

after(() => backend.kill());

async function post(event, key = KEY) {
  const body = JSON.stringify({ hub: "chat", category: "messages", connectionId: "c1", userId: "ann", ...event });
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", key).update(`msg_1.${timestamp}.${body}`).digest("base64");
  const headers = { "webhook-id": "msg_1", "webhook-timestamp": `${timestamp}`, "webhook-signature": `v1,${signature}` };
  return fetch(url, { method: "POST", headers, body });
}

test("a text reaches everybody", async () => {
  const response = await post({ event: "broadcast", arguments: ["hello"] });
  assert.equal(response.status, 200);
  const outputs = [{ target: "newMessage", arguments: ["ann", "hello"] }];
  assert.deepEqual(await response.json(), { result: "sent", outputs });
});

test("an empty text is refused with a reason", async () => {
  const response = await post({ event: "broadcast", arguments: [""] });
  assert.equal(response.status, 422);
  assert.equal((await response.json()).detail, "The text is empty.");
});

test("what the bridge has not signed is not believed", async () => {
  assert.equal((await post({ event: "broadcast", arguments: ["hello"] }, randomBytes(32))).status, 401);
});
