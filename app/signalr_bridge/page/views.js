// Which part is shown: the fragment of the address says it. Where there is room, hub and events are always there.

const WORK = ["chat", "call", "send"];
const VIEWS = ["hub", ...WORK, "events"];

let work = "call"; // the part in the middle
let hasChat = false;

const asked = () => location.hash.slice(1);

function show() {
  const view = VIEWS.includes(asked()) ? asked() : work;
  if (WORK.includes(view)) work = view;
  if (work === "chat" && !hasChat) work = "call";
  const shown = view === "chat" ? work : view;
  for (const panel of document.querySelectorAll(".panel")) {
    panel.classList.toggle("current", panel.dataset.view === shown);
    panel.classList.toggle("working", panel.dataset.view === work);
  }
  for (const link of document.querySelectorAll(".views a")) {
    const to = link.hash.slice(1);
    link.classList.toggle("working", to === work);
    if (to === shown || (to === work && !isNarrow())) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

const isNarrow = () => getComputedStyle(document.querySelector(".views .narrow")).display !== "none";

// The chat is a part of the page only where the hub has its methods.
export function offerChat(offered) {
  if (offered && !hasChat && !asked()) work = "chat";
  hasChat = offered;
  document.getElementById("to-chat").hidden = !offered;
  show();
}

export function open(view) {
  if (asked() === view) show();
  else location.hash = view;
}

export function startViews() {
  addEventListener("hashchange", show);
  addEventListener("resize", show);
  show();
}
