// Server-sent events by `fetch`, because EventSource cannot send the key. It reconnects, and asks for what it has missed.

import { BASE, headers } from "./bridge.js";

const SILENCE = 45_000; // the bridge sends something every 15 seconds
const LONGEST_LINE = 1_048_576;
const LONGEST_PAUSE = 5000;

export class Feed {
  // `see` gets each event once, `show` the state in words, `refuse` a status that no repetition would change.
  constructor(path, { see, show, refuse }) {
    Object.assign(this, { path, see, show, refuse });
    this.running = null; // ends the stream when it is aborted
    this.lastId = "";
    this.shown = ["", 0]; // of the newest event that was seen: which process, which number
    this.retry = 1000;
  }

  get isRunning() {
    return this.running !== null;
  }

  start() {
    if (this.running) return;
    const running = (this.running = new AbortController());
    this.run(running.signal).finally(() => { if (this.running === running) this.running = null; });
  }

  stop() {
    this.running?.abort();
    this.running = null;
  }

  forget() {
    this.lastId = "";
    this.shown = ["", 0];
  }

  async run(signal) {
    for (let failures = 0; !signal.aborted; ) {
      const status = await this.read(signal);
      if (signal.aborted) return;
      if (status === 401 || status === 403 || status === 404) return this.refuse(status);
      this.show("Waiting for the bridge");
      failures = status === 200 ? 0 : failures + 1;
      await pause(Math.min(this.retry * 2 ** Math.max(failures - 1, 0), LONGEST_PAUSE), signal);
    }
  }

  // One stream to its end. The status, or 0 when nobody answered.
  async read(signal) {
    const attempt = new AbortController();
    const end = () => attempt.abort();
    signal.addEventListener("abort", end);
    let silence = setTimeout(end, SILENCE);
    let status = 0;
    try {
      const wish = { headers: headers(this.lastId ? { "Last-Event-ID": this.lastId } : {}), cache: "no-store" };
      const answer = await fetch(BASE + this.path, { ...wish, signal: attempt.signal });
      status = answer.status;
      if (status !== 200) return status;
      this.show("Live");
      const parse = this.parser();
      for (const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) return status;
        clearTimeout(silence);
        silence = setTimeout(end, SILENCE);
        parse(value);
      }
    } catch {
      return status;
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", end);
    }
  }

  // Takes pieces of text, whatever their borders, and hands on whole events.
  parser() {
    let rest = "";
    let data = [];
    const take = (line) => {
      if (line === "") {
        if (data.length) this.receive(data.join("\n"));
        data = [];
        return;
      }
      const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (name === "data") data.push(value);
      else if (name === "id") this.lastId = value;
      else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
    };
    return (piece) => {
      const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop().slice(0, LONGEST_LINE);
      lines.forEach(take);
    };
  }

  receive(data) {
    if (!this.isNew(this.lastId)) return;
    let event = null;
    try {
      event = JSON.parse(data);
    } catch {
      return; // what cannot be read is left out, and what comes later is shown
    }
    if (event !== null && typeof event === "object") this.see(event);
  }

  isNew(id) {
    const cut = id.lastIndexOf("-");
    const [boot, number] = [id.slice(0, cut), Number(id.slice(cut + 1))];
    if (cut < 0 || Number.isNaN(number)) return true;
    if (boot === this.shown[0] && number <= this.shown[1]) return false;
    this.shown = [boot, number];
    return true;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
