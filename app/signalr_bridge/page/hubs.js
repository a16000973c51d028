// What the bridge says of its hubs: which there are, who handles them, who is admitted, and how their endpoints do.

import { ask, hasKey, pathOf } from "./bridge.js";
import { $, element, plainly } from "./elements.js";

const SECONDS_BETWEEN_LOOKS = 10;
const CHAT = ["join", "leave", "sendToRoom", "sendToEverybody"]; // what the chat calls
const ADMITTED = {
  anonymous: "anybody",
  jwt: "who has a JWT",
  platform: "whom the platform names",
}; // in the words of banner.py
const BY_HANDLER = "whom its negotiate handler admits";
const NOBODY_HANDLES = "Nobody handles this hub. Clients connect and receive, but a call gets an error. ";
const IN_DEV = "Start dev with --handlers module:attribute, or with --forward and a backend's address.";
const IN_SERVE = "Set BRIDGE_HANDLERS, or BRIDGE_FORWARD__… with a backend's address.";

let hubs = []; // as GET /hubs has them
let trouble = ""; // why the list is not known, in words
let hub = "";
let choose = () => {};
let chooseHub = () => {};

export async function loadHubs() {
  const answer = await ask("GET", "hubs");
  if (answer.status === 200) hubs = answer.body;
  trouble = answer.status === 404 ? "This bridge does not list its handlers." : answer.problem;
  $("hubs").replaceChildren(...hubs.map(({ name }) => new Option(name)));
  $("hub-names").hidden = hubs.length < 2;
  replace($("hub-names"), hubs.map(({ name }) => makeButton(name, `Use the hub ${name}`, () => chooseHub(name))));
  return answer;
}

export const firstHub = () => find("chat")?.name ?? hubs[0]?.name ?? "chat";

const find = (name) => hubs.find((one) => one.name.toLowerCase() === name.toLowerCase());

const handlers = () => find(hub)?.handlers ?? [];

const ofMessages = () => handlers().filter(({ category }) => isAny(category) || category === "messages");

const isAny = (name) => name === null || name === undefined || name === "" || name === "*";

export function methods() {
  return [...new Set(ofMessages().map(({ event }) => event).filter((event) => !isAny(event)))];
}

export function hasChat() {
  const known = methods().map((one) => one.toLowerCase());
  return CHAT.every((one) => known.includes(one.toLowerCase()));
}

// Why nobody answers a call, and what would be answered. Empty when somebody may handle it.
export async function explainUnhandled(method) {
  const { status } = await loadHubs(); // handlers may have been reloaded
  show();
  const handled = ({ event }) => isAny(event) || event.toLowerCase() === method.toLowerCase();
  if (status !== 200 || ofMessages().some(handled)) return "";
  const known = methods();
  const those = known.length ? `It handles: ${known.join(", ")}.` : "It handles no messages at all.";
  return `Nobody handles “${method}” on the hub ${hub}. ${those}`;
}

export function startHubs(onHub, onMethod) {
  [chooseHub, choose] = [onHub, onMethod];
  setInterval(() => { if (!document.hidden && hub) look(); }, SECONDS_BETWEEN_LOOKS * 1000);
}

export async function look(name = hub) {
  hub = name;
  const [, endpoints] = await Promise.all([loadHubs(), ask("GET", `${pathOf("hubs", hub)}/endpoints`)]);
  if (name !== hub) return;
  show();
  showEndpoints(endpoints);
}

function show() {
  const known = find(hub);
  $("clients").textContent = known ? inWords(known.clients ?? []) : "unknown";
  $("methods").replaceChildren(...methods().map((one) => new Option(one)));
  advise("handlers-advice", trouble || (handlers().length ? "" : NOBODY_HANDLES + (hasKey() ? IN_SERVE : IN_DEV)));
  replace($("handlers"), handlers().map(describeHandler));
}

// A negotiate handler decides before the rules do.
function inWords(clients) {
  const byRules = clients.filter((one) => one !== "handler").map((one) => ADMITTED[one] ?? plainly(one)).join(" or ");
  if (!clients.includes("handler")) return byRules || "nobody";
  return byRules ? `${BY_HANDLER}, and where it leaves it to the rules, ${byRules}` : BY_HANDLER;
}

function describeHandler({ category, event, source }) {
  const item = element("li");
  const name = isAny(event) ? `every ${isAny(category) ? "event" : "event of " + category}` : plainly(event);
  if (category === "messages" && !isAny(event)) {
    item.append(makeButton(name, `Call ${name}`, () => choose(event)));
  } else {
    item.append(element("span", "code", name));
  }
  const shown = element("span", "source", plainly(source ?? ""));
  shown.title = shown.textContent;
  item.append(shown);
  return item;
}

function makeButton(words, label, act) {
  const button = element("button", "plain code", words);
  button.type = "button";
  button.setAttribute("aria-label", label);
  button.addEventListener("click", act);
  return button;
}

function showEndpoints({ status, body, problem }) {
  const list = status === 200 ? body : [];
  advise("endpoints-advice", problem || (list.length ? "" : "This hub has no endpoint: name one in the settings."));
  replace($("endpoints"), list.map(describeEndpoint));
}

function describeEndpoint({ name, endpointType, endpoint, online, state, lastError }) {
  const item = element("li", `endpoint ${online ? "good" : "bad"}`);
  const head = element("p");
  head.append(element("strong", "", plainly(name)), " ", element("span", "endpoint-state", plainly(state)));
  item.append(head, element("p", "source", `${plainly(endpointType)} · ${plainly(endpoint)}`));
  if (lastError) item.append(element("p", "last-error", plainly(lastError)));
  return item;
}

function advise(id, words) {
  $(id).textContent = words;
  $(id).hidden = !words;
}

// Nothing is touched when nothing has changed: the focus stays where it is, and nothing is announced again.
function replace(list, items) {
  const [before, after] = [[...list.children], items].map((some) => some.map((one) => one.outerHTML).join(""));
  if (before !== after) list.replaceChildren(...items);
}
