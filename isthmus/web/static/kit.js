// Small parts that every view uses: elements, words, requests, state in the address.

let words = {};
let english = {};
export let language = "en";
export const LANGUAGES = ["en", "zh"];

export async function loadWords(chosen) {
  const load = (one) => fetch(`/static/texts/${one}.json`).then((answer) => answer.json());
  if (!Object.keys(english).length) english = await load("en");
  words = chosen === "en" ? english : await load(chosen);
  language = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-Hans" : "en";
}

/** The text for a key, with {fields} filled in; English where a translation is missing. */
export function t(key, fields = {}) {
  const text = words[key] ?? english[key] ?? key;
  return fill(text, fields);
}

function fill(text, fields) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in fields ? describeField(fields[name]) : whole));
}

function describeField(value) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return messageText(value);
  if (Array.isArray(value)) return value.map(describeField).join(", ");
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value ?? "");
}

/** The sentence of a message of the library: by its id in this language, else as the library says it. */
export function messageText(message) {
  const own = words[`error.${message.id}`];
  return own === undefined ? message.text ?? String(message) : fill(own, message.fields ?? {});
}

export function has(key) {
  return key in words || key in english;
}

export function number(value, digits = 1) {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

export function bytesText(value) {
  if (value < 1000) return t("unit.bytes", { n: value });
  return value < 1e6 ? `${number(value / 1000)} kB` : `${number(value / 1e6, 2)} MB`;
}

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n) => String(n).padStart(2, "0");
  return whole < 3600 ? `${Math.floor(whole / 60)}:${two(whole % 60)}`
    : `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

const SVG = new Set(["svg", "path", "line", "circle", "text", "polyline", "g"]);

/** An element: attributes by name, functions as listeners (onclick), children as elements or text. */
export function h(tag, attributes = {}, ...children) {
  const element = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value" && tag !== "option") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

let taken = 0;
export const newId = (name) => `${name}-${++taken}`;

export class PageError extends Error {
  constructor(error, status) {
    super(messageText(error));
    this.error = error;
    this.status = status;
  }
}

async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new PageError({ id: "page.unreachable", text: t("error.unreachable"), fields: {} }, 0);
  }
  let body = null;
  try {
    body = await answer.json();
  } catch {
    body = { error: { id: "page.answer", text: t("error.answer", { status: answer.status }), fields: {} } };
  }
  if (body.error) throw new PageError(body.error, answer.status);
  return body;
}

export const get = (address, options) => ask(address, options);

export const post = (address, values = {}, options = {}) =>
  ask(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(values), ...options });

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Do an action; while it takes longer, `progress` is called with how far it is and a function to cancel it. */
export async function act(name, values = {}, progress = () => {}) {
  let answer = await post(`/api/do/${name}`, values);
  while (!("result" in answer)) {
    const key = answer.job;
    progress(answer.progress, () => fetch(`/api/jobs/${key}`, { method: "DELETE" }));
    await pause(250);
    answer = await get(`/api/jobs/${key}`);
  }
  progress(null);
  return answer.result;
}

/** Calls `work` with the newest arguments only, one call at a time. */
export function latest(work) {
  let waiting = null;
  let running = false;
  return async (...given) => {
    waiting = given;
    if (running) return;
    running = true;
    try {
      while (waiting) {
        const now = waiting;
        waiting = null;
        await work(...now);
      }
    } finally {
      running = false;
    }
  };
}

export async function upload(file, about) {
  if (file.size > about.max_bytes) {
    throw new PageError({ id: "page.too-large", text: "", fields: { megabytes: Math.floor(about.max_bytes / 1e6) } }, 413);
  }
  const answer = await ask(`/api/files?name=${encodeURIComponent(file.name || "image")}`,
    { method: "POST", headers: { "content-type": "application/octet-stream" }, body: file });
  return answer.id;
}

/** The values after the ? of the address. */
export function readState() {
  return Object.fromEntries(new URLSearchParams(location.search));
}

/** Put values into the address, so that it can be shared; empty ones are left out. */
export function writeState(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  history.replaceState(history.state, "", location.pathname + (text ? `?${text}` : ""));
}

export function toast(text) {
  const box = document.getElementById("toasts");
  const one = h("div", { class: "toast" }, text);
  box.replaceChildren(one);
  setTimeout(() => one.remove(), 2500);
}

export function saveText(name, text) {
  const link = h("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
