// Functions that stream (`app.setup({ enableHttpStream: true })`): their library takes requests by a server of its own.

import http from "node:http";
import net from "node:net";

const MOST_BYTES = 64 * 1024 * 1024;

/** Asks the model for its capabilities while every server that it starts listens on this machine alone. */
export async function startModel(model) {
  const { listen } = net.Server.prototype;
  net.Server.prototype.listen = function listenHere(...given) {
    const callback = given.find((one) => typeof one === "function");
    const port = given.find((one) => typeof one === "number") ?? 0;
    return listen.call(this, port, "127.0.0.1", callback);
  };
  try {
    const capabilities = (await model.getCapabilities?.({})) ?? {};
    return capabilities.HttpUri && Number(new URL(capabilities.HttpUri).port);
  } finally {
    net.Server.prototype.listen = listen;
  }
}

/** What such a library reads from the trigger's metadata: the headers, and each route parameter. */
export function streamMetadata({ headers, params }) {
  const parameters = Object.entries(params).map(([name, value]) => [name, { string: value }]);
  return { ...Object.fromEntries(parameters), Headers: { json: JSON.stringify(headers) } };
}

/** One request to the library's server, whose answer is taken whole. */
export class StreamedRequest {
  constructor(port, invocationId, { url, method, body }) {
    const { protocol, host, pathname, search } = new URL(url);
    const headers = {
      "x-ms-invocation-id": invocationId,
      "x-forwarded-host": host,
      "x-forwarded-proto": protocol.slice(0, -1),
      "content-length": body?.bytes.length ?? 0,
    };
    this.request = http.request({ port, host: "127.0.0.1", method, path: pathname + search, headers, agent: false });
    this.answer = this.#read();
    this.answer.catch(() => {}); // where the function fails, nobody asks for the answer
    this.request.end(body?.bytes);
  }

  #read() {
    return new Promise((resolve, reject) => {
      this.request.on("error", reject);
      this.request.on("response", (response) => takeWhole(response).then(resolve, reject));
    });
  }

  drop() {
    this.request.destroy();
  }
}

async function takeWhole(response) {
  const chunks = [];
  let size = 0;
  for await (const chunk of response) {
    size += chunk.length;
    if (size > MOST_BYTES) throw new RangeError(`a streamed answer is longer than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  const { "set-cookie": cookies, ...given } = response.headers;
  for (const name of ["connection", "keep-alive", "transfer-encoding", "date", "x-ms-invocation-id"]) delete given[name];
  return { statusCode: response.statusCode, headers: given, setCookies: cookies, body: { bytes: Buffer.concat(chunks) } };
}
