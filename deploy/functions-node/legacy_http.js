// The request and the response of a v3 function, as Microsoft's developer reference for that model describes them.

import { parseJson } from "./payload.js";

const BINARY = /^(application\/octet-stream$|multipart\/)/;
const FORMS = /^(multipart\/form-data|application\/x-www-form-urlencoded)(;|$)/i;

export class LegacyRequest {
  constructor({ method, url, headers, query, params, body }) {
    Object.assign(this, { method, url, originalUrl: url, headers, query, params });
    if (body !== undefined) this.#readBody(Buffer.from(body.bytes));
  }

  #readBody(bytes) {
    this.bufferBody = bytes;
    this.rawBody = bytes.toString("utf8").replace(/^\uFEFF/, "");
    const type = this.get("content-type")?.toLowerCase() ?? "";
    this.body = BINARY.test(type) ? bytes : (parseJson(this.rawBody) ?? this.rawBody);
    if (this.rawBody.trim() === "null" && !BINARY.test(type)) this.body = null;
  }

  /** A header's value, by its name in any case. */
  get(name) {
    return this.headers[name.toLowerCase()];
  }

  /** Who the platform says has signed in, or null. */
  get user() {
    const principal = parseJson(Buffer.from(this.get("x-ms-client-principal") ?? "", "base64").toString("utf8"));
    if (principal === null || typeof principal !== "object") return null;
    const { identityProvider, userId, userDetails } = principal;
    const claimsPrincipalData = principal;
    if (identityProvider) {
      return { type: "StaticWebApps", id: userId, username: userDetails, identityProvider, claimsPrincipalData };
    }
    return {
      type: "AppService",
      id: this.get("x-ms-client-principal-id"),
      username: this.get("x-ms-client-principal-name"),
      identityProvider: this.get("x-ms-client-principal-idp"),
      claimsPrincipalData,
    };
  }

  /** The parts of a form. */
  parseFormBody() {
    const type = this.get("content-type") ?? "";
    if (!FORMS.test(type)) throw new TypeError(`A body of the type '${type}' is not a form.`);
    return /^multipart/i.test(type) ? new LegacyForm(readParts(this.bufferBody, type)) : this.#readFields();
  }

  #readFields() {
    const fields = [...new URLSearchParams(this.rawBody)];
    return new LegacyForm(fields.map(([name, value]) => [name, { value: Buffer.from(value) }]));
  }
}

class LegacyForm {
  constructor(parts) {
    this.parts = parts;
  }

  get(name) {
    return this.getAll(name)[0] ?? null;
  }

  getAll(name) {
    return this.parts.filter(([given]) => given === name).map(([, part]) => part);
  }

  has(name) {
    return this.getAll(name).length > 0;
  }

  get length() {
    return this.parts.length;
  }

  [Symbol.iterator]() {
    return this.parts[Symbol.iterator]();
  }
}

/** The parts of a multipart body. Latin 1 keeps each byte as one character, so that text functions cut bytes. */
function readParts(bytes, type) {
  const boundary = /boundary="?([^";]+)"?/i.exec(type)?.[1];
  if (boundary === undefined) throw new TypeError("A multipart form has no boundary.");
  const pieces = `\r\n${bytes.toString("latin1")}`.split(`\r\n--${boundary}`).slice(1, -1);
  return pieces.map(readPart);
}

function readPart(piece) {
  const end = piece.indexOf("\r\n\r\n");
  const head = Buffer.from(piece.slice(0, end), "latin1").toString("utf8");
  const value = Buffer.from(piece.slice(end + 4), "latin1");
  const [name, fileName] = ["name", "filename"].map((key) => new RegExp(`[; ]${key}="([^"]*)"`, "i").exec(head)?.[1]);
  const contentType = /^content-type:\s*(.+?)\s*$/im.exec(head)?.[1];
  return [name ?? "", { value, ...(fileName && { fileName }), ...(contentType && { contentType }) }];
}

/** The response that `context.res` is until a function puts its own there. */
export class LegacyResponse {
  #done;

  constructor(done) {
    this.#done = done;
    this.headers = {};
    this.cookies = [];
    this.body = undefined;
    this.statusCode = undefined;
    // Both names stand for the same function, and a function may take one off: therefore own members.
    for (const name of ["header", "set"]) this[name] = this.setHeader;
    this.get = this.getHeader;
    this.send = this.end;
  }

  setHeader(name, value) {
    this.headers[name.toLowerCase()] = value;
    return this;
  }

  getHeader(name) {
    return this.headers[name.toLowerCase()];
  }

  removeHeader(name) {
    delete this.headers[name.toLowerCase()];
    return this;
  }

  status(code) {
    this.statusCode = code;
    return this;
  }

  type(value) {
    return this.setHeader("content-type", value);
  }

  end(body) {
    if (body !== undefined) this.body = body;
    this.#done();
    return this;
  }

  sendStatus(code) {
    return this.status(code).end();
  }

  json(body) {
    this.type("application/json").end(body);
  }
}
