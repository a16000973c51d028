// Calls of any method with any arguments, and whatever the client receives.

import { $, complain, element, inWords, listInWords, onSubmit, readArguments, timeOf, told } from "./elements.js";
import { explainUnhandled } from "./hubs.js";
import { Log } from "./log.js";

const KEPT = 200;

let connection = null;
let log = null;

export function startCalls(its) {
  [connection, log] = [its, new Log($("call-log"), $("calls"), KEPT)];
  connection.addEventListener("received", ({ detail: [target, values] }) => {
    begin(target, "received").append(told("in", "Arguments", listInWords(values)));
    log.follow();
  });
  onSubmit($("call-form"), (data, button) => {
    const method = data.get("method").trim();
    const given = readArguments($("call-form"), $("call-arguments"));
    if (given === null) return;
    if (connection.isConnected) call(method, given.values, button?.value ?? "invoke");
    else complain($("call-form"), "The client is not connected: press Connect first.");
  });
}

export function chooseMethod(method) {
  $("method").value = method;
  $("call-arguments").focus();
}

async function call(method, values, how) {
  const item = begin(method, how === "send" ? "sent" : "waiting…");
  const state = item.querySelector(".entry-state");
  item.append(told("out", "Arguments", listInWords(values)));
  const began = performance.now();
  try {
    const result = await connection[how](method, ...values);
    const took = `${(performance.now() - began).toFixed(1)} ms`;
    if (how === "invoke") {
      state.textContent = `result in ${took}`;
      state.classList.add("good");
      item.append(told("in", "Result", result === undefined ? "nothing" : inWords(result)));
    }
  } catch (error) {
    state.textContent = "error";
    state.classList.add("bad");
    item.append(told("error", "Error", error.message));
  }
  if (how === "send" || state.classList.contains("bad")) {
    const words = await explainUnhandled(method);
    if (words) item.append(element("p", "advice", words));
  }
  log.follow();
}

function begin(name, state) {
  const item = element("li", "entry");
  const head = element("p", "entry-head");
  head.append(element("strong", "code", name), element("span", "entry-state", state), timeOf(new Date()));
  item.append(head);
  log.append(item);
  return item;
}
