// The files that "main" of a package.json names: a path, a folder, or a pattern with *, **, ?, [abc] and {a,b}.

import { readdirSync, statSync } from "node:fs";
import path from "node:path";

const SCRIPT = /\.[cm]?js$/;

/** The files below `folder`, as sorted paths relative to it with `/` between the parts. */
export function findFiles(pattern, folder) {
  const found = new Set();
  for (const one of expandBraces(pattern)) {
    const name = path.posix.normalize(one);
    const matches = /[*?[]/.test(name) ? matchPattern(name, folder) : findNamed(name, folder);
    for (const match of matches) found.add(match);
  }
  return [...found].sort();
}

/** The patterns that a pattern with `{a,b}` stands for. */
function expandBraces(pattern) {
  const braces = /\{([^{}]*,[^{}]*)\}/.exec(pattern);
  if (braces === null) return [pattern];
  const before = pattern.slice(0, braces.index);
  const after = pattern.slice(braces.index + braces[0].length);
  return braces[1].split(",").flatMap((choice) => expandBraces(before + choice + after));
}

function findNamed(name, folder) {
  const found = statSync(path.join(folder, name), { throwIfNoEntry: false });
  if (found?.isDirectory()) return listFiles(folder, name).filter((file) => SCRIPT.test(file));
  return found === undefined ? [] : [name];
}

function matchPattern(pattern, folder) {
  const parts = pattern.split("/");
  const start = parts.slice(0, parts.findIndex((part) => /[*?[]/.test(part))).join("/");
  const expression = toExpression(pattern);
  return listFiles(folder, start).filter((file) => expression.test(file));
}

function toExpression(pattern) {
  const source = pattern.replace(/\*\*\/|\*\*|\*|\?|\[[^\]]*\]|[.+^${}()|\\]/g, (token) => {
    if (token === "**/") return "(?:[^/]+/)*";
    if (token === "**") return ".*";
    if (token === "*") return "[^/]*";
    if (token === "?") return "[^/]";
    return token.startsWith("[") ? token.replace(/^\[!/, "[^") : `\\${token}`;
  });
  return new RegExp(`^${source}$`);
}

/** Every file below a folder of the app. Packages and hidden folders are not the app's own. */
function listFiles(folder, below) {
  const full = path.join(folder, below);
  if (!statSync(full, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(full, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === "node_modules" || entry.name.startsWith(".")) return [];
    const name = path.posix.join(below, entry.name);
    return statSync(path.join(folder, name)).isDirectory() ? listFiles(folder, name) : [name];
  });
}
