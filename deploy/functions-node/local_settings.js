// The app's own local.settings.json, whose Values are its environment, as the Functions host's tools have it.

import { readFileSync } from "node:fs";
import path from "node:path";

const COMMENTS = /("(?:\\.|[^"\\])*")|\/\/[^\n\r]*|\/\*[^]*?\*\//g;
const TRAILING_COMMAS = /("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g;

/** Reads a JSON file as people write it: comments, trailing commas and a byte order mark are no errors. */
export function readJson(file) {
  const text = readFileSync(file, "utf8").replace(/^\uFEFF/, "");
  const plain = text.replace(COMMENTS, "$1").replace(TRAILING_COMMAS, "$1");
  try {
    return JSON.parse(plain);
  } catch {
    throw new Error(`${path.basename(file)} is not JSON`); // the parser's own words quote the text, which may hold keys
  }
}

/** As `readJson`, but undefined where there is no such file. */
export function readJsonIfAny(file) {
  try {
    return readJson(file);
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Puts the Values into the environment. A variable that is set already stays as it is. */
export function applyLocalSettings(folder) {
  const settings = readJsonIfAny(path.join(folder, "local.settings.json"));
  if (settings?.IsEncrypted === true) {
    throw new Error("local.settings.json is encrypted: run 'func settings decrypt' where it was made");
  }
  for (const [name, value] of Object.entries(settings?.Values ?? {})) {
    if (value !== null && typeof value !== "object") process.env[name] ??= String(value);
  }
}
