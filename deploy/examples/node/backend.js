// A backend for the bridge's `[forward.chat]`, in one file, on Node's standard library alone.
//
// The bridge posts every event of the hub here as JSON, signed by the Standard Webhooks scheme. The answer is trigger,
// return value and output binding in one: `outputs` are sent first (messages, group actions), then the client's
// `invoke()` gets `result`. Nothing here calls the bridge back.
//
//   WEBHOOK_SECRET=whsec_... PORT=9000 node backend.js

"use strict";

const { createHmac, timingSafeEqual } = require("node:crypto");
const { createServer } = require("node:http");

const PORT = Number(process.env.PORT ?? 9000);
const LARGEST_BODY = 4 * 1024 * 1024;
const TOLERANCE_SECONDS = 5 * 60; // how far the bridge's clock and ours may be apart: what is older was replayed

const SECRET = /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/.test(process.env.WEBHOOK_SECRET ?? "")
  ? Buffer.from(process.env.WEBHOOK_SECRET.slice("whsec_".length), "base64")
  : null;
if (SECRET === null) {
  console.error("WEBHOOK_SECRET is missing or no secret: 'whsec_' and the base64 of 24 or more random bytes");
  process.exit(1);
}

// --- what the hub does: event name -> (event) -> { result, outputs }. Throw Refusal to say no.

class Refusal extends Error {}

const methods = {
  // await connection.invoke("broadcast", "hello"): everybody gets newMessage(name, text).
  broadcast({ userId, arguments: [text] }) {
    return { result: "sent", outputs: [{ target: "newMessage", arguments: [userId, wanted("text", text)] }] };
  },

  // A room is a group. The outputs are sent in order: who joins is in the room before the room is told.
  join({ userId, connectionId, arguments: [room] }) {
    const groupName = wanted("room", room);
    return {
      result: groupName,
      outputs: [
        { action: "add", groupName, connectionId },
        { target: "newMessage", groupName, arguments: ["room", `${userId} is in ${groupName}`] },
      ],
    };
  },

  // A result alone.
  add({ arguments: [a, b] }) {
    if (typeof a !== "number" || typeof b !== "number") throw new Refusal("add takes two numbers.");
    return { result: a + b };
  },
};

function wanted(what, value) {
  if (typeof value !== "string" || value.trim() === "") throw new Refusal(`The ${what} is empty.`);
  return value;
}

// --- HTTP

const server = createServer((request, response) => {
  answer(request).then(
    ({ status, type = "application/json", body }) => {
      response.writeHead(status, body === undefined ? {} : { "Content-Type": type });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    },
    (error) => {
      console.error(error); // the client gets a general sentence, the log the rest
      response.writeHead(500).end();
    },
  );
});

async function answer(request) {
  if (request.method === "GET" && request.url === "/health") return { status: 204 };
  if (request.method !== "POST") return { status: 405 };
  const body = await read(request);
  if (body === null) return { status: 413 };
  if (!isSigned(request.headers, body)) return { status: 401 };

  const event = JSON.parse(body.toString("utf8"));
  if (event.category === "connections") {
    console.log(`${event.event}: ${event.userId ?? "somebody"}`);
    return { status: 204 };
  }
  // Own properties only: a client may well call "constructor".
  const method = Object.hasOwn(methods, event.event) ? methods[event.event] : null;
  if (method === null) return refuse("There is no such method.");
  try {
    return { status: 200, body: method(event) };
  } catch (error) {
    if (error instanceof Refusal) return refuse(error.message);
    throw error;
  }
}

// 422 with problem+json: the client's invoke() is rejected with this detail.
function refuse(detail) {
  return { status: 422, type: "application/problem+json", body: { title: "Refused", status: 422, detail } };
}

async function read(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > LARGEST_BODY) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

// --- the signature: https://www.standardwebhooks.com

function isSigned(headers, body) {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  const signatures = headers["webhook-signature"];
  if (!id || !signatures || !/^[0-9]{1,12}$/.test(timestamp ?? "")) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) return false;

  const expected = createHmac("sha256", SECRET).update(`${id}.${timestamp}.`).update(body).digest();
  // While a secret is rotated there are several, separated by blanks: "v1,<base64> v1,<base64>".
  return signatures.split(" ").some((signature) => {
    const [version, value = ""] = signature.split(",");
    const given = Buffer.from(value, "base64");
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
  });
}

server.keepAliveTimeout = 75_000; // longer than the bridge keeps an idle connection: a POST must not meet a closing one
server.listen(PORT, () => console.log(`backend: listening on port ${server.address().port}`));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => server.close(() => process.exit(0)));
