// Loads an app: the files that its package.json names (v4), or else the folders with a function.json (v3).

import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { findFiles } from "./file_pattern.js";
import { LegacyModel } from "./legacy_model.js";
import { readJson, readJsonIfAny } from "./local_settings.js";
import { say } from "./log.js";

const TRUE = new Set(["1", "true"]);

/** Loads all functions of the app into the registry, and says what cannot be loaded. Throws where nothing is left. */
export async function loadApp(folder, registry) {
  const folders = functionFolders(folder);
  const failures = await loadEntryFiles(folder, registry, folders.length > 0);
  if (registry.functions.size === 0) failures.push(...(await loadFolders(folder, folders, registry)));
  for (const failure of failures) say(failure);
  if (registry.functions.size === 0) throw new Error(`${folder} has no function that can be loaded`);
  registry.model ??= new LegacyModel();
}

/** The functions as function.json describes them, each with its name. */
export function describe(registry) {
  return [...registry.functions.values()].map(({ name, scriptFile, entryPoint, disabled, bindings }) => ({
    name,
    scriptFile,
    entryPoint,
    disabled: isDisabled(name, disabled) || undefined,
    bindings: Object.entries(bindings).map(([binding, { properties, ...known }]) => ({ ...known, name: binding })),
  }));
}

/** Whether a function is switched off by its own description or by its setting. */
export function isDisabled(name, value) {
  const setting = process.env[`AzureWebJobs.${name}.Disabled`] ?? process.env[`AzureWebJobs__${name}__Disabled`];
  if (setting !== undefined) return TRUE.has(setting.toLowerCase());
  const said = typeof value === "string" ? (process.env[value] ?? value) : value;
  return TRUE.has(String(said).toLowerCase());
}

async function loadEntryFiles(folder, registry, hasFolders) {
  const { main, type } = readPackage(folder);
  if (typeof main !== "string" || main === "") return [];
  const files = findFiles(main, folder);
  // `npm init` writes a main of its own, which a v3 app does not have and does not need.
  if (files.length === 0) return hasFolders ? [] : [`no file matches '${main}', which package.json names as its main`];
  const failures = [];
  for (const file of files) {
    registry.entryFile = file;
    try {
      await loadScript(path.join(folder, file), type);
    } catch (error) {
      failures.push(`cannot load ${file}: ${reason(error)}`);
    }
  }
  registry.entryFile = undefined;
  return failures;
}

function readPackage(folder) {
  const content = readJsonIfAny(path.join(folder, "package.json"));
  return content !== null && typeof content === "object" ? content : {};
}

/** Loads a file as the worker does: `.mjs`, or a package of the type `module`, is an ES module. */
function loadScript(file, type) {
  const isModule = file.endsWith(".mjs") || (type === "module" && !file.endsWith(".cjs"));
  return isModule ? import(pathToFileURL(file).href) : createRequire(file)(file);
}

function functionFolders(folder) {
  return readdirSync(folder)
    .filter((name) => existsSync(path.join(folder, name, "function.json")))
    .sort();
}

async function loadFolders(folder, names, registry) {
  const { type } = readPackage(folder);
  const failures = [];
  for (const name of names) {
    try {
      registry.functions.set(name, await loadFolder(path.join(folder, name), name, type));
    } catch (error) {
      failures.push(`cannot load the function '${name}': ${reason(error)}`);
    }
  }
  return failures;
}

async function loadFolder(directory, name, type) {
  const { scriptFile, entryPoint, disabled, bindings } = readJson(path.join(directory, "function.json"));
  if (!Array.isArray(bindings)) throw new Error("function.json has no bindings");
  const named = bindings.map(({ name: binding, ...known }) => [binding, known]);
  const described = { name, scriptFile, entryPoint, disabled, directory, bindings: Object.fromEntries(named) };
  if (isDisabled(name, disabled)) return described; // its code is often one that cannot be loaded any more
  const file = path.join(directory, scriptFile ?? findScript(directory));
  return { ...described, callback: findEntryPoint(await loadScript(file, type), entryPoint) };
}

function findScript(directory) {
  const scripts = readdirSync(directory).filter((file) => /\.[cm]?js$/.test(file));
  const usual = scripts.find((file) => /^(index|run)\./.test(file));
  if (usual === undefined && scripts.length !== 1) throw new Error("function.json names no scriptFile");
  return usual ?? scripts[0];
}

/** The function of a module: the module itself, the member named, the only member, or `run` or `index`. */
function findEntryPoint(exported, entryPoint) {
  if (typeof exported === "function" && !entryPoint) return exported;
  const names = Object.keys(exported ?? {});
  const found = entryPoint
    ? exported?.[entryPoint]
    : names.length === 1
      ? exported[names[0]]
      : (exported?.run ?? exported?.index ?? exported?.default);
  if (typeof found !== "function") throw new Error(`the script exports no function '${entryPoint ?? "run or index"}'`);
  return found.bind(exported);
}

function reason(error) {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
