// Runs a JavaScript function app beside the bridge: node functions-node FOLDER [--host H] [--port P] [--list]

import { statSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { describe, loadApp } from "./app.js";
import { installCoreModule, Registry } from "./core_module.js";
import { startModel } from "./http_stream.js";
import { applyLocalSettings, readJsonIfAny } from "./local_settings.js";
import { captureConsole, say } from "./log.js";
import { FunctionServer } from "./server.js";
import { readSecrets } from "./signature.js";

const USAGE = "usage: node functions-node FOLDER [--host 127.0.0.1] [--port 7071] [--list]";
const OPTIONS = {
  host: { type: "string", default: "127.0.0.1" },
  port: { type: "string", default: "7071" },
  list: { type: "boolean", default: false },
};
const ENDS_WITHIN_MS = 30_000;
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;
const OLDEST_NODE = 20;

function readArguments() {
  const version = process.versions.node;
  if (Number.parseInt(version) < OLDEST_NODE) throw new Error(`Node ${OLDEST_NODE} or newer is needed, and this is ${version}`);
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const port = Number(values.port);
  if (positionals.length !== 1) throw new Error(USAGE);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error("--port is a number from 0 to 65535");
  return { folder: path.resolve(positionals[0]), host: values.host, port, list: values.list };
}

/** Makes this process the app's: its folder, its environment, and the module that only a worker has. */
function enter(folder) {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`${folder} is not a folder`);
  process.chdir(folder);
  applyLocalSettings(folder);
  const registry = new Registry();
  installCoreModule(registry);
  return registry;
}

async function list(registry, folder, writeOut) {
  await loadApp(folder, registry);
  await new Promise((resolve) => writeOut(`${JSON.stringify(describe(registry), null, 2)}\n`, resolve));
  process.exit(0);
}

async function serve(registry, { folder, host, port }) {
  const prefix = readJsonIfAny("host.json")?.extensions?.http?.routePrefix;
  const keys = takeSecrets();
  const server = new FunctionServer(registry, prefix, keys);
  stopOnSignals(server, registry);
  const bound = await server.listen(port, host);
  await loadApp(folder, registry);
  await registry.runHooks("appStart", registry.appContext({ functionAppDirectory: folder }));
  server.streamPort = await startModel(registry.model);
  registry.locked = true;
  server.ready = true;
  if (keys.length === 0 && !LOOPBACK.test(host)) {
    say(`whoever reaches ${host} can run every function: let only the bridge in, or set FUNCTIONS_NODE_SECRETS`);
  }
  const names = [...registry.functions.keys()].join(", ");
  say(`runs ${registry.functions.size} functions at http://${host.includes(":") ? `[${host}]` : host}:${bound}: ${names}`);
}

/** The secrets, which the app's code does not see. */
function takeSecrets() {
  const keys = readSecrets(process.env.FUNCTIONS_NODE_SECRETS);
  delete process.env.FUNCTIONS_NODE_SECRETS;
  return keys;
}

function stopOnSignals(server, registry) {
  let stops = false;
  const stop = async () => {
    if (stops) process.exit(1); // asked twice
    if (!server.ready) process.exit(0); // nothing has begun
    stops = true;
    setTimeout(() => process.exit(1), ENDS_WITHIN_MS).unref();
    await server.close();
    await registry.runHooks("appTerminate", registry.appContext()).catch((error) => say(error?.stack ?? String(error)));
    process.exit(0);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

const writeOut = captureConsole();
try {
  const given = readArguments();
  const registry = enter(given.folder);
  await (given.list ? list(registry, given.folder, writeOut) : serve(registry, given));
} catch (error) {
  say(error?.message ?? String(error));
  process.exit(1);
}
