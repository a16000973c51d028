// The live events, both ways: who negotiates, what the service calls, and what is sent and where it arrived.

import { $, element, listInWords, inWords, outcomes, plainly, timeOf, told, toneOf } from "./elements.js";
import { Feed } from "./feed.js";
import { Log } from "./log.js";

const KEPT = 300;
const REFUSED = {
  403: "This key may not see events: it needs the right “read” of every hub.",
  404: "This bridge shows no events: set BRIDGE_CONSOLE=true there.",
};

let log = null;
let feed = null;
let waiting = null; // the events that came during a pause

export function startEvents(onKeyRefused) {
  log = new Log($("events-log"), $("events"), KEPT);
  feed = new Feed("events?kind=upstream,negotiate,send", {
    see,
    show: (words) => { if (!waiting) showState(words); },
    refuse: (status) => (status === 401 ? onKeyRefused() : showRefusal(REFUSED[status])),
  });
  $("pause").addEventListener("click", togglePause);
  $("clear").addEventListener("click", clear);
  $("filter").addEventListener("input", filter);
  $("filter").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("visibilitychange", listen);
}

// A tab that nobody sees does not listen: browsers open few connections to one address, and all tabs share them.
export function listen() {
  if (document.hidden) {
    feed.stop();
    showState("Paused");
  } else {
    if (waiting) showState(`Paused, ${waiting.length} new`);
    feed.start();
  }
}

// Stops, and forgets what this key has shown.
export function stopEvents() {
  feed.stop();
  feed.forget();
  clear();
}

function showRefusal(words) {
  log.empty.textContent = words;
  showState("Not shown");
}

function showState(words) {
  $("events-state").textContent = words;
}

function see(event) {
  if (!Object.hasOwn(DESCRIBED, event.kind)) return; // of a later version
  if (waiting) {
    waiting.push(event);
    if (waiting.length > KEPT) waiting.shift();
    showState(`Paused, ${waiting.length} new`);
  } else {
    append(event);
  }
}

function togglePause() {
  const missed = waiting ?? [];
  waiting = waiting ? null : [];
  $("pause").setAttribute("aria-pressed", String(waiting !== null));
  showState(waiting ? "Paused, 0 new" : feed.isRunning ? "Live" : "Waiting for the bridge");
  missed.forEach(append);
}

function clear() {
  log.clear();
  if (waiting) waiting = [];
  filter();
}

function append(event) {
  const item = describe(event);
  item.hidden = !isWanted(item);
  log.append(item);
  showWhetherAnythingMatches();
}

function filter() {
  for (const item of log.list.children) item.hidden = !isWanted(item);
  showWhetherAnythingMatches();
  log.follow();
}

function isWanted(item) {
  const wanted = new FormData($("filter"));
  const text = wanted.get("text").trim().toLowerCase();
  return wanted.getAll("kind").includes(item.dataset.kind) && item.textContent.toLowerCase().includes(text);
}

function showWhetherAnythingMatches() {
  const items = [...log.list.children];
  $("nothing-matches").hidden = !items.length || items.some((item) => !item.hidden);
}

const ACTIONS = { send: "message", add: "add to group", remove: "remove from group", removeAll: "remove from all groups" };
const DESCRIBED = { upstream: describeUpstream, negotiate: describeNegotiate, send: describeSend };
const ENDINGS = { returned: "ok", refused: "refused", failed: "failed", rejected: "rejected" };

function describe(event) {
  const { kind } = event;
  const { name, outcome, lines, facts } = DESCRIBED[kind](event);
  const item = element("li", `event ${toneOf(outcome)}`);
  item.dataset.kind = kind;
  const head = element("div", "event-head");
  const ending = [ENDINGS[outcome] ?? outcome, event.status].filter((one) => one || one === 0).map(plainly).join(" ");
  head.append(element("strong", "event-name", plainly(name)), element("span", "event-outcome", ending));
  if (Number.isFinite(event.milliseconds)) head.append(element("span", "event-took", `${event.milliseconds.toFixed(1)} ms`));
  const body = element("div", "event-body");
  body.append(head, ...lines.filter(Boolean), describeFacts(facts));
  const side = element("div", "event-side");
  side.append(element("span", "event-kind", kind), timeOf(new Date(event.time)));
  item.append(side, body);
  return item;
}

function describeUpstream(event) {
  const lines = [
    event.arguments?.length ? told("in", "Arguments", listInWords(event.arguments)) : null,
    event.reason ? told("in", "Reason", plainly(event.reason)) : null,
    "result" in event ? told("out", "Result", inWords(event.result)) : null,
    event.error ? told("error", "Error", plainly(event.error)) : null,
  ];
  const facts = { User: event.userId, Hub: event.hub, Connection: event.connectionId, Handler: event.handler };
  return { name: event.event ?? "event", outcome: event.outcome, lines, facts };
}

function describeNegotiate(event) {
  const lines = [event.code ? told("error", "Error", plainly(event.code)) : null];
  const outcome = event.status === 200 ? "admitted" : event.status < 500 ? "refused" : "failed";
  const facts = { User: event.userId, Hub: event.hub, By: event.by, Endpoint: event.endpoint };
  return { name: "negotiate", outcome, lines, facts };
}

function describeSend(event) {
  const { arguments: values, endpoints, result, to } = event;
  const whom = to ? Object.entries(to).map(([kind, name]) => `${kind.replace(/Name$|Id$/, "")} ${plainly(name)}`).join(", ") : "";
  const lines = [
    values?.length ? told("out", "Arguments", listInWords(values)) : null,
    Array.isArray(endpoints) ? outcomes(endpoints) : null,
    event.code ? told("error", "Error", plainly(event.code)) : null,
  ];
  const outcome = typeof result === "string" ? result : result?.status ?? (event.status < 300 ? "accepted" : "rejected");
  const facts = { To: whom || "everybody", Hub: event.hub, By: event.by };
  return { name: event.target ?? ACTIONS[event.action] ?? event.action ?? "send", outcome, lines, facts };
}

function describeFacts(named) {
  const facts = element("dl", "event-facts");
  for (const [name, value] of Object.entries(named)) {
    if (value === null || value === undefined || value === "") continue;
    const pair = element("div", `event-${name.toLowerCase()}`);
    const shown = element("dd", "", plainly(value));
    shown.title = plainly(value);
    pair.append(element("dt", "", name), shown);
    facts.append(pair);
  }
  return facts;
}
