// Stands in for "@azure/functions-core", the module that only the Functions worker has and that an app's libraries ask for.
//
// Source: the types of that module, which the worker publishes as @azure/functions-core.

import { createRequire } from "node:module";
import { print } from "./log.js";

const NAME = "@azure/functions-core";
const HOST_VERSION = "4.34.0"; // the first that has log hooks: libraries ask for no later one

/** What frees something when it is asked to. */
class Disposable {
  #free;

  constructor(free) {
    this.#free = free;
  }

  static from(...parts) {
    return new Disposable(() => parts.forEach((part) => part?.dispose?.()));
  }

  dispose() {
    const free = this.#free;
    this.#free = undefined;
    return free?.();
  }
}

/** What the app registers while it is loaded. */
export class Registry {
  functions = new Map();
  hooks = { appStart: [], appTerminate: [], preInvocation: [], postInvocation: [], log: [] };
  appHookData = {};
  appOnlyHookData = {};
  model = undefined;
  locked = false;
  entryFile = undefined;

  registerFunction(metadata, callback) {
    if (this.locked) throw new Error("A function can only be registered while the app starts.");
    const { name, bindings } = metadata;
    if (this.functions.has(name)) throw new Error(`Two functions are called '${name}'.`);
    if (typeof callback !== "function") throw new Error(`The function '${name}' has no handler.`);
    this.functions.set(name, { name, bindings, callback, scriptFile: this.entryFile });
    return new Disposable(() => this.functions.delete(name));
  }

  registerHook(kind, callback) {
    const hooks = this.hooks[kind];
    if (hooks === undefined) throw new RangeError(`There are no hooks of the kind '${kind}'.`);
    hooks.push(callback);
    return new Disposable(() => {
      const index = hooks.indexOf(callback);
      if (index >= 0) hooks.splice(index, 1);
    });
  }

  async runHooks(kind, context) {
    for (const hook of [...this.hooks[kind]]) await hook(context);
  }

  /** What app hooks are given. */
  appContext(more = {}) {
    return readOnly({ hookData: this.appOnlyHookData, appHookData: this.appHookData }, more);
  }

  /** Gives what a function or library says to the log hooks, which may change it, and writes it. */
  log(level, category, message, { log, context, hookData = {} } = {}) {
    if (category === "system" && !["warning", "error", "critical"].includes(level)) return;
    const fixed = { hookData, appHookData: this.appHookData, category, invocationContext: context };
    const said = readOnly(fixed, { level, message });
    for (const hook of [...this.hooks.log]) hook(said);
    print(said.level, said.message, log);
  }
}

/** An object whose members of `fixed` cannot be assigned to, while those of `open` can. */
export function readOnly(fixed, open) {
  const target = { ...open };
  for (const [name, value] of Object.entries(fixed)) {
    Object.defineProperty(target, name, {
      enumerable: true,
      get: () => value,
      set: () => {
        throw new TypeError(`'${name}' cannot be assigned to.`);
      },
    });
  }
  return target;
}

/** Makes `require("@azure/functions-core")` give the registry's face, wherever a module asks for it. */
export function installCoreModule(registry) {
  const core = {
    version: HOST_VERSION,
    hostVersion: HOST_VERSION,
    Disposable,
    registerFunction: (metadata, callback) => registry.registerFunction(metadata, callback),
    registerHook: (kind, callback) => registry.registerHook(kind, callback),
    setProgrammingModel: (model) => (registry.model = model),
    getProgrammingModel: () => registry.model,
    log: (level, category, message) => registry.log(level, category, message),
  };
  // The class itself: the namespace that an import gives has no prototype that all modules share.
  const { Module } = createRequire(import.meta.url)("node:module");
  const load = Module.prototype.require;
  Module.prototype.require = function require(id) {
    return id === NAME ? core : load.call(this, id);
  };
}
