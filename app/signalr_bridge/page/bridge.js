// The bridge as this page calls it. The key is held by this module alone, in memory, and goes out as a header only.

export const BASE = new URL(".", location.href).href; // without query and fragment, whatever prefix there is

let key = "";

export const hasKey = () => key !== "";

export function useKey(value) {
  key = value;
}

export function headers(more = {}) {
  return key ? { ...more, "X-API-Key": key } : more;
}

// Path segments are encoded here, and only here.
export function pathOf(...segments) {
  return segments.map(encodeURIComponent).join("/");
}

// One request. The answer has a status (0: nobody answered), the decoded body, and `problem`: in words, what is wrong.
export async function ask(method, path, { text = null, right = "read" } = {}) {
  const wish = { method, headers: headers(text === null ? {} : { "Content-Type": "application/json" }), cache: "no-store" };
  if (text !== null) wish.body = text;
  try {
    const answer = await fetch(BASE + path, wish);
    const body = await answer.json().catch(() => null);
    return { status: answer.status, body, problem: answer.ok ? "" : inWords(answer.status, body, right) };
  } catch {
    return { status: 0, body: null, problem: "The bridge does not answer." };
  }
}

function inWords(status, body, right) {
  const detail = body?.errors?.[0]?.detail ?? body?.detail ?? "";
  if (status === 401) return key ? "The bridge does not know this key." : "The bridge asks for a key.";
  if (status === 403 && key) return `This key may not do that: it needs the right “${right}” for this hub.`;
  return detail || `The bridge answered ${status}.`;
}
