// The list of upstream events beside the chat: what the service called, and what the handler answered.
"use strict";

{
  const KEPT = 200; // events in the list
  const list = document.getElementById("events");
  const panel = document.getElementById("events-log");
  let source = null;
  let last = ["", 0]; // of the newest event that is shown: which process, which number

  // A tab that nobody sees does not listen: browsers open few connections to one address, and all tabs share them.
  function listen() {
    if (document.hidden) {
      source?.close();
      source = null;
      show("Paused");
    } else if (!source) {
      source = new EventSource("/events");
      source.onopen = () => show("Live");
      source.onerror = () => show("Waiting for the bridge");
      source.onmessage = (message) => {
        if (isNew(message.lastEventId)) append(JSON.parse(message.data));
      };
    }
  }

  function show(words) {
    document.getElementById("events-state").textContent = words;
  }

  function isNew(id) {
    const cut = id.lastIndexOf("-");
    const [boot, number] = [id.slice(0, cut), Number(id.slice(cut + 1))];
    if (boot === last[0] && number <= last[1]) return false;
    last = [boot, number];
    return true;
  }

  function append(event) {
    const atEnd = panel.scrollHeight - panel.scrollTop - panel.clientHeight < 40;
    document.getElementById("events-empty").hidden = true;
    list.append(describe(event));
    if (list.childElementCount > KEPT) list.firstElementChild.remove();
    if (atEnd) panel.scrollTop = panel.scrollHeight; // who reads further up is left alone
  }

  function describe(event) {
    const item = make("li", `event ${event.outcome}`);
    const head = make("div", "event-head");
    const time = make("time", "", new Date(event.time).toLocaleTimeString([], { timeStyle: "medium" }));
    time.dateTime = event.time;
    head.append(make("strong", "event-name", event.event), make("span", "event-outcome", outcome(event)), time);
    item.append(head);
    if (event.arguments?.length) item.append(code("event-in", "Arguments", inWords(event.arguments).slice(1, -1)));
    if (event.reason) item.append(code("event-in", "Reason", event.reason));
    if ("result" in event) item.append(code("event-out", "Result", inWords(event.result)));
    if (event.error) item.append(code("event-error", "Error", event.error));
    const facts = make("dl", "event-facts");
    const named = { User: event.userId, Hub: event.hub, Connection: event.connectionId, Handler: event.handler };
    for (const [name, value] of Object.entries({ ...named, Took: `${event.milliseconds.toFixed(1)} ms` })) {
      if (!value) continue;
      const pair = make("div", `event-${name.toLowerCase()}`);
      const shown = make("dd", "", value);
      shown.title = value;
      pair.append(make("dt", "", name), shown);
      facts.append(pair);
    }
    item.append(facts);
    return item;
  }

  function outcome(event) {
    const words = { returned: "ok", refused: "refused", failed: "failed", rejected: "rejected" };
    return `${words[event.outcome] ?? event.outcome} ${event.status}`;
  }

  function inWords(value) {
    return JSON.stringify(value, null, 1).replace(/\n\s*/g, " ").replace(/([[{]) | (?=[\]}])/g, "$1");
  }

  // What goes in and out, with its name for those who do not see the arrow.
  function code(kind, name, text) {
    const line = make("p", kind);
    line.append(make("span", "unseen", `${name}: `), make("code", "", text));
    return line;
  }

  function make(tag, className = "", text = "") {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  }

  document.addEventListener("visibilitychange", listen);
  listen();
}
