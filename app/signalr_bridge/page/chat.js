// The chat page: one connection of the official SignalR client, and what it shows. Loaded after /static/signalr.min.js.
"use strict";

const HUB = "/hubs/chat";
const QUICK_RETRIES = [0, 1000, 3000]; // for a short drop: the library reconnects by itself, after so many milliseconds
const SHORT_STAY = 2000; // who is closed so soon was not wanted: not at once again
const SECONDS_BETWEEN_TRIES = 5; // for a longer one: we start again, until it works
const LONGEST_LOG = 500;

const $ = (id) => document.getElementById(id);

const me = {
  name: sessionStorage.getItem("name") ?? `guest-${100 + Math.floor(Math.random() * 900)}`,
  room: sessionStorage.getItem("room") ?? "lobby",
};

// --- connecting

let connection = null;
let tries = null; // the timer that counts down to the next try
let arrived = 0;

const retryPolicy = {
  nextRetryDelayInMilliseconds({ previousRetryCount }) {
    if (previousRetryCount === 0 && Date.now() - arrived < SHORT_STAY) return SHORT_STAY;
    return QUICK_RETRIES[previousRetryCount] ?? null;
  },
};

function build() {
  const fresh = new signalR.HubConnectionBuilder()
    .withUrl(`${HUB}?userId=${encodeURIComponent(me.name)}`)
    .withAutomaticReconnect(retryPolicy)
    .configureLogging(signalR.LogLevel.Critical)
    .build();

  // Everything below is told by a connection that may be yesterday's: a new name makes a new one.
  const current = (act) => (...values) => { if (fresh === connection) act(...values); };

  fresh.on("newMessage", current((name, text) => showMessage({ name, text, audience: "everybody" })));
  fresh.on("roomMessage", current((room, name, text) => showMessage({ name, text, audience: room, inRoom: true })));
  fresh.on("presence", current((name, here) => showNotice(`${inWords(name)} ${here ? "has come" : "has gone"}`)));
  fresh.onreconnecting(current(() => showState("reconnecting", "Reconnecting")));
  fresh.onreconnected(current(arrive));
  fresh.onclose(current(() => lose()));
  return fresh;
}

async function connect() {
  forgetTries();
  showState("connecting", "Connecting");
  const mine = (connection = build());
  try {
    await mine.start();
  } catch (error) {
    if (mine === connection) lose(error);
    return;
  }
  if (mine === connection) await arrive();
  else await mine.stop(); // somebody pressed the button twice, or changed the name meanwhile
}

// Group membership belongs to a connection: after every reconnect the room must be joined again.
async function arrive() {
  arrived = Date.now();
  forgetTries();
  $("outage").hidden = true;
  showState("connected", "Connected");
  await join(me.room);
}

async function lose(error) {
  showState("gone", "Not connected");
  startTries();
  const [what, advice] = await diagnose(error);
  if ($("state").dataset.state !== "gone") return;
  $("outage-what").textContent = what;
  $("outage-advice").textContent = advice;
  $("outage").hidden = false;
}

async function diagnose(error) {
  if (/Status code '40[13]'/.test(error?.message ?? "")) {
    return ["The bridge does not let you in.", "Choose another name, and try again."];
  }
  const answer = await fetch("/health/live").catch(() => null);
  if (!answer?.ok) return ["The bridge does not answer.", "Is it still running? This page reconnects as soon as it is back."];
  return ["The SignalR service is gone.", "The bridge still answers. This page reconnects as soon as the service is back."];
}

function startTries() {
  forgetTries();
  let left = SECONDS_BETWEEN_TRIES;
  const show = () => { $("countdown").textContent = `Next try in ${left} s`; };
  show();
  tries = setInterval(() => {
    left -= 1;
    if (left > 0) show();
    else connect();
  }, 1000);
}

function forgetTries() {
  clearInterval(tries);
  $("countdown").textContent = "Trying…";
}

// --- doing

// Calls a hub method. When the handler refuses, the error's message is the text of its HubError.
async function invoke(method, ...values) {
  const mine = connection;
  $("problem").textContent = "";
  try {
    await mine.invoke(method, ...values);
    return true;
  } catch (error) {
    if (mine === connection) $("problem").textContent = error.message;
    return false;
  }
}

async function join(room) {
  if (await invoke("join", room)) showNotice(`You are ${me.name}, in the room ${room}`);
}

async function changeName(name) {
  if (name === me.name) return;
  remember("name", name);
  const old = connection;
  connection = null;
  await old?.stop();
  await connect();
}

async function changeRoom(room) {
  if (room === me.room) return;
  const old = me.room;
  remember("room", room);
  if (connection?.state !== signalR.HubConnectionState.Connected) return; // joined on arrival
  await invoke("leave", old);
  await join(room);
}

async function send(text, audience) {
  const sent = audience === "room" ? invoke("sendToRoom", me.room, text) : invoke("sendToEverybody", text);
  if (await sent) $("text").value = "";
  $("text").focus();
}

function remember(key, value) {
  me[key] = value;
  sessionStorage.setItem(key, value);
  showMe();
}

// --- showing: text goes through textContent, never as markup

function showMe() {
  $("name").value = me.name;
  $("room").value = me.room;
  $("to-room").textContent = me.room;
}

function showState(state, words) {
  $("state").dataset.state = state;
  $("state-text").textContent = words;
  $("send").disabled = state !== "connected";
}

function showMessage({ name, text, audience, inRoom = false }) {
  const item = element("li", `message${name === me.name ? " mine" : ""}`);
  const head = element("header");
  const time = element("time", "", new Date().toLocaleTimeString([], { timeStyle: "short" }));
  time.dateTime = new Date().toISOString();
  head.append(
    element("span", "name", inWords(name)),
    element("span", `audience${inRoom ? " room" : ""}`, audience),
    time,
  );
  item.append(head, element("p", "", inWords(text)));
  append(item);
}

function showNotice(words) {
  append(element("li", "notice", words));
}

function append(item) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  $("empty").hidden = true;
  $("messages").append(item);
  if ($("messages").childElementCount > LONGEST_LOG) $("messages").firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight; // who reads further up is left alone
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

// A backend may send any JSON where a name or a text is expected.
function inWords(value) {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

// --- listening

function onSubmit(form, act) {
  $(form).addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    const blank = [...event.target.elements].find((field) => field.required && !field.value.trim());
    if (blank) blank.focus();
    else act(data);
  });
}

onSubmit("name-form", (data) => changeName(data.get("name").trim()));
onSubmit("room-form", (data) => changeRoom(data.get("room").trim()));
onSubmit("composer", (data) => {
  if (connection?.state === signalR.HubConnectionState.Connected) send(data.get("text").trim(), data.get("to"));
});
$("retry").addEventListener("click", connect);

// One line, told in parts so that a narrow column breaks it between them.
const curl = [
  "curl -sS -X POST",
  `${location.origin}${HUB}/send`,
  "-H 'Content-Type: application/json'",
  `-d '{"target":"newMessage","arguments":["curl","hello"]}'`,
];
for (const part of curl) $("curl").append(element("span", "", part), " ");
$("copy").hidden = !navigator.clipboard;
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(curl.join(" "));
  $("copy").textContent = "Copied";
});

showMe();
connect();
