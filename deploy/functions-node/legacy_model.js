// The v3 model: `module.exports = async function (context, req)`, or a function that calls `context.done`.
//
// Source: Microsoft's "Azure Functions JavaScript developer guide" for the model v3, and the types of @azure/functions 3.

import { randomUUID } from "node:crypto";
import { format } from "node:util";
import { LegacyRequest, LegacyResponse } from "./legacy_http.js";
import { fromTypedData, parseJson } from "./payload.js";

const LEVELS = { error: "error", warn: "warning", info: "information", verbose: "trace" };

/** A programming model as @azure/functions-core describes one. */
export class LegacyModel {
  name = "v3";
  version = "3.0.0";

  getInvocationModel(core) {
    return new LegacyInvocation(core);
  }
}

class LegacyInvocation {
  #core;
  #done = Promise.withResolvers?.() ?? withResolvers();
  #ended = false;

  constructor(core) {
    this.#core = core;
    this.#done.promise.catch(() => {}); // an error that comes after the end belongs to nobody
  }

  async getArguments() {
    const context = this.#makeContext();
    const inputs = this.#core.request.inputData.map(({ name, data }) => {
      const value = this.#readInput(name, data);
      context.bindings[name] = value;
      return value;
    });
    const request = inputs.find((input) => input instanceof LegacyRequest);
    if (request !== undefined) this.#addHttp(context, request);
    return { context, inputs };
  }

  async invokeFunction(context, inputs, callback) {
    try {
      const result = callback(context, ...inputs);
      if (typeof result?.then !== "function") return await this.#done.promise;
      // One that is async and calls `done` as well has ended with whichever comes first.
      return await Promise.race([result, this.#done.promise]);
    } finally {
      this.#ended = true;
    }
  }

  async getResponse(context, result) {
    const { bindings } = this.#core.metadata;
    const outputs = Object.entries(bindings).filter(([, { direction }]) => /out$/i.test(direction));
    const returned = result === null || typeof result !== "object" || "$return" in bindings ? {} : result;
    const outputData = [];
    for (const [name, { type }] of outputs.filter(([name]) => name !== "$return")) {
      // In this order: the return value's member, `context.bindings`, and `context.res` for an HTTP response.
      const value = returned[name] ?? context.bindings?.[name] ?? (isHttp(type) ? context.res : undefined);
      if (value !== undefined) outputData.push({ name, data: isHttp(type) ? writeHttp(value) : toTyped(value) });
    }
    if (isHttp(bindings.$return?.type)) return { outputData, returnValue: writeHttp(result) };
    if (bindings.$return) return { outputData, returnValue: toTyped(result) };
    const isOutputs = outputs.some(([name]) => returned[name] !== undefined);
    return { outputData, returnValue: isOutputs || this.#isHttpTriggered() ? undefined : toTyped(result) };
  }

  #isHttpTriggered() {
    return Object.values(this.#core.metadata.bindings).some(({ type }) => /^httptrigger$/i.test(type));
  }

  #readInput(name, data) {
    if (data?.http) return new LegacyRequest(data.http);
    const value = readValue(data);
    return this.#core.metadata.bindings[name]?.type?.toLowerCase() === "timertrigger" ? toCamelCase(value) : value;
  }

  #makeContext() {
    const { invocationId, request, metadata } = this.#core;
    const { name: functionName, directory: functionDirectory, bindings } = metadata;
    const known = Object.entries(request.triggerMetadata).map(([name, data]) => [name, readValue(data)]);
    const definitions = Object.entries(bindings).map(([name, { type, direction }]) => ({ name, type, direction }));
    return {
      invocationId,
      executionContext: { invocationId, functionName, functionDirectory, retryContext: request.retryContext },
      bindings: {},
      bindingData: { invocationId, ...toCamelCase(Object.fromEntries(known)) },
      bindingDefinitions: definitions,
      traceContext: {
        traceparent: request.traceContext.traceParent,
        tracestate: request.traceContext.traceState,
        attributes: request.traceContext.attributes,
      },
      log: this.#makeLog(),
      done: (error, result) => this.#end(error, result),
    };
  }

  #makeLog() {
    const write = (level) => (...values) => this.#core.log(level, "user", format(...values));
    const named = Object.entries(LEVELS).map(([name, level]) => [name, write(level)]);
    return Object.assign(write("information"), Object.fromEntries(named));
  }

  #addHttp(context, request) {
    const { name } = this.#core.metadata;
    const sys = { methodName: name, utcNow: new Date().toISOString(), randGuid: randomUUID() };
    const { query, headers, params } = request;
    context.bindingData = { ...params, ...context.bindingData, query: { ...query }, headers: { ...headers }, sys };
    context.req = request;
    context.res = new LegacyResponse(context.done);
  }

  #end(error, result) {
    if (this.#ended) this.#core.log("warning", "system", "'done' was called after the function had ended");
    this.#ended = true;
    if (error instanceof Error || error?.stack) this.#done.reject(error);
    else this.#done.resolve(result);
  }
}

function isHttp(type) {
  return /^http$/i.test(type);
}

function withResolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

/** A value as these functions get it: a text that holds JSON is what it holds. */
function readValue(data) {
  const value = fromTypedData(data);
  return typeof value === "string" ? (parseJson(value) ?? value) : value;
}

function toCamelCase(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  const pairs = Object.entries(value).map(([name, one]) => [name.charAt(0).toLowerCase() + name.slice(1), toCamelCase(one)]);
  return Object.fromEntries(pairs);
}

function toTyped(value) {
  if (value === undefined) return undefined;
  if (typeof value === "string") return { string: value };
  if (ArrayBuffer.isView(value)) return { bytes: new Uint8Array(value.buffer, value.byteOffset, value.byteLength) };
  const json = JSON.stringify(value);
  return json === undefined ? undefined : { json };
}

function writeHttp(response) {
  if (response === undefined || response === null) return undefined;
  if (typeof response !== "object" || Array.isArray(response)) {
    throw new TypeError("An HTTP response is an object with 'body', 'status' and 'headers'.");
  }
  const status = typeof response.status === "function" ? undefined : response.status;
  const given = Object.entries(response.headers ?? {}).filter(([, value]) => value !== undefined && value !== null);
  const headers = Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
  const statusCode = response.statusCode ?? status;
  return { http: { statusCode, headers, cookies: (response.cookies ?? []).map(toTypedCookie), body: toTyped(response.body) } };
}

function toTypedCookie({ name, value, domain, path, expires, secure, httpOnly, sameSite, maxAge }) {
  const seconds = expires === undefined ? undefined : new Date(expires).getTime() / 1000;
  const site = sameSite?.toLowerCase();
  return {
    name,
    value,
    domain: { value: domain },
    path: { value: path },
    expires: seconds === undefined ? undefined : { value: { seconds } },
    secure: { value: secure },
    httpOnly: { value: httpOnly },
    sameSite: site === "none" ? "explicitNone" : site,
    maxAge: { value: maxAge },
  };
}
