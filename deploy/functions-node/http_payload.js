// An HTTP request and its answer, between the custom-handler contract and a worker's typed data.

import { fromTypedData, parseJson } from "./payload.js";

const TEXT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const TOKEN = /^[!#$%&'*+.^_`|~\dA-Za-z-]+$/;
const SAME_SITE = { lax: "Lax", strict: "Strict", explicitNone: "None" };

/** The typed request of a trigger's data: `{Url, Method, Query, Headers, Params, Body}`. */
export function toHttpRequest(value) {
  const data = typeof value === "string" ? parseJson(value) : value;
  if (typeof data?.Url !== "string" || typeof data.Method !== "string") {
    throw new TypeError("the data of the HTTP trigger has no Url or no Method");
  }
  const headers = joinValues(data.Headers, (name) => name.toLowerCase());
  for (const name of Object.keys(headers)) headers[name] = toByteString(headers[name]);
  const body = readBody(data.Body, headers["content-type"] ?? "");
  const query = joinValues(data.Query);
  return { url: data.Url, method: data.Method, headers, query, params: joinValues(data.Params), body };
}

function joinValues(values, nameOf = (name) => name) {
  const pairs = Object.entries(values ?? {}).filter(([, value]) => value !== null);
  return Object.fromEntries(pairs.map(([name, value]) => [nameOf(name), [value].flat().join(",")]));
}

/** Header values are bytes to JavaScript, one to a character. */
function toByteString(value) {
  return /^[\0-\xff]*$/.test(value) ? value : Buffer.from(value).toString("latin1");
}

/** The body's bytes. The host gives these two kinds as base64, and every other as text. */
function readBody(body, contentType) {
  if (body === undefined || body === null) return undefined;
  if (typeof body !== "string") return { bytes: Buffer.from(JSON.stringify(body)) };
  const isBinary = /^\s*(application\/octet-stream|multipart\/)/i.test(contentType);
  return { bytes: Buffer.from(body, isBinary ? "base64" : "utf8") };
}

/** The answer's JSON value for a typed one. */
export function fromHttpResponse({ statusCode, headers = {}, cookies = [], body }) {
  const known = Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)]);
  const status = Number(statusCode ?? 200);
  const answer = { statusCode: Number.isInteger(status) ? status : 200, headers: Object.fromEntries(known), ...writeBody(body) };
  const type = contentTypeOf(body);
  if (type && !known.some(([name]) => name.toLowerCase() === "content-type")) answer.headers["Content-Type"] = type;
  if (cookies?.length) answer.headers["Set-Cookie"] = cookies.map(writeCookie);
  return answer;
}

/** The members of an answer that are its body: text, or base64 where its bytes are no text. */
export function writeBody(data) {
  if (!data?.bytes) {
    const value = fromTypedData(data) ?? "";
    return { body: typeof value === "string" ? value : JSON.stringify(value) };
  }
  try {
    return { body: TEXT.decode(data.bytes) };
  } catch {
    return { body: Buffer.from(data.bytes).toString("base64"), isBase64Encoded: true };
  }
}

function contentTypeOf(data) {
  if (data?.bytes) return data.bytes.length ? "application/octet-stream" : undefined;
  const value = fromTypedData(data);
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? "text/plain; charset=utf-8" : "application/json; charset=utf-8";
}

function writeCookie({ name, value, domain, path, expires, secure, httpOnly, sameSite, maxAge }) {
  if (!TOKEN.test(name)) throw new TypeError("a cookie's name has characters that no cookie may have");
  const parts = [`${name}=${encodeURIComponent(value ?? "")}`];
  if (maxAge?.value !== undefined) parts.push(`Max-Age=${Number(maxAge.value)}`);
  if (expires?.value) parts.push(`Expires=${new Date(Number(expires.value.seconds) * 1000).toUTCString()}`);
  if (domain?.value) parts.push(`Domain=${attribute(domain.value)}`);
  if (path?.value) parts.push(`Path=${attribute(path.value)}`);
  if (secure?.value) parts.push("Secure");
  if (httpOnly?.value) parts.push("HttpOnly");
  if (SAME_SITE[sameSite]) parts.push(`SameSite=${SAME_SITE[sameSite]}`);
  return parts.join("; ");
}

function attribute(value) {
  if (/[;\0-\x1f\x7f]/.test(value)) throw new TypeError("a cookie's attribute has characters that no attribute may have");
  return value;
}
