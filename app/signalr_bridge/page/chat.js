// The chat of the demo's handlers. It is a part of the page where the hub has their methods.

import { me, remember } from "./connect.js";
import { $, complain, calm, element, onSubmit, plainly, timeOf } from "./elements.js";
import { Log } from "./log.js";

const KEPT = 500;

let connection = null;
let hasChat = () => false;
let log = null;

export function startChat(its, offered) {
  [connection, hasChat, log] = [its, offered, new Log($("log"), $("messages"), KEPT)];
  connection.addEventListener("received", ({ detail: [target, values] }) => receive(target, values));
  onSubmit($("room-form"), (data) => changeRoom(data.get("room").trim()));
  onSubmit($("composer"), (data) => {
    if (connection.isConnected) say(data.get("text").trim(), data.get("to"));
  });
  showRoom();
}

// Group membership belongs to a connection: after every reconnect the room must be joined again.
export async function arriveInChat() {
  if (hasChat()) await join(me.room);
}

const SHOWN = {
  newMessage: ([name, text]) => showMessage({ name, text, audience: "everybody" }),
  roomMessage: ([room, name, text]) => showMessage({ name, text, audience: room, inRoom: true }),
  presence: ([name, here]) => showNotice(`${plainly(name)} ${here ? "has come" : "has gone"}`),
};

function receive(target, values) {
  const [, show] = Object.entries(SHOWN).find(([name]) => name.toLowerCase() === target.toLowerCase()) ?? [];
  show?.(values);
}

// Calls a hub method. When the handler refuses, the error's message is the text of its HubError.
async function invoke(method, ...values) {
  const id = connection.id;
  calm($("composer"));
  try {
    await connection.invoke(method, ...values);
    return true;
  } catch (error) {
    if (id === connection.id) complain($("composer"), error.message);
    return false;
  }
}

async function join(room) {
  if (await invoke("join", room)) showNotice(`You are ${me.name}, in the room ${room}`);
}

async function changeRoom(room) {
  if (room === me.room) return;
  const old = me.room;
  remember("room", room);
  showRoom();
  if (!connection.isConnected) return; // joined on arrival
  await invoke("leave", old);
  await join(room);
}

async function say(text, audience) {
  const said = audience === "room" ? invoke("sendToRoom", me.room, text) : invoke("sendToEverybody", text);
  if (await said) $("text").value = "";
  $("text").focus();
}

function showRoom() {
  $("room").value = me.room;
  $("to-room").textContent = me.room;
}

function showMessage({ name, text, audience, inRoom = false }) {
  const item = element("li", `message${name === me.name ? " mine" : ""}`);
  const head = element("header");
  head.append(
    element("span", "name", plainly(name)),
    element("span", `audience${inRoom ? " room" : ""}`, plainly(audience)),
    timeOf(new Date(), "short"),
  );
  item.append(head, element("p", "", plainly(text)));
  log.append(item);
}

function showNotice(words) {
  log.append(element("li", "notice", words));
}
