// One connection of the official SignalR client: it reconnects, starts again when that has failed, and tells what happens.
//
// Events: "state" (detail: [state, words]), "arrived", "received" (detail: [target, arguments]), "lost" (detail: {what,
// advice}), "countdown" (detail: seconds, or null).

import { BASE, ask, pathOf } from "./bridge.js";

const QUICK_RETRIES = [0, 1000, 3000]; // for a short drop: the library reconnects by itself, after so many milliseconds
const SHORT_STAY = 2000; // who is closed so soon was not wanted: not at once again
const SECONDS_BETWEEN_TRIES = 5; // for a longer one: we start again, until it works

// What the bridge has answered to a negotiate that it does not grant.
class NotNegotiated extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

export class Connection extends EventTarget {
  hub = "";
  name = "";
  byKey = false; // whether a backend's key negotiates, or the hub's rules say who comes in

  #current = null; // the library's connection
  #arrived = 0;
  #tries = null; // the timer that counts down to the next try

  get id() {
    return this.isConnected ? this.#current.connectionId : null;
  }

  get isConnected() {
    return this.#current?.state === "Connected";
  }

  async connect() {
    this.#forgetTries();
    const old = this.#current;
    this.#current = null;
    await old?.stop?.();
    this.#tell("state", ["connecting", "Connecting"]);
    const attempt = (this.#current = {}); // pressed twice, or changed meanwhile: the later one counts
    try {
      const [url, options] = await this.#locate();
      if (this.#current !== attempt) return;
      const mine = (this.#current = this.#build(url, options));
      await mine.start();
      if (mine === this.#current) this.#arrive();
      else await mine.stop();
    } catch (error) {
      const mine = this.#current === attempt || this.#current?.state === "Disconnected";
      if (mine) await this.#lose(error);
    }
  }

  async disconnect() {
    this.#forgetTries();
    const old = this.#current;
    this.#current = null;
    this.#tell("state", ["idle", "Not connected"]);
    await old?.stop?.();
  }

  // Raises the library's error. When the handler refuses, its message ends in the text of the HubError.
  invoke(method, ...values) {
    return this.#use().invoke(method, ...values);
  }

  send(method, ...values) {
    return this.#use().send(method, ...values);
  }

  #use() {
    if (!this.isConnected) throw new Error("The client is not connected.");
    return this.#current;
  }

  async #locate() {
    const path = pathOf("hubs", this.hub);
    if (!this.byKey) return [`${BASE}${path}?userId=${encodeURIComponent(this.name)}`, {}];
    const text = JSON.stringify({ userId: this.name });
    const { status, body, problem } = await ask("POST", `${path}/negotiate`, { text, right: "negotiate" });
    if (problem) throw new NotNegotiated(status, problem);
    return [body.url, { accessTokenFactory: () => body.accessToken }];
  }

  #build(url, options) {
    const fresh = new signalR.HubConnectionBuilder()
      .withUrl(url, options)
      .withAutomaticReconnect({ nextRetryDelayInMilliseconds: (retry) => this.#pause(retry) })
      .withHubProtocol(watched((...message) => current(() => this.#tell("received", message))()))
      .configureLogging(signalR.LogLevel.None)
      .build();
    // Everything below is told by a connection that may be yesterday's: a new name makes a new one.
    const current = (act) => () => { if (fresh === this.#current) act(); };
    fresh.onreconnecting(current(() => this.#tell("state", ["reconnecting", "Reconnecting"])));
    fresh.onreconnected(current(() => this.#arrive()));
    fresh.onclose(current(() => this.#lose()));
    return fresh;
  }

  #pause({ previousRetryCount }) {
    if (previousRetryCount === 0 && Date.now() - this.#arrived < SHORT_STAY) return SHORT_STAY;
    return QUICK_RETRIES[previousRetryCount] ?? null;
  }

  #arrive() {
    this.#arrived = Date.now();
    this.#forgetTries();
    this.#tell("state", ["connected", "Connected"]);
    this.#tell("arrived");
  }

  async #lose(error) {
    const lost = this.#current;
    this.#tell("state", ["gone", "Not connected"]);
    const { status } = readAnswer(error);
    const isRefused = status >= 400 && status < 500 && status !== 429; // asking again would change nothing
    if (isRefused) this.#forgetTries();
    else this.#startTries();
    const [what, advice] = await diagnose(error);
    if (lost === this.#current && !this.isConnected) this.#tell("lost", { what, advice });
  }

  #startTries() {
    this.#forgetTries();
    let left = SECONDS_BETWEEN_TRIES;
    this.#tell("countdown", left);
    this.#tries = setInterval(() => {
      left -= 1;
      if (left > 0) this.#tell("countdown", left);
      else this.connect();
    }, 1000);
  }

  #forgetTries() {
    clearInterval(this.#tries);
    this.#tell("countdown", null);
  }

  #tell(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

// The library's protocol, which also tells every message that arrives, whatever its target.
function watched(see) {
  const json = new signalR.JsonHubProtocol();
  return {
    name: json.name,
    version: json.version,
    transferFormat: json.transferFormat,
    writeMessage: (message) => json.writeMessage(message),
    parseMessages(input, logger) {
      const messages = json.parseMessages(input, logger);
      for (const one of messages) {
        if (one.type === signalR.MessageType.Invocation) see(one.target, one.arguments ?? []);
      }
      return messages;
    },
  };
}

async function diagnose(error) {
  if (typeof signalR === "undefined") {
    return ["The page's SignalR library is missing.", "Run make static, or install the bridge anew."];
  }
  const { status, words } = readAnswer(error);
  if (status === 401 || status === 403) {
    return ["The bridge does not let you in.", words || "Choose another name or hub, and try again."];
  }
  if (status) return ["The bridge cannot connect you.", words || `It answered ${status}.`];
  const answer = await fetch(`${BASE}health/live`).catch(() => null);
  if (!answer?.ok) return ["The bridge does not answer.", "Is it still running? This page reconnects as soon as it is back."];
  return ["The SignalR service is gone.", "The bridge still answers. This page reconnects as soon as the service is back."];
}

// The library's error holds the bridge's answer as text: its status, and its problem as JSON.
function readAnswer(error) {
  if (error instanceof NotNegotiated) return { status: error.status, words: error.message };
  const [, status] = /Status code '(\d+)'/.exec(error?.message ?? "") ?? [];
  const [problem] = /\{.*\}/s.exec(error?.message ?? "") ?? [];
  try {
    return { status: Number(status ?? 0), words: JSON.parse(problem ?? "{}").detail ?? "" };
  } catch {
    return { status: Number(status ?? 0), words: "" };
  }
}
