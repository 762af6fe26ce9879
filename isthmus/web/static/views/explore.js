// Explore: move in the space of codes, walk between two images, draw new ones.

import { h, latest, number, readState, t, writeState } from "/static/kit.js";
import { emptyBox, field, folderChoice, imageAddress, imageChoice, modelChoice, segments, slider, stats, viewFrame, workBox } from "/static/parts.js";

const MAX_SLIDERS = 8;
const NEIGHBOURS = 5;

export function open(about) {
  const state = readState();
  const work = workBox();
  let mode = ["walk", "new"].includes(state.mode) ? state.mode : "space";
  const model = modelChoice(about, (one) => (one.channels === 1 || one.channels === 3) && one.corruption === "none" && one.bottleneck !== "entropy" && one.bottleneck !== "quantised", () => restart());
  const folder = folderChoice("folder", t("explore.folder"), () => restart());
  const space = spaceParts(work, () => ({ model: model.value, folder: folder.value }));
  const walk = walkParts(about, work, () => model.value);
  const fresh = newParts(about, work, () => ({ model: model.value, folder: folder.value }), () => model.model);
  const parts = { space, walk, new: fresh };
  const rail = h("div", { class: "rail" });
  const show = h("div", { class: "show" });
  const restart = () => {
    work.clear();
    rail.replaceChildren(...parts[mode].rail);
    show.replaceChildren(...parts[mode].show);
    parts[mode].start();
  };
  const modes = segments(t("explore.kind"), [["space", t("explore.space")], ["walk", t("explore.walk")], ["new", t("explore.new")]], mode,
    (value) => { mode = value; writeState({ mode: value === "space" ? null : value }); restart(); });
  queueMicrotask(restart);
  return { element: viewFrame("explore", [h("div", {}, modes.element), h("div", { class: "card" }, model.element, folder.element), rail], [work.element, show]) };
}

/** The plane of codes, and sliders from the mean or from an image. */
function spaceParts(work, asked) {
  const map = h("canvas", { class: "map", tabindex: "0", role: "application", "aria-label": t("explore.map") });
  const decoded = h("img", { class: "big", alt: t("explore.decoded"), "data-picture": "decoded" });
  const near = h("div", { class: "thumbs" });
  const sliders = h("div", { class: "sliders" });
  const about = h("p", { class: "soft small" });
  const where = h("p", { class: "soft small", role: "status" });
  const pace = h("span", { class: "soft small number", "data-stat": "pace" });
  const empty = emptyBox(t("explore.empty"));
  const shown = h("div", { class: "show", hidden: true },
    h("div", { class: "two" }, h("div", { class: "card" }, h("h2", {}, t("explore.map-title")), map, where),
      h("div", { class: "card" }, h("div", { class: "row spread" }, h("h2", {}, t("explore.decoded")), pace), decoded, h("h2", { class: "small" }, t("explore.near")), near)),
    h("div", { class: "card" }, h("div", { class: "row spread" }, h("h2", {}, t("explore.sliders")),
      h("button", { type: "button", onclick: () => { start = null; moves = moves.map(() => 0); apply(); } }, t("explore.reset"))), sliders, about));
  let found = null;
  let moves = [];
  let controls = [];
  let start = null;
  let bounds = [0, 0, 1, 1];
  let numbers = null; // the sliders set numbers of the code instead of directions
  const kinds = segments(t("explore.what"), [["directions", t("explore.directions")], ["numbers", t("explore.numbers")]], "directions", (value) => {
    numbers = value === "numbers" ? found?.numbers.slice() ?? [] : null;
    build();
    apply();
  });

  const decode = latest(async () => {
    const began = performance.now();
    const values = numbers ? { numbers } : { moves };
    try {
      const answer = await work.run("decode", { ...asked(), ...values });
      decoded.src = answer.picture.url;
      pace.textContent = t("explore.pace", { n: Math.round(performance.now() - began) });
    } catch (fault) { work.fail(fault); }
  });
  const apply = () => {
    controls.forEach((one, index) => one.set(numbers ? numbers[index] : moves[index]));
    writeState({ at: !numbers && moves.some((one) => one !== 0) ? moves.map((one) => Number(one.toFixed(2))).join(",") : null });
    paint();
    tellNear();
    decode();
  };
  const build = () => {
    const values = numbers ?? moves.slice(0, MAX_SLIDERS);
    const wide = numbers ? Math.max(1, ...numbers.map(Math.abs)) * 2 : 3;
    controls = values.map((value, index) => slider({
      label: numbers ? t("explore.number", { n: index + 1 }) : t("explore.direction", { n: index + 1, share: number(100 * found.explained[index], 0) }),
      min: -wide, max: wide, step: wide / 60, value, format: (one) => number(one, 1),
      oninput: (one) => {
        if (numbers) numbers[index] = one; else moves[index] = one;
        writeState({ at: numbers ? null : moves.map((each) => Number(each.toFixed(2))).join(",") });
        paint();
        tellNear();
        decode();
      },
    }));
    sliders.replaceChildren(...controls.map((one) => one.element));
  };
  const nearest = (x, y) => found.points.map(([px, py], index) => [(px - x) ** 2 + (py - y) ** 2, index]).sort((a, b) => a[0] - b[0]).slice(0, NEIGHBOURS).map(([, index]) => index);
  const showNear = (indices) => {
    near.replaceChildren(...indices.map((index) => {
      const name = found.names[index].slice(5);
      const label = t("explore.go-to", { name });
      return h("button", { type: "button", title: name, "aria-label": label, onclick: () => { moves = found.coordinates[index].slice(); numbers = null; kinds.press("directions"); build(); apply(); } },
        h("img", { src: imageAddress(found.names[index], true), alt: "" }));
    }));
  };
  const tellNear = () => { if (found) showNear(nearest(moves[0] ?? 0, moves[1] ?? 0)); };
  const toScreen = ([x, y]) => [(x - bounds[0]) / (bounds[2] - bounds[0]) * map.clientWidth, (1 - (y - bounds[1]) / (bounds[3] - bounds[1])) * map.clientHeight];
  const toPlane = (event) => {
    const box = map.getBoundingClientRect();
    return [bounds[0] + (event.clientX - box.left) / box.width * (bounds[2] - bounds[0]), bounds[1] + (1 - (event.clientY - box.top) / box.height) * (bounds[3] - bounds[1])];
  };
  const classes = () => [...new Set(found.labels ?? [])].sort();
  const paint = () => {
    if (!found || !map.clientWidth) return;
    map.width = map.clientWidth * devicePixelRatio;
    map.height = map.clientHeight * devicePixelRatio;
    const pen = map.getContext("2d");
    pen.scale(devicePixelRatio, devicePixelRatio);
    const style = getComputedStyle(document.documentElement);
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const all = classes();
    found.points.forEach((point, index) => {
      const [x, y] = toScreen(point);
      const hue = all.length ? all.indexOf(found.labels[index]) * 360 / all.length + 170 : 0;
      pen.fillStyle = all.length ? `hsl(${hue} 50% ${dark ? 64 : 45}%)` : style.getPropertyValue("--accent");
      pen.globalAlpha = 0.75;
      pen.beginPath();
      pen.arc(x, y, found.points.length > 400 ? 3 : 4.5, 0, 7);
      pen.fill();
    });
    pen.globalAlpha = 1;
    const [x, y] = toScreen([moves[0] ?? 0, moves[1] ?? 0]);
    pen.strokeStyle = style.getPropertyValue("--ink");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, y, 9, 0, 7);
    pen.moveTo(x - 14, y); pen.lineTo(x + 14, y);
    pen.moveTo(x, y - 14); pen.lineTo(x, y + 14);
    pen.stroke();
  };
  const jump = (x, y) => {
    numbers = null;
    kinds.press("directions");
    moves = moves.map((_, index) => (index === 0 ? x : index === 1 ? y : 0));
    build();
    apply();
  };
  let dragging = false;
  map.addEventListener("pointerdown", (event) => { if (event.button === 0) { dragging = true; map.setPointerCapture(event.pointerId); jump(...toPlane(event)); } });
  map.addEventListener("pointerup", () => { dragging = false; });
  map.addEventListener("pointermove", (event) => {
    if (!found) return;
    if (dragging) { jump(...toPlane(event)); return; }
    const indices = nearest(...toPlane(event));
    showNear(indices);
    where.textContent = found.labels ? found.labels[indices[0]] : found.names[indices[0]].slice(5);
  });
  map.addEventListener("pointerleave", () => { where.textContent = ""; tellNear(); });
  map.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.15], ArrowDown: [0, -0.15] }[event.key];
    if (!step || !found) return;
    event.preventDefault();
    jump(moves[0] + step[0], (moves[1] ?? 0) + step[1]);
  });
  new ResizeObserver(paint).observe(map);

  return {
    rail: [h("div", {}, kinds.element)],
    show: [empty, shown],
    async start() {
      const { model, folder } = asked();
      if (!model) return;
      shown.hidden = true;
      empty.hidden = false;
      try {
        found = await work.run("open-space", { model, folder });
      } catch (fault) { work.fail(fault); return; }
      empty.hidden = true;
      shown.hidden = false;
      numbers = null;
      kinds.press("directions");
      const wanted = (readState().at ?? "").split(",").map(Number).filter(Number.isFinite);
      moves = found.explained.map((_, index) => (readState().at ? wanted[index] ?? 0 : 0));
      const xs = found.points.map((one) => one[0]);
      const ys = found.points.map((one) => one[1] ?? 0);
      const margin = 0.35;
      bounds = [Math.min(...xs) - margin, Math.min(...ys) - margin, Math.max(...xs) + margin, Math.max(...ys) + margin];
      about.textContent = t("explore.sliders-about", { n: found.explained.length, share: number(100 * found.explained.reduce((a, b) => a + b, 0), 0) });
      build();
      apply();
    },
  };
}

/** Two images and what lies between them. */
function walkParts(about, work, modelName) {
  const picture = h("img", { class: "big", alt: t("explore.between"), "data-picture": "walk" });
  const strip = h("div", { class: "grid" });
  const empty = emptyBox(t("explore.walk-empty"));
  let pictures = [];
  const at = slider({ label: t("explore.way"), min: 0, max: 100, value: Number(readState().way) || 50, format: (value) => `${value} %`, oninput: (value) => { writeState({ way: value }); place(); } });
  const shown = h("div", { class: "card", hidden: true }, picture, at.element, strip);
  const place = () => {
    if (pictures.length) picture.src = pictures[Math.round(at.value / 100 * (pictures.length - 1))].url;
  };
  const run = latest(async () => {
    if (!first.value || !second.value || !modelName()) return;
    try {
      pictures = (await work.run("walk", { model: modelName(), first: first.value, second: second.value, frames: 25 })).pictures;
    } catch (fault) { work.fail(fault); return; }
    empty.hidden = true;
    shown.hidden = false;
    const every = pictures.filter((_, index) => index % 6 === 0);
    strip.replaceChildren(...every.map((one) => h("figure", { class: "tile" }, h("img", { src: one.url, alt: "" }))));
    place();
  });
  const first = imageChoice(about, { key: "first", label: t("explore.first"), onimage: run, onerror: work.fail });
  const second = imageChoice(about, { key: "second", label: t("explore.second"), onimage: run, onerror: work.fail });
  return { rail: [first.element, second.element], show: [empty, shown], start: run };
}

/** New images from the prior. */
function newParts(about, work, asked, chosen) {
  const state = readState();
  const tiles = h("div", { class: "grid" });
  const facts = h("div", {});
  const kind = h("select", {});
  const kindField = field(t("explore.class"), kind);
  let seed = Number(state.seed) || 0;
  const run = latest(async () => {
    const { model, folder } = asked();
    if (!model) return;
    writeState({ temperature: heat.value === 1 ? null : heat.value, guidance: guide.value === 1 ? null : guide.value, class: kind.value, seed: seed || null });
    const values = { model, folder, temperature: heat.value, guidance: chosen()?.guided ? guide.value : 1, seed, count: 24, ...(kind.value ? { label: kind.value } : {}) };
    try {
      const found = await work.run("draw", values);
      tiles.replaceChildren(...found.pictures.map((one, index) => h("figure", { class: "tile" }, h("img", { src: one.url, alt: t("explore.new-image", { n: index + 1 }) }))));
      facts.replaceChildren(stats([[t("explore.prior"), found.prior, "prior"]]));
    } catch (fault) { work.fail(fault); }
  });
  const heat = slider({ label: t("explore.temperature"), min: 0, max: 2, step: 0.05, value: Number(state.temperature) || 1, format: (value) => number(value, 2), oninput: () => run() });
  const guide = slider({ label: t("explore.guidance"), min: 0, max: 4, step: 0.1, value: Number(state.guidance) || 1, format: (value) => number(value, 1), oninput: () => run() });
  const again = h("button", { type: "button", class: "main", onclick: () => { seed += 1; run(); } }, t("explore.again"));
  kind.addEventListener("change", run);
  return {
    rail: [h("div", { class: "card" }, heat.element, guide.element, kindField, h("div", { class: "row" }, again))],
    show: [tiles, facts],
    start() {
      const classes = chosen()?.classes ?? [];
      kindField.hidden = classes.length === 0;
      guide.element.hidden = !chosen()?.guided;
      kind.replaceChildren(h("option", { value: "" }, t("explore.any-class")), ...classes.map((one) => h("option", { value: one }, one)));
      const wanted = readState().class;
      if (classes.includes(wanted)) kind.value = wanted;
      run();
    },
  };
}
