// Who connects, to which hub, and how it stands: the form on the left, the state on top, the notice of an outage.

import { hasKey } from "./bridge.js";
import { $, onSubmit } from "./elements.js";

export const me = {
  hub: sessionStorage.getItem("hub") ?? "",
  name: sessionStorage.getItem("name") ?? `guest-${100 + Math.floor(Math.random() * 900)}`,
  room: sessionStorage.getItem("room") ?? "lobby",
};

export function remember(name, value) {
  me[name] = value;
  sessionStorage.setItem(name, value);
}

export function startConnecting(connection) {
  $("name").value = me.name;
  onSubmit($("connect-form"), (data) => {
    remember("hub", data.get("hub").trim());
    remember("name", data.get("name").trim());
    connect(connection);
  });
  $("disconnect").addEventListener("click", () => connection.disconnect());
  $("retry").addEventListener("click", () => connection.connect());
  connection.addEventListener("state", ({ detail: [state, words] }) => showState(connection, state, words));
  connection.addEventListener("lost", ({ detail }) => showOutage(detail));
  connection.addEventListener("countdown", ({ detail: left }) => {
    $("countdown").textContent = left === null ? "" : `Next try in ${left} s`;
  });
}

export function connect(connection) {
  $("hub").value = me.hub;
  connection.hub = me.hub;
  connection.name = me.name;
  connection.byKey = hasKey() && $("by").value === "key";
  return connection.connect();
}

function showState(connection, state, words) {
  $("state").dataset.state = state;
  $("state-text").textContent = words;
  $("say").disabled = state !== "connected";
  $("connect").classList.toggle("primary", state === "idle" || state === "gone");
  $("disconnect").disabled = state === "idle";
  $("connection-id").textContent = connection.id ?? "none";
  if (state === "connecting") $("countdown").textContent = "Trying…";
  if (state === "connected" || state === "idle") $("outage").hidden = true;
}

function showOutage({ what, advice }) {
  $("outage-what").textContent = what;
  $("outage-advice").textContent = advice;
  $("outage").hidden = false;
}
