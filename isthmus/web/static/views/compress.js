// Compress: a quality slider with live bytes, and other coders at as many bytes.

import { bytesText, h, latest, number, readState, t, upload, writeState } from "/static/kit.js";
import { compareBox } from "/static/compare.js";
import { emptyBox, imageChoice, modelChoice, segments, slider, stats, viewFrame, workBox } from "/static/parts.js";

const CODERS = [["none", "–"], ["jpeg", "JPEG"], ["webp", "WebP"], ["avif", "AVIF"]];

export function open(about) {
  const state = readState();
  const work = workBox();
  const facts = h("div", {});
  const save = h("a", { class: "button main", hidden: true }, t("compress.save"));
  const savePng = h("a", { class: "button", hidden: true }, t("compress.save-png"));
  let coder = CODERS.some(([name]) => name === state.coder) ? state.coder : "jpeg";
  let shown = state.show === "error" ? "error" : "after";
  let own = null;
  let other = null;
  let name = "";

  const place = () => {
    if (!own) return;
    const left = [own[shown], `Isthmus · ${bytesText(own.bytes)}`];
    const right = other ? [other[shown], `${other.coder.toUpperCase()} · ${bytesText(other.bytes)}`] : [own.before, t("compress.original")];
    box.show(left[0], right[0], [left[1], right[1]]);
  };
  const tell = () => {
    const decibels = (one) => (one.psnr === null ? "∞" : `${number(one.psnr)} dB`);
    facts.replaceChildren(stats([
      [t("compress.bytes"), bytesText(own.bytes), "bytes"],
      [t("compress.bpp"), number(own.bpp, 2), "bpp"],
      [t("compress.psnr-own"), decibels(own), "psnr"],
      ...(other ? [[t("compress.psnr-other", { coder: other.coder.toUpperCase(), bytes: bytesText(other.bytes) }), decibels(other), "psnr-other"]] : []),
    ]));
  };
  const compare = latest(async () => {
    if (coder === "none") { other = null; } else {
      try {
        other = await work.run("compare-coders", { image: images.value, coder, bytes: own.bytes });
      } catch (fault) { work.fail(fault); return; }
    }
    place();
    tell();
  });
  const update = latest(async () => {
    if (!images.value || !model.value) return;
    writeState({ quality: quality.value });
    try {
      own = await work.run("compress", { model: model.value, image: images.value, quality: quality.value, name });
    } catch (fault) { work.fail(fault); return; }
    empty.hidden = true;
    picture.hidden = save.hidden = false;
    savePng.hidden = true;
    save.href = `${own.file}?save=true`;
    place();
    tell();
    compare();
  });
  const quality = slider({ label: t("compress.quality"), min: 1, max: 100, value: Number(state.quality) || 50, oninput: () => update() });
  const model = modelChoice(about, (one) => one.bottleneck === "entropy", update);
  const images = imageChoice(about, { onimage: (_, given) => { name = given; update(); }, onerror: work.fail });
  const coders = segments(t("compress.against"), CODERS.map(([key, text]) => [key, key === "none" ? t("compress.original") : text]), coder,
    (value) => { coder = value; writeState({ coder: value }); if (own) compare(); });
  const modes = segments(t("look.show"), [["after", t("compress.picture")], ["error", t("compress.error")]], shown,
    (value) => { shown = value; writeState({ show: value === "after" ? null : value }); place(); });
  const box = compareBox({ label: t("compress.title"), controls: [coders.element, modes.element] });
  const picture = h("div", { class: "card", hidden: true }, box.element);
  const empty = emptyBox(t("compress.empty"));

  const input = h("input", { type: "file", accept: ".isth", "aria-label": t("compress.open") });
  const openFile = async (file) => {
    if (!file) return;
    try {
      const key = await upload(file, about);
      const found = await work.run("open-compressed", { file: key, model: model.value });
      empty.hidden = true;
      picture.hidden = false;
      own = other = null;
      save.hidden = true;
      savePng.hidden = false;
      savePng.href = `${found.picture.url}?save=true`;
      box.show(found.picture, found.picture, [file.name, file.name]);
      facts.replaceChildren(stats([
        [t("compress.bytes"), bytesText(found.bytes), "bytes"],
        [t("compress.size"), `${found.picture.width} × ${found.picture.height}`, "size"],
      ]));
    } catch (fault) { work.fail(fault); }
  };
  input.addEventListener("change", () => { openFile(input.files[0]); input.value = ""; });
  const zone = h("label", { class: "drop" }, h("strong", {}, t("compress.open")), " ", t("compress.or-drop"), input);
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => { event.preventDefault(); zone.classList.remove("over"); openFile(event.dataTransfer.files[0]); });

  return {
    element: viewFrame("compress", [
      images.element,
      h("div", { class: "card" }, quality.element, model.element, h("div", { class: "row" }, save, savePng)),
      h("div", { class: "card" }, zone),
    ], [work.element, empty, facts, picture]),
  };
}
