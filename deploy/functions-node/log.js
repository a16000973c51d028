// What functions print: each line goes to stderr, and to the invocation that printed it.

import { AsyncLocalStorage } from "node:async_hooks";
import { format } from "node:util";

const MOST_LINES = 100;
const LONGEST_LINE = 1024;

const invocations = new AsyncLocalStorage();

/** The lines of one invocation, of which the answer holds the first. */
export class InvocationLog {
  constructor(name) {
    this.name = name;
    this.lines = [];
  }

  /** Runs `work`. What it prints by `console` until it ends belongs to this invocation. */
  follow(work) {
    return invocations.run(this, work);
  }

  add(message) {
    if (this.lines.length < MOST_LINES) this.lines.push(message.slice(0, LONGEST_LINE));
  }
}

/** Writes a line about the server itself. */
export function say(message) {
  process.stderr.write(`functions-node: ${message}\n`);
}

/** Writes what a function says. Later lines of a message are indented, so that none looks like a line of its own. */
export function print(level, message, log = invocations.getStore()) {
  process.stderr.write(`${log?.name ?? "app"}: ${level}: ${message.replaceAll("\n", "\n  ")}\n`);
  log?.add(message);
}

/**
 * Makes `console` write here, and stdout write to stderr.
 *
 * @returns what writes to stdout, for the list of functions alone.
 */
export function captureConsole() {
  const writeOut = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
  const levels = { log: "information", info: "information", debug: "debug", warn: "warning", error: "error" };
  for (const [method, level] of Object.entries(levels)) {
    console[method] = (...values) => print(level, format(...values));
  }
  return writeOut;
}
