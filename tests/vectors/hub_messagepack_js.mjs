// Writes hub_messagepack_js.json anew, from what Microsoft's JavaScript client writes:
//
//   cp tests/vectors/hub_messagepack_js.mjs tests/e2e/   (where the packages are)
//   .venv/bin/node tests/e2e/hub_messagepack_js.mjs > tests/vectors/hub_messagepack_js.json
//
// Members are as in app/signalr_bridge/protocol/hub_message.py. Values that JSON lacks: {"$bytes": hex}, {"$time": RFC 3339}.

import { readFileSync } from "node:fs";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";

const { version } = JSON.parse(
  readFileSync(new URL("node_modules/@microsoft/signalr-protocol-msgpack/package.json", import.meta.url)),
);
const protocol = new MessagePackHubProtocol();
const values = [
  0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, Number.MAX_SAFE_INTEGER,
  -1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, Number.MIN_SAFE_INTEGER,
  1.5, -0.1, 1e300, true, false, null, "", "é\u2028\u{1f600}", "x".repeat(31), "x".repeat(32), "x".repeat(256),
  new Uint8Array(0), new Uint8Array([0, 1, 255]), new Uint8Array(256).fill(7),
  new Date("2026-11-22T10:00:00Z"), new Date("2026-11-22T10:00:00.123Z"), new Date("1969-12-31T23:59:59.999Z"),
  new Date("2514-05-30T01:53:04Z"), new Date("9999-12-31T23:59:59.999Z"), new Date("0001-01-01T00:00:00Z"),
  [], Array(16).fill(0), {}, { nested: { Deep: [1, { a: null }] } }, Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, i])),
];

function tag(value) {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("hex") };
  if (value instanceof Date) return { $time: value.toISOString() };
  if (Array.isArray(value)) return value.map(tag);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, tag(one)]));
}

const row = (kind, members, message) =>
  ({ frame: Buffer.from(protocol.writeMessage(message)).toString("hex"), kind, members: tag(members) });

const messages = [
  ...values.map((value) => row("Invocation", { target: "s", arguments: [value] }, { type: 1, target: "s", arguments: [value] })),
  row("Invocation", { target: "s", arguments: [null] }, { type: 1, target: "s", arguments: [undefined] }),
  row("Invocation", { target: "send", arguments: values, invocation_id: "0", stream_ids: ["1"], headers: { a: "b" } },
    { type: 1, invocationId: "0", target: "send", arguments: values, streamIds: ["1"], headers: { a: "b" } }),
  row("StreamItem", { invocation_id: "1", item: [1.5] }, { type: 2, invocationId: "1", item: [1.5] }),
  row("Completion", { invocation_id: "1" }, { type: 3, invocationId: "1" }),
  row("Completion", { invocation_id: "1", error: "no" }, { type: 3, invocationId: "1", error: "no" }),
  row("Completion", { invocation_id: "1", result: null, has_result: true }, { type: 3, invocationId: "1", result: null }),
  row("StreamInvocation", { target: "t", arguments: [1], invocation_id: "1" }, { type: 4, invocationId: "1", target: "t", arguments: [1], streamIds: [] }),
  row("CancelInvocation", { invocation_id: "1" }, { type: 5, invocationId: "1" }),
  row("Ping", {}, { type: 6 }),
  row("Close", {}, { type: 7 }),
];

const lines = messages.map((one) => `    ${JSON.stringify(one)}`).join(",\n");
process.stdout.write(`{
  "source": "@microsoft/signalr-protocol-msgpack ${version}: what it writes, printed by hub_messagepack_js.mjs beside this file.",
  "messages": [\n${lines}\n  ]\n}\n`);
