// Larger parts: a place for images, before and after, sliders, progress, errors.

import { act, get, h, messageText, newId, PageError, readState, t, upload, writeState } from "/static/kit.js";

/** A labelled slider with its value. */
export function slider({ label, min, max, step = 1, value, format = String, oninput }) {
  const id = newId("slider");
  const input = h("input", { type: "range", id, min, max, step });
  input.value = value;
  const output = h("output", { for: id }, format(Number(input.value)));
  const track = h("div", { class: "track" }, input);
  const update = () => { output.textContent = format(Number(input.value)); };
  input.addEventListener("input", () => { update(); oninput?.(Number(input.value)); });
  const element = h("div", { class: "slider" }, h("div", { class: "row" }, h("label", { for: id }, label), output), track);
  return {
    element, input,
    get value() { return Number(input.value); },
    /** Move it; `text` stands for the value in other words. */
    set(next, text) { input.value = next; update(); if (text) output.textContent = text; },
    /** Mark one value under the slider. */
    mark(at, text) {
      track.querySelector(".tick")?.remove();
      track.classList.toggle("ticked", at !== null);
      if (at === null) return;
      const share = (Math.min(Math.max(at, min), max) - min) / (max - min);
      const tick = h("span", { class: "tick" }, text);
      tick.style.left = `calc(8px + (100% - 16px) * ${share})`;
      track.append(tick);
    },
  };
}

/** Buttons of which one is pressed. */
export function segments(label, choices, chosen, onchoose) {
  const box = h("div", { class: "segments", role: "group", "aria-label": label });
  const press = (value) => {
    for (const button of box.children) button.setAttribute("aria-pressed", String(button.dataset.value === value));
  };
  for (const [value, text] of choices) {
    box.append(h("button", { type: "button", "data-value": value, onclick: () => { press(value); onchoose(value); } }, text));
  }
  press(chosen);
  return { element: box, press };
}

export function field(label, input, hint) {
  return h("label", { class: "field" }, label, input, hint ? h("span", { class: "hint small" }, hint) : null);
}

/** A choice of the models that a view can use. */
export function modelChoice(about, fits, onchoose) {
  const models = about.models.filter(fits);
  const wanted = readState().model;
  const chosen = models.find((one) => one.name === wanted) ?? models[0];
  const select = h("select", {}, models.map((one) => h("option", { value: one.name, selected: one === chosen }, one.name)));
  const note = h("span", { class: "hint small" });
  const describe = () => {
    const one = models.find((model) => model.name === select.value);
    note.textContent = one ? t("model.facts", {
      recipe: one.recipe, code: one.code, kind: t(one.channels === 1 ? "model.gray" : one.channels === 3 ? "model.colour" : "model.bands"),
    }) : t("model.none");
  };
  select.addEventListener("change", () => { describe(); writeState({ model: select.value }); onchoose?.(select.value); });
  describe();
  return {
    element: h("label", { class: "field" }, t("model.label"), select, note),
    get value() { return select.value; },
    get model() { return models.find((one) => one.name === select.value); },
  };
}

/** A choice of a folder under DATA. */
export function folderChoice(key, label, onchoose, { none } = {}) {
  const select = h("select", {}, h("option", { value: none === undefined ? "" : "-" }, none ?? t("data.all")));
  const wanted = readState()[key];
  // At once, before the folders are known: the views begin with what the address says.
  if (wanted) select.append(h("option", { value: wanted, selected: true }, wanted));
  const counted = h("span", { class: "hint small" });
  const count = (found) => { counted.textContent = t("data.count", { n: found.count }); };
  get("/api/data").then((found) => {
    if (none !== undefined) select.append(h("option", { value: "" }, t("data.all")));
    select.append(...found.folders.filter((one) => one !== wanted).map((one) => h("option", { value: one }, one)));
    if (none === undefined) (select.value ? get(`/api/data?folder=${encodeURIComponent(select.value)}`) : Promise.resolve(found)).then(count);
  }).catch(() => {});
  select.addEventListener("change", () => {
    writeState({ [key]: select.value });
    if (none === undefined) get(`/api/data?folder=${encodeURIComponent(select.value)}`).then(count).catch(() => {});
    onchoose?.(select.value);
  });
  return { element: h("label", { class: "field" }, label, select, counted), get value() { return select.value; } };
}

/** Drop, choose, paste, or pick an image of DATA; `onimage(reference, name)`. */
export function imageChoice(about, { key = "image", label, accept = "image/*", onimage, onerror, pick = true }) {
  const state = readState();
  const input = h("input", { type: "file", accept, "aria-label": label ?? t("image.drop") });
  const caption = h("span", {}, h("strong", {}, label ?? t("image.choose")), " ", t("image.or-drop"));
  const zone = h("label", { class: "drop" }, caption, input);
  const thumbs = h("div", { class: "thumbs", role: "group", "aria-label": t("image.of-data") });
  const element = h("div", { class: "card" }, zone, thumbs);
  let shown = null;
  const choose = (reference, name) => {
    shown = reference;
    for (const one of thumbs.children) one.setAttribute("aria-pressed", String(one.dataset.reference === reference));
    writeState({ [key]: reference, [`${key}-name`]: reference.startsWith("data:") ? null : name });
    onimage(reference, name);
  };
  const take = async (file) => {
    if (!file) return;
    try {
      zone.classList.add("over");
      choose(await upload(file, about), file.name);
    } catch (fault) {
      onerror(fault);
    } finally {
      zone.classList.remove("over");
    }
  };
  input.addEventListener("change", () => { take(input.files[0]); input.value = ""; });
  for (const kind of ["dragover", "dragenter"]) zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => { event.preventDefault(); zone.classList.remove("over"); take(event.dataTransfer.files[0]); });
  element.paste = (event) => { const file = event.clipboardData?.files[0]; if (file) take(file); };
  thumbs.hidden = true;
  if (about.data && pick) {
    get("/api/data").then((found) => {
      const names = found.images.slice(0, 120);
      thumbs.hidden = names.length === 0;
      thumbs.append(...names.map((name) => thumbnail(`data:${name}`, name, () => choose(`data:${name}`, name))));
      for (const one of thumbs.children) one.setAttribute("aria-pressed", String(one.dataset.reference === shown));
    }).catch(onerror);
  }
  if (state[key]) queueMicrotask(() => choose(state[key], state[`${key}-name`] ?? state[key].replace(/^data:/, "")));
  return { element, get value() { return shown; } };
}

function thumbnail(reference, name, onclick) {
  return h("button", { type: "button", "data-reference": reference, title: name, "aria-label": name, "aria-pressed": "false", onclick },
    h("img", { src: dataAddress(name, true), alt: "", loading: "lazy" }));
}

export const dataAddress = (name, small = false) => `/api/data-file?name=${encodeURIComponent(name)}${small ? "&small=true" : ""}`;
export const imageAddress = (reference, small = false) =>
  reference.startsWith("data:") ? dataAddress(reference.slice(5), small) : `/api/files/${reference}`;

/** What goes on and what went wrong, for one view. */
export function workBox() {
  const bar = h("progress", { max: 1 });
  const label = h("span", {});
  const stop = h("button", { type: "button" }, t("work.cancel"));
  const working = h("div", { class: "working", hidden: true, role: "status" }, h("div", { class: "row spread" }, label, stop), bar);
  const errors = h("div", { role: "alert" });
  const notes = h("ul", { class: "notes", "aria-label": t("work.notes") });
  const element = h("div", { class: "workbox" }, working, errors, notes);
  const told = new Map(); // the notes of each action of the view
  const tell = (name, found) => {
    told.set(name, found.map(messageText));
    const texts = [...new Set([...told.values()].flat())];
    notes.replaceChildren(...texts.map((text) => h("li", {}, text)));
    notes.hidden = texts.length === 0;
  };
  notes.hidden = true;
  let cancel = () => {};
  stop.addEventListener("click", () => cancel());
  const progress = (now, end) => {
    working.hidden = now === null;
    if (now === null) return;
    cancel = end;
    label.textContent = now.state === "waiting" ? t("work.waiting") : t("work.running", { label: taskText(now.label) });
    if (now.total > 0) bar.value = Math.min(1, now.done / now.total);
    else bar.removeAttribute("value");
  };
  const fail = (fault) => {
    working.hidden = true;
    if (fault.name === "AbortError" || fault.error?.id === "page.cancelled") return;
    errors.replaceChildren(errorBox(fault));
  };
  const run = async (name, values) => {
    errors.replaceChildren();
    return act(name, values, progress, (found) => tell(name, found));
  };
  return { element, run, fail, clear: () => { errors.replaceChildren(); told.clear(); tell("", []); } };
}

function taskText(label) {
  const text = t(`task.${label}`);
  return text === `task.${label}` ? label : text;
}

export function errorBox(fault) {
  const hint = fault instanceof PageError ? hintText(fault.error) : "";
  return h("div", { class: "error" }, fault.message, hint ? h("span", { class: "hint" }, hint) : null);
}

function hintText(error) {
  const own = t(`hint.${error.id}`);
  return own !== `hint.${error.id}` ? own : error.hint?.words ?? "";
}

/** Nothing to show yet. */
export function emptyBox(text) {
  return h("div", { class: "empty" }, h("img", { src: "/static/mark.svg", alt: "" }), h("p", {}, text));
}

export function stats(pairs) {
  return h("dl", { class: "stats" }, pairs.map(([name, value, key]) =>
    h("div", { class: "stat" }, h("dt", {}, name), h("dd", { "data-stat": key }, value))));
}

export function heading(view) {
  return h("div", { class: "head" }, h("h1", {}, t(`${view}.title`)), h("p", { class: "lead" }, t(`${view}.lead`)));
}

export function viewFrame(view, rail, show) {
  return h("section", { "aria-label": t(`${view}.title`) }, heading(view),
    h("div", { class: "view" }, h("div", { class: "rail" }, rail), h("div", { class: "show" }, show)));
}
