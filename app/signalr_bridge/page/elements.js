// Elements and forms. Whatever comes from outside becomes a text node, never markup.

export const $ = (id) => document.getElementById(id);

export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

// Any JSON in a few words, on one line.
export function inWords(value) {
  const text = JSON.stringify(value, null, 1) ?? "";
  return text.replace(/\n\s*/g, " ").replace(/([[{]) | (?=[\]}])/g, "$1");
}

export const listInWords = (values) => inWords(values).slice(1, -1);

// A backend may send any JSON where a name or a text is expected.
export const plainly = (value) => (typeof value === "string" ? value : JSON.stringify(value) ?? "");

export function timeOf(date, timeStyle = "medium") {
  if (Number.isNaN(date.getTime())) return element("time");
  const time = element("time", "", date.toLocaleTimeString([], { timeStyle, ...(timeStyle === "medium" && { hourCycle: "h23" }) }));
  time.dateTime = date.toISOString();
  return time;
}

const LONGEST = 5000; // characters that are shown of one value

// What goes in or out, with its name for those who do not see the sign before it.
export function told(kind, name, text) {
  const line = element("p", `told ${kind}`);
  line.append(element("span", "unseen", `${name}: `), element("code", "", text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text));
  return line;
}

// What each endpoint said of an item.
export function outcomes(endpoints) {
  const list = element("ul", "outcomes");
  for (const one of endpoints) {
    const item = element("li", `outcome ${toneOf(one.outcome)}`);
    const more = [one.statusCode, one.code].filter(Boolean).join(" ");
    item.append(element("span", "", plainly(one.name ?? "")), " ", element("strong", "", plainly(one.outcome ?? "")));
    if (more) item.append(` ${more}`);
    list.append(item);
  }
  return list;
}

const TONES = {
  good: ["returned", "admitted", "accepted", "absent"],
  wait: ["refused", "partial", "offline", "skipped", "unknown"],
};

export function toneOf(outcome) {
  return Object.keys(TONES).find((tone) => TONES[tone].includes(outcome)) ?? "bad";
}

// Acts on a form's submission when no required field is blank. A field that is mended clears what was said of it.
export function onSubmit(form, act) {
  form.addEventListener("input", () => calm(form));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    calm(form);
    const blank = [...form.elements].find((field) => field.required && !field.disabled && !field.value.trim());
    if (blank) blank.focus();
    else act(new FormData(form), event.submitter);
  });
}

export function complain(form, words, field = null) {
  const problem = form.querySelector(".problem");
  problem.textContent = words;
  problem.id ||= `${form.id}-problem`;
  field?.setAttribute("aria-invalid", "true");
  field?.setAttribute("aria-describedby", problem.id);
  field?.focus();
}

export function calm(form) {
  const problem = form.querySelector(".problem");
  if (problem) problem.textContent = "";
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}

// The JSON array in a field as values, and as it was typed: numbers keep every digit. Null after a complaint.
export function readArguments(form, field) {
  const text = field.value.trim() || "[]";
  try {
    const values = JSON.parse(text);
    if (Array.isArray(values)) return { values, text: text.replace(/\s*\n\s*/g, " ") };
    complain(form, `Arguments are a JSON array: write [${text}].`, field);
  } catch (error) {
    complain(form, `The arguments are not JSON: ${error.message}.`, field);
  }
  return null;
}
