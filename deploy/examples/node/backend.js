// A chat behind the bridge's `[forward.chat]`, in one file, on Node's standard library alone (20 or newer).
//
// The bridge posts every event of the hub here as JSON, signed by the Standard Webhooks scheme. The answer is trigger,
// return value and output binding in one: `outputs` are sent first (messages, group actions), then the client's
// `invoke()` gets `result`. The bridge's deploy/examples/README.md explains it step by step.
//
//   WEBHOOK_SECRET=whsec_... BRIDGE_API_KEY=... node backend.js

"use strict";

const { createHmac, timingSafeEqual } = require("node:crypto");
const { createServer } = require("node:http");

const PORT = Number(process.env.PORT ?? 9000);
const BRIDGE_URL = process.env.BRIDGE_URL ?? "http://localhost:8080";
const BRIDGE_API_KEY = process.env.BRIDGE_API_KEY ?? ""; // one of its BRIDGE_CALLERS__KEYS
const LARGEST_BODY = 8_000_000;
const TOLERANCE_SECONDS = 5 * 60; // how far the bridge's clock and ours may be apart: what is older was replayed

const SECRET = readSecret(process.env.WEBHOOK_SECRET ?? "");
const BANNED = new Set(["mallory"]);

// --- what the hub does: method name -> (event) => { result, outputs }. Throw Refusal to say no.

class Refusal extends Error {}

const methods = {
  // A room is a group. Outputs are sent in order: who joins is in the room before the room is told.
  join: (event) => move(event, "add", "has joined"),
  leave: (event) => move(event, "remove", "has left"),

  // await connection.invoke("broadcast", "hello"): everybody gets newMessage(name, text); with a room, all in it.
  broadcast(event) {
    const [text, room] = event.arguments;
    const message = { target: "newMessage", arguments: [name(event), wanted("text", text)] };
    if (room != null) message.groupName = wanted("room", room);
    return { result: "sent", outputs: [message] };
  },

  // Which of these users are here? The bridge knows: a list of our own would be wrong after a restart.
  async who({ hub, arguments: users }) {
    if (users.length < 1 || users.length > 10) throw new Refusal("Ask for 1 to 10 users.");
    const here = [];
    for (const user of users.map((user) => wanted("user", user))) {
      const status = await bridge("GET", `/hubs/${encodeURIComponent(hub)}/users/${encodeURIComponent(user)}`);
      if (![200, 400, 404].includes(status)) throw new Error(`the bridge answered ${status}`);
      if (status === 200) here.push(user); // 404: is not here; 400: nobody can have such a name
    }
    return { result: here };
  },

  // Outputs answer an event. Whenever else a backend has something to say (a timer, a paid order), it posts it.
  async announce({ hub, arguments: [text] }) {
    const message = { target: "newMessage", arguments: ["announcement", wanted("text", text)] };
    const status = await bridge("POST", `/hubs/${encodeURIComponent(hub)}/send`, message);
    if (status !== 202) throw new Error(`the bridge answered ${status}`);
    return { result: "announced" };
  },
};

function move(event, action, verb) {
  const groupName = wanted("room", event.arguments[0]);
  const text = `${name(event)} ${verb} ${groupName}`;
  return {
    result: groupName,
    outputs: [
      { action, groupName, connectionId: event.connectionId },
      { target: "newMessage", groupName, arguments: ["room", text] },
    ],
  };
}

const name = ({ userId }) => userId ?? "somebody";

function wanted(what, value) {
  if (typeof value !== "string" || value.trim() === "") throw new Refusal(`The ${what} is empty.`);
  return value;
}

async function bridge(method, path, item) {
  const response = await fetch(BRIDGE_URL + path, {
    method,
    headers: { "X-API-Key": BRIDGE_API_KEY, "Content-Type": "application/json" },
    body: JSON.stringify(item),
    signal: AbortSignal.timeout(5_000),
  });
  await response.body?.cancel();
  return response.status;
}

// --- HTTP

async function answer(request) {
  if (request.method === "GET" && request.url === "/health") return { status: 204 };
  if (request.method !== "POST") return { status: 405 };
  const body = await read(request);
  if (body === null) return { status: 413 };
  if (!isSigned(request.headers, body)) return { status: 401 };

  const event = JSON.parse(body.toString("utf8"));
  if (event.category === "connections") {
    console.log(`${event.event}: ${name(event)}`);
    const refused = event.event === "connected" && BANNED.has(event.userId);
    return refused ? refuse(403, "You are banned.") : { status: 204 };
  }
  // Own properties only: a client may well call "constructor".
  if (!Object.hasOwn(methods, event.event)) return refuse(422, "There is no such method.");
  try {
    return { status: 200, body: await methods[event.event](event) };
  } catch (error) {
    if (error instanceof Refusal) return refuse(422, error.message);
    throw error;
  }
}

// 400, 403, 409 or 422 with problem+json: the client's invoke() is rejected with this detail.
function refuse(status, detail) {
  return { status, type: "application/problem+json", body: { title: "Refused", status, detail } };
}

async function read(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= LARGEST_BODY) chunks.push(chunk);
  }
  return size <= LARGEST_BODY ? Buffer.concat(chunks) : null;
}

// --- the signature: https://www.standardwebhooks.com

function isSigned(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = headers;
  if (!id || !signatures || !/^[0-9]{1,12}$/.test(timestamp ?? "")) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) return false;

  const hmac = createHmac("sha256", SECRET).update(`${id}.${timestamp}.`).update(body);
  const expected = Buffer.from(`v1,${hmac.digest("base64")}`);
  // While a secret is rotated there are several, separated by blanks: "v1,<base64> v1,<base64>".
  return signatures.split(" ").some((one) => {
    const given = Buffer.from(one);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

function readSecret(text) {
  if (!/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/.test(text)) {
    console.error("WEBHOOK_SECRET is missing or no secret: 'whsec_' and the base64 of 24 or more random bytes");
    process.exit(1);
  }
  return Buffer.from(text.slice("whsec_".length), "base64");
}

// --- start

const server = createServer((request, response) => {
  answer(request)
    .catch((error) => {
      console.error(error); // the client gets a general sentence, the log the rest
      return { status: 500 };
    })
    .then(({ status, type = "application/json", body }) => {
      response.writeHead(status, body === undefined ? {} : { "Content-Type": type });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    });
});
server.keepAliveTimeout = 75_000; // longer than the bridge keeps an idle connection: a POST must not meet a closing one
server.listen(PORT, () => console.log(`backend: listening on port ${server.address().port}`));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => server.close(() => process.exit(0)));
