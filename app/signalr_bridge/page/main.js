// The workbench: one connection as a client, requests as a backend, and what is heard of both. Its parts meet here.

import { hasKey, useKey } from "./bridge.js";
import { chooseMethod, startCalls } from "./call.js";
import { arriveInChat, startChat } from "./chat.js";
import { connect, me, startConnecting } from "./connect.js";
import { Connection } from "./connection.js";
import { $, complain, onSubmit } from "./elements.js";
import { listen, startEvents, stopEvents } from "./events.js";
import { firstHub, hasChat, loadHubs, look, methods, startHubs } from "./hubs.js";
import { showForm, startSending } from "./send.js";
import { offerChat, open, startViews } from "./views.js";

export const connection = new Connection();

let offered = ""; // the method that stands in the form until somebody writes another one

function askForKey(words = "") {
  stopEvents();
  connection.disconnect();
  useKey("");
  $("bench").hidden = true;
  $("forget-key").hidden = true;
  $("asking").hidden = false;
  complain($("key-form"), words);
  $("key").focus();
}

async function tryKey(data) {
  useKey(data.get("key"));
  $("key").value = "";
  const { status, problem } = await loadHubs();
  if (status === 200) return enter();
  useKey("");
  complain($("key-form"), problem, $("key"));
}

async function enter() {
  $("asking").hidden = true;
  $("bench").hidden = false;
  $("forget-key").hidden = !hasKey();
  $("by-field").hidden = !hasKey();
  me.hub ||= firstHub();
  connection.hub = me.hub;
  $("hub").value = me.hub;
  await useHub();
  listen();
  if (!hasKey()) await connect(connection); // behind a key it may be production: nobody connects there unasked
}

async function useNamed(name) {
  $("hub").value = name;
  if (connection.isConnected) return $("connect-form").requestSubmit();
  connection.hub = name;
  return useHub();
}

// What the parts offer follows the hub.
async function useHub() {
  await look(connection.hub);
  offerChat(hasChat());
  if ($("method").value === offered) $("method").value = offered = methods()[0] ?? "";
  showForm();
}

connection.addEventListener("state", ({ detail: [state] }) => { if (state === "connecting") useHub(); });
connection.addEventListener("arrived", async () => {
  await useHub();
  await arriveInChat();
});

startViews();
startHubs(useNamed, (method) => { open("call"); chooseMethod(method); });
startConnecting(connection);
startChat(connection, hasChat);
startCalls(connection);
startSending(connection);
startEvents(() => askForKey("The bridge does not know this key any more."));
onSubmit($("key-form"), tryKey);
$("forget-key").addEventListener("click", () => location.reload()); // and all that it has shown

const first = await loadHubs();
if (first.status === 401) askForKey();
else await enter();
