// Microsoft's own client, driven from Python: commands as JSON lines on stdin, answers and events as JSON lines on stdout.
//
//   {"id": 1, "client": "ann", "do": "start", "url": "http://...", "reconnect": true}    -> {"id": 1, "result": ...} or {"id": 1, "error": "..."}
//   do: start (result: the connection id), invoke, send (method, arguments), stop
//   {"client": "ann", "event": "message" | "closed" | "reconnecting" | "reconnected", ...}

import { createInterface } from "node:readline";
import { HubConnectionBuilder, LogLevel } from "@microsoft/signalr";

// The client finds handlers by name. The tests want every message, so each of these names is listened to.
const TARGETS = process.argv[2].split(",");
const connections = new Map();

const write = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

function build(client, url, reconnect) {
  const builder = new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None);
  if (reconnect) builder.withAutomaticReconnect(Array(100).fill(100));
  const connection = builder.build();
  const tell = (event, more = {}) => write({ client, event, ...more });
  for (const target of TARGETS) connection.on(target, (...values) => tell("message", { target, arguments: values }));
  connection.onclose((error) => tell("closed", { error: error?.message ?? null }));
  connection.onreconnecting(() => tell("reconnecting"));
  connection.onreconnected((connectionId) => tell("reconnected", { connectionId }));
  return connection;
}

const commands = {
  async start({ client, url, reconnect = false }) {
    const connection = build(client, url, reconnect);
    connections.set(client, connection);
    await connection.start();
    return connection.connectionId;
  },
  invoke: ({ client, method, arguments: values }) => connections.get(client).invoke(method, ...values),
  send: ({ client, method, arguments: values }) => connections.get(client).send(method, ...values),
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
