// The HTTP server that the bridge calls: GET /functions, and POST /<function> by the custom-handler contract.

import http from "node:http";
import { describe, isDisabled } from "./app.js";
import { BadPayload, Invocation } from "./invocation.js";
import { InvocationLog, print } from "./log.js";
import { parseJson } from "./payload.js";
import { isSigned } from "./signature.js";

const MOST_BYTES = 64 * 1024 * 1024;
const MOST_RUNS = 1024;
const KEEP_ALIVE_MS = 120_000; // longer than the bridge keeps a connection, so that it is the one who closes

/** Why a request is refused: a status, and a sentence that holds nothing of the request. */
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class FunctionServer {
  ready = false;
  streamPort = undefined;
  #registry;
  #routePrefix;
  #keys;
  #running = new Set();
  #server;

  /** @param keys those that sign calls; without any, calls are unsigned, as the Functions host's are. */
  constructor(registry, routePrefix, keys) {
    this.#registry = registry;
    this.#routePrefix = routePrefix;
    this.#keys = keys;
    this.#server = http.createServer((request, response) => this.#serve(request, response));
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS;
  }

  /** Listens, and gives the port. Throws what the system says. */
  listen(port, host) {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => resolve(this.#server.address().port));
    });
  }

  /** Takes no new connection, and returns when what runs has ended. */
  async close() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    await Promise.allSettled([...this.#running]);
    await closed;
  }

  async #serve(request, response) {
    const work = this.#answer(request).catch(toProblem);
    this.#running.add(work);
    // A function whose caller has gone is waited for by nobody, and takes nobody's place.
    response.once("close", () => this.#running.delete(work));
    const { status = 200, headers = {}, body } = await work;
    const bytes = Buffer.from(JSON.stringify(body));
    if (!this.#server.listening) headers.Connection = "close";
    response.writeHead(status, { "Content-Type": "application/json", "Content-Length": bytes.length, ...headers });
    response.end(request.method === "HEAD" ? undefined : bytes);
  }

  async #answer(request) {
    // Browsers send this, the bridge does not: no page may run functions of whoever visits it.
    if (request.headers.origin !== undefined) throw new Refused(403, "pages may not call functions");
    if (!this.ready) throw new Refused(503, "the app is being loaded");
    const name = readName(request.url);
    if (request.method === "POST") return { body: await this.#run(name, request) };
    if (request.method !== "GET" && request.method !== "HEAD") throw new Refused(405, "send GET or POST");
    if (name === "") return { body: { status: "ready" } };
    if (name !== "functions") throw new Refused(404, "functions are run by POST");
    const isPrefixed = typeof this.#routePrefix === "string";
    const headers = isPrefixed ? { "X-Functions-Route-Prefix": encodeURI(this.#routePrefix) } : {};
    return { headers, body: describe(this.#registry) };
  }

  async #run(name, request) {
    const fn = this.#registry.functions.get(name);
    if (fn === undefined || isDisabled(name, fn.disabled)) throw new Refused(404, "there is no such function");
    if (this.#running.size > MOST_RUNS) throw new Refused(503, "too many functions run");
    const bytes = await readBody(request);
    if (this.#keys.length > 0 && !isSigned(request.headers, bytes, this.#keys)) throw new Refused(401, "the call is not signed");
    const payload = readPayload(bytes);
    return new Invocation(this.#registry, fn, this.streamPort).run(payload, request.headers).catch((error) => {
      if (error instanceof BadPayload) throw new Refused(400, error.message);
      print("error", error?.stack ?? String(error), new InvocationLog(name));
      throw new Refused(500, `the function '${name}' failed`);
    });
  }
}

function readName(url) {
  try {
    return decodeURIComponent(url.split("?")[0].slice(1));
  } catch {
    throw new Refused(400, "the path is not percent-encoded text");
  }
}

async function readBody(request) {
  // A page can send any other type without being asked for leave, so only this one is read.
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? "")) {
    throw new Refused(415, "the body is not application/json");
  }
  if (Number(request.headers["content-length"]) > MOST_BYTES) throw new Refused(413, "the body is too long");
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MOST_BYTES) throw new Refused(413, "the body is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function readPayload(bytes) {
  const payload = parseJson(bytes.toString("utf8"));
  if (payload === null || typeof payload !== "object") throw new Refused(400, "the body is not a JSON object");
  return payload;
}

function toProblem(error) {
  if (!(error instanceof Refused)) {
    print("error", error?.stack ?? String(error), new InvocationLog("functions-node"));
    return { status: 500, body: { error: "the call failed" } };
  }
  // What is left of a body that was not read would be taken for the next request.
  const headers = error.status === 413 || error.status === 415 ? { Connection: "close" } : {};
  return { status: error.status, headers, body: { error: error.message } };
}
