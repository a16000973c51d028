// What a backend does, with the curl line for it: messages to all, a user, a group or a connection, and memberships.

import { BASE, ask, hasKey, pathOf } from "./bridge.js";
import { $, element, onSubmit, outcomes, readArguments, timeOf, told } from "./elements.js";
import { Log } from "./log.js";

const KEPT = 200;
const DOINGS = { send: "Send", add: "Add to group", remove: "Remove from group" };
const KINDS = { userId: "user", groupName: "group", connectionId: "connection" };

let connection = null;
let log = null;

export function startSending(its) {
  [connection, log] = [its, new Log($("send-log"), $("answers"), KEPT)];
  const form = $("send-form");
  form.addEventListener("input", showForm);
  onSubmit(form, () => {
    const given = action() === "send" ? readArguments(form, $("send-arguments")) : { text: "" };
    if (given) send(given.text);
  });
  connection.addEventListener("state", showForm);
  $("copy").hidden = !navigator.clipboard;
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText($("curl").textContent);
    $("copy").textContent = "Copied";
    setTimeout(() => { $("copy").textContent = "Copy"; }, 2000);
  });
  showForm();
}

const action = () => new FormData($("send-form")).get("action");

// The fields that the action has, whom this page knows, and the curl line.
export function showForm() {
  const isMessage = action() === "send";
  $("message-fields").hidden = !isMessage;
  $("group-field").hidden = isMessage;
  for (const id of ["target", "send-arguments"]) $(id).disabled = !isMessage;
  $("group").disabled = isMessage;
  for (const option of $("to").options) option.hidden = option.disabled = !isMessage && !/user|connection/.test(option.value);
  if ($("to").selectedOptions[0].disabled) $("to").value = "userId";
  const to = $("to").value;
  $("whom").disabled = to === "";
  $("whom").required = to !== "";
  const mine = { userId: connection.name, connectionId: connection.id }[to];
  $("known").replaceChildren(...(mine ? [new Option(mine)] : []));
  $("send-button").textContent = DOINGS[action()];
  showCurl();
}

function showCurl() {
  const url = `${BASE}${path()}`;
  const text = $("send-arguments").value.trim() || "[]";
  const words = ["curl -sS -X POST", quote(url), ...(hasKey() ? ['-H "X-API-Key: $KEY"'] : [])];
  words.push("-H 'Content-Type: application/json'", `-d ${quote(item(text.replace(/\s*\n\s*/g, " ")))}`);
  $("curl").replaceChildren(...words.flatMap((word) => [element("span", "", word), " "]).slice(0, -1));
}

const path = () => `${pathOf("hubs", connection.hub)}/${action() === "send" ? "send" : "groups"}`;

// One word for a shell: nothing in it is expanded.
function quote(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

// The item as text. The arguments stay as they were typed.
function item(argumentsText) {
  const to = $("to").value;
  const whom = to ? { [to]: $("whom").value.trim() } : {};
  if (action() !== "send") return JSON.stringify({ action: action(), ...whom, groupName: $("group").value.trim() });
  const rest = JSON.stringify(whom).slice(1, -1);
  return `{"target":${JSON.stringify($("target").value)},"arguments":${argumentsText}${rest && `,${rest}`}}`;
}

async function send(argumentsText) {
  const entry = begin();
  const [right, text] = [action() === "send" ? "send" : "groups", item(argumentsText)];
  const { status, body, problem } = await ask("POST", path(), { text, right });
  const state = entry.querySelector(".entry-state");
  state.textContent = `${status || ""} ${body?.status ?? body?.code ?? ""}`.trim() || "no answer";
  const saysAll = status >= 200 && status < 300 && status !== 207;
  state.classList.add(saysAll ? "good" : status === 207 ? "wait" : "bad");
  if (problem) entry.append(told("error", "Problem", problem));
  if (Array.isArray(body?.endpoints)) entry.append(outcomes(body.endpoints));
  log.follow();
}

function begin() {
  const to = $("to").value;
  const whom = to ? `${KINDS[to]} ${$("whom").value.trim()}` : "everybody";
  const words = {
    send: ["message", `${$("target").value} to ${whom}`],
    add: ["join", `${whom} to group ${$("group").value.trim()}`],
    remove: ["leave", `${whom} from group ${$("group").value.trim()}`],
  }[action()];
  const entry = element("li", "entry");
  const head = element("p", "entry-head");
  head.append(element("strong", "", words[0]), element("span", "entry-state", "waiting…"), timeOf(new Date()));
  entry.append(head, element("p", "entry-what", words[1]));
  log.append(entry);
  return entry;
}
