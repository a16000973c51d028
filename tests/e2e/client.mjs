// Microsoft's own client, driven from Python: commands as JSON lines on stdin, answers and events as JSON lines on stdout.
//
//   {"id": 1, "client": "ann", "do": "start", "url": "http://...", "reconnect": true, "token": "..."}    -> {"id": 1, "result": ...} or {"id": 1, "error": "..."}
//   do: start (result: the connection id; with "protocol": "messagepack" in that), invoke, send (method, arguments), stop,
//   flood (method, count; result: the error of each call, or null)
//   Values that JSON lacks are {"$bytes": hex} (Uint8Array) and {"$time": RFC 3339} (Date), both ways.
//   {"$stream": [...]} becomes a stream of these items from the client.
//   {"client": "ann", "event": "message" | "closed" | "reconnecting" | "reconnected", ...}

import { createInterface } from "node:readline";
import { HubConnectionBuilder, LogLevel, Subject } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";

// The client finds handlers by name. The tests want every message, so each of these names is listened to.
const TARGETS = process.argv[2].split(",");
const connections = new Map();

const write = (value) => process.stdout.write(`${JSON.stringify(tag(value))}\n`);

const mapMembers = (value, map) => Object.fromEntries(Object.entries(value).map(([name, one]) => [name, map(one)]));

function tag(value) {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("hex") };
  if (value instanceof Date) return { $time: value.toISOString() };
  if (value === null || typeof value !== "object") return value;
  return Array.isArray(value) ? value.map(tag) : mapMembers(value, tag);
}

function untag(value) {
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$bytes === "string") return new Uint8Array(Buffer.from(value.$bytes, "hex"));
  if (typeof value.$time === "string") return new Date(value.$time);
  if (Array.isArray(value.$stream)) return streamOf(value.$stream);
  return Array.isArray(value) ? value.map(untag) : mapMembers(value, untag);
}

function streamOf(items) {
  const stream = new Subject();
  setImmediate(() => {
    for (const item of items) stream.next(item);
    stream.complete();
  });
  return stream;
}

// What a handler calls to get an answer: each way in which a client can answer, or not.
const answers = (connection) => ({
  give: (value) => value,
  giveNothing: () => undefined,
  nameYourself: () => connection.connectionId,
  askBack: () => connection.invoke("echo"),
  refuse: (text) => {
    throw new Error(text);
  },
  wait: () => new Promise(() => {}),
  vanish: () => {
    connection.stop();
    return new Promise(() => {});
  },
});

function build(client, url, reconnect, protocol, token, headers) {
  const options = { headers, ...(token ? { accessTokenFactory: () => token } : {}) };
  const builder = new HubConnectionBuilder().withUrl(url, options).configureLogging(LogLevel.None);
  if (reconnect) builder.withAutomaticReconnect(Array(100).fill(100));
  if (protocol === "messagepack") builder.withHubProtocol(new MessagePackHubProtocol());
  const connection = builder.build();
  const tell = (event, more = {}) => write({ client, event, ...more });
  for (const target of TARGETS) connection.on(target, (...values) => tell("message", { target, arguments: values }));
  for (const [target, answer] of Object.entries(answers(connection))) connection.on(target, answer);
  connection.onclose((error) => tell("closed", { error: error?.message ?? null }));
  connection.onreconnecting(() => tell("reconnecting"));
  connection.onreconnected((connectionId) => tell("reconnected", { connectionId }));
  return connection;
}

const commands = {
  async start({ client, url, reconnect = false, protocol = "json", token = null, headers = {} }) {
    const connection = build(client, url, reconnect, protocol, token, headers);
    connections.set(client, connection);
    await connection.start();
    return connection.connectionId;
  },
  invoke: ({ client, method, arguments: values }) => connections.get(client).invoke(method, ...untag(values)),
  send: ({ client, method, arguments: values }) => connections.get(client).send(method, ...untag(values)),
  // All at once, as a client in a loop does: what became of each call.
  flood: async ({ client, method, count }) =>
    (await Promise.allSettled(Array.from({ length: count }, () => connections.get(client).invoke(method)))).map(
      (ended) => ended.reason?.message ?? null,
    ),
  stop: ({ client }) => connections.get(client).stop(),
};

// Each command runs by itself: a call that waits for its answer holds up no other client.
createInterface({ input: process.stdin }).on("line", async (line) => {
  const command = JSON.parse(line);
  try {
    write({ id: command.id, result: (await commands[command.do](command)) ?? null });
  } catch (error) {
    write({ id: command.id, error: error.message });
  }
}).on("close", () => process.exit(0));
