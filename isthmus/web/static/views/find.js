// Find: the nearest images, near duplicates, unusual images.

import { h, latest, number, readState, saveText, t, writeState } from "/static/kit.js";
import { emptyBox, folderChoice, imageAddress, imageChoice, modelChoice, segments, slider, stats, viewFrame, workBox } from "/static/parts.js";

const MODES = ["nearest", "duplicates", "unusual"];
const MAX_TILES = 60;

export function open(about) {
  const work = workBox();
  let mode = MODES.includes(readState().mode) ? readState().mode : "nearest";
  const model = modelChoice(about, (one) => (one.channels === 1 || one.channels === 3) && one.corruption === "none" && one.bottleneck !== "entropy", () => parts[mode].start());
  const folder = folderChoice("folder", t("find.folder"), () => parts[mode].start());
  const asked = () => ({ model: model.value, folder: folder.value });
  const parts = { nearest: nearestParts(about, work, asked), duplicates: duplicateParts(work, asked), unusual: unusualParts(work, asked) };
  const rail = h("div", { class: "rail" });
  const show = h("div", { class: "show" });
  const restart = () => {
    work.clear();
    model.element.hidden = mode === "duplicates";
    rail.replaceChildren(...parts[mode].rail);
    show.replaceChildren(...(about.data ? parts[mode].show : [emptyBox(t("find.no-data"))]));
    parts[mode].start();
  };
  const modes = segments(t("find.kind"), MODES.map((one) => [one, t(`find.${one}`)]), mode,
    (value) => { mode = value; writeState({ mode: value === "nearest" ? null : value }); restart(); });
  queueMicrotask(restart);
  return { element: viewFrame("find", [h("div", {}, modes.element), h("div", { class: "card" }, folder.element, model.element), rail], [work.element, show]) };
}

const tileOf = (reference, strong, text, more = {}) => h("figure", { class: "tile", ...more },
  h("img", { src: imageAddress(reference, true), alt: reference.slice(5), loading: "lazy" }),
  h("figcaption", {}, h("strong", {}, strong), text));

function nearestParts(about, work, asked) {
  const tiles = h("div", { class: "grid", "data-list": "nearest" });
  const query = h("div", {});
  const empty = emptyBox(t("find.nearest-empty"));
  const indexed = h("p", { class: "soft small", role: "status" });
  const run = latest(async () => {
    if (!images.value || !asked().model) return;
    let found;
    try {
      found = await work.run("nearest", { ...asked(), image: images.value, count: 24 });
    } catch (fault) { work.fail(fault); return; }
    empty.hidden = true;
    indexed.textContent = t("find.indexed", { n: found.images, added: found.added });
    query.replaceChildren(h("div", { class: "row" }, h("figure", { class: "tile" }, h("img", { src: imageAddress(images.value, true), alt: t("find.query") }), h("figcaption", {}, t("find.query")))));
    tiles.replaceChildren(...found.matches.map((one) => tileOf(one.image, number(one.value, 3), one.name)));
  });
  const makeIndex = h("button", {
    type: "button", onclick: async () => {
      try {
        const found = await work.run("index", asked());
        indexed.textContent = t("find.indexed", { n: found.images, added: found.added });
      } catch (fault) { work.fail(fault); }
    },
  }, t("find.index"));
  const images = imageChoice(about, { onimage: run, onerror: work.fail });
  return { rail: [images.element, h("div", { class: "card" }, h("div", { class: "row" }, makeIndex), indexed)], show: [empty, query, tiles], start: run };
}

function duplicateParts(work, asked) {
  const list = h("div", { class: "show" });
  const facts = h("div", {});
  const empty = emptyBox(t("find.duplicates-empty"));
  const dropped = new Set();
  let found = null;
  const tell = () => facts.replaceChildren(stats([
    [t("find.images"), String(found.images), "images"], [t("find.pairs"), String(found.count), "pairs"],
    [t("find.dropped"), String(dropped.size), "dropped"],
  ]));
  const draw = () => {
    list.replaceChildren(...found.pairs.map((pair) => {
      const tiles = [];
      const side = (reference) => {
        const name = reference.slice(5);
        const box = h("input", { type: "checkbox" });
        box.checked = !dropped.has(reference);
        box.addEventListener("change", () => { if (box.checked) dropped.delete(reference); else dropped.add(reference); draw(); });
        const tile = h("figure", { class: `tile${dropped.has(reference) ? " drop-it" : ""}` }, h("img", { src: imageAddress(reference, true), alt: name }),
          h("figcaption", {}, h("label", {}, box, ` ${t("find.keep")} · `, name)));
        tiles.push(tile);
        return tile;
      };
      const kind = pair.exact ? t("find.exact") : pair.mirrored ? t("find.mirrored") : t("find.near", { error: number(pair.error, 3) });
      return h("div", { class: "card" }, h("h2", { class: "small" }, kind), h("div", { class: "pair" }, side(pair.first), side(pair.second)));
    }));
    tell();
  };
  const run = async () => {
    start.disabled = true;
    try {
      found = await work.run("duplicates", { folder: asked().folder });
      dropped.clear();
      for (const pair of found.pairs) if (!dropped.has(pair.first)) dropped.add(pair.second);
      empty.hidden = true;
      lists.hidden = found.pairs.length === 0;
      if (found.pairs.length) draw(); else { list.replaceChildren(emptyBox(t("find.none"))); tell(); }
    } catch (fault) { work.fail(fault); } finally { start.disabled = false; }
  };
  const start = h("button", { type: "button", class: "main", onclick: run }, t("find.search"));
  const lines = (keep) => found.names.filter((one) => dropped.has(one) !== keep).map((one) => `${one.slice(5)}\n`).join("");
  const lists = h("div", { class: "row", hidden: true },
    h("button", { type: "button", onclick: () => saveText("keep.txt", lines(true)) }, t("find.keep-list")),
    h("button", { type: "button", onclick: () => saveText("drop.txt", lines(false)) }, t("find.drop-list")));
  return {
    rail: [h("div", { class: "card" }, h("p", { class: "soft small" }, t("find.duplicates-about")), h("div", { class: "row" }, start), lists)],
    show: [empty, facts, list],
    start() {},
  };
}

function unusualParts(work, asked) {
  const tiles = h("div", { class: "grid", "data-list": "unusual" });
  const facts = h("div", {});
  const empty = emptyBox(t("find.unusual-empty"));
  const large = h("div", { class: "card", hidden: true });
  let found = null;
  const normal = folderChoice("normal", t("find.normal"), () => {}, { none: t("find.normal-training") });
  const values = () => ({ ...asked(), ...(normal.value === "-" ? {} : { normal: normal.value }) });
  const draw = () => {
    const limit = threshold.value;
    const flagged = found.scores.filter((one) => one.score > limit);
    // The share of normal images that score above the threshold: that of the next image below it.
    const below = found.scores.find((one) => one.score <= limit);
    // At the library's own threshold it is the share that was asked for.
    const own = found.threshold !== null && limit >= found.threshold - Number(threshold.input.step) ? found.false_alarms : 1;
    const alarms = Math.min(own, below ? below.chance : Math.min(...found.scores.map((one) => one.chance)));
    facts.replaceChildren(stats([
      [t("find.flagged"), t("find.of", { n: flagged.length, all: found.images }), "flagged"],
      [t("find.false-alarms"), `≤ ${number(100 * alarms, 1)} %`, "alarms"],
      [t("find.normal-images"), String(found.normal_images), "normal"],
    ]));
    tiles.replaceChildren(...found.scores.slice(0, MAX_TILES).map((one) => h("button", {
      type: "button", class: `tile${one.score > limit ? " flagged" : ""}`, onclick: () => heat(one),
    }, h("img", { src: imageAddress(one.image, true), alt: one.name, loading: "lazy" }), h("figcaption", {}, h("strong", {}, number(one.score, 2)), one.name))));
  };
  const threshold = slider({ label: t("find.threshold"), min: 0, max: 1, step: 0.001, value: 0, format: (value) => number(value, 2), oninput: () => { writeState({ threshold: threshold.value }); draw(); } });
  const save = h("button", { type: "button", onclick: () => saveText("unusual.txt", found.scores.filter((one) => one.score > threshold.value).map((one) => `${one.name}\n`).join("")) }, t("find.save-flagged"));
  const thresholdCard = h("div", { class: "card", hidden: true }, threshold.element, h("div", { class: "row" }, save));
  const heat = latest(async (one) => {
    try {
      const drawn = await work.run("heat", { ...values(), row: one.row });
      large.hidden = false;
      large.replaceChildren(h("h2", {}, one.name), h("div", { class: "pair" },
        h("img", { class: "big", src: imageAddress(one.image), alt: t("look.before") }),
        h("img", { class: "big", src: drawn.heat.url, alt: t("find.heat"), "data-picture": "heat" })), h("p", { class: "soft small" }, t("find.heat-about")));
    } catch (fault) { work.fail(fault); }
  });
  const run = async () => {
    start.disabled = true;
    try {
      found = await work.run("unusual", values());
    } catch (fault) { work.fail(fault); return; } finally { start.disabled = false; }
    empty.hidden = large.hidden = true;
    thresholdCard.hidden = false;
    const [high, low] = [Math.max(found.scores[0].score, found.threshold ?? -Infinity), Math.min(found.scores.at(-1).score, found.threshold ?? Infinity)];
    threshold.input.min = low - (high - low) * 0.01;
    threshold.input.max = high + (high - low) * 0.01;
    threshold.input.step = (high - low) / 500 || 0.001;
    const wanted = Number(readState().threshold);
    threshold.set(readState().threshold !== undefined && Number.isFinite(wanted) ? wanted : found.threshold ?? high);
    draw();
    if (found.scores.length) heat(found.scores[0]);
  };
  const start = h("button", { type: "button", class: "main", onclick: run }, t("find.search"));
  return {
    rail: [h("div", { class: "card" }, normal.element, h("div", { class: "row" }, start)), thresholdCard],
    show: [empty, facts, large, tiles],
    start() {},
  };
}
