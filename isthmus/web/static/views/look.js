// Look: an image before and after a model.

import { h, latest, number, readState, t, writeState } from "/static/kit.js";
import { compareBox } from "/static/compare.js";
import { emptyBox, imageChoice, modelChoice, segments, stats, viewFrame, workBox } from "/static/parts.js";

export function open(about) {
  const work = workBox();
  const facts = h("div", {});
  const bars = h("canvas", { class: "bars", role: "img" });
  const codeCard = h("div", { class: "card" }, h("h2", {}, t("look.code")), bars, h("p", { class: "soft small" }, t("look.code-about")));
  const note = h("p", { class: "soft small" });
  let seen = null;
  let mode = readState().show === "difference" ? "difference" : "after";

  const place = () => {
    if (!seen) return;
    const difference = mode === "difference" && seen.difference;
    box.show(seen.before, difference ? seen.difference : seen.after,
      [t("look.before"), difference ? t("look.difference") : t("look.after")]);
  };
  const modes = segments(t("look.show"), [["after", t("look.after")], ["difference", t("look.difference")]], mode,
    (value) => { mode = value; writeState({ show: value === "after" ? null : value }); place(); });
  const box = compareBox({ label: t("look.title"), controls: [modes.element] });
  const picture = h("div", { class: "card", hidden: true }, box.element, note);
  const empty = emptyBox(t("look.empty"));

  const update = latest(async () => {
    if (!images.value || !model.value) return;
    try {
      seen = await work.run("look", { model: model.value, image: images.value });
    } catch (fault) { work.fail(fault); return; }
    empty.hidden = true;
    picture.hidden = codeCard.hidden = false;
    place();
    note.textContent = seen.resized ? t("look.resized", { size: `${seen.before.width}×${seen.before.height}` }) : "";
    facts.replaceChildren(stats([
      ["PSNR", seen.psnr === null ? "∞" : `${number(seen.psnr)} dB`, "psnr"],
      ["SSIM", seen.ssim === null ? "–" : number(seen.ssim, 3), "ssim"],
      [t("look.code-shape"), seen.code_shape.join(" × "), "code"],
    ]));
    drawBars(bars, seen.code);
    bars.setAttribute("aria-label", t("look.code-bars", { n: seen.code.length }));
  });
  const model = modelChoice(about, (one) => one.channels === 1 || one.channels === 3, update);
  const images = imageChoice(about, { onimage: update, onerror: work.fail });
  codeCard.hidden = true;
  const redraw = () => seen && drawBars(bars, seen.code);
  const paste = (event) => images.element.paste(event);
  addEventListener("resize", redraw);
  addEventListener("paste", paste);
  return {
    element: viewFrame("look", [h("div", { class: "card" }, model.element), images.element], [work.element, empty, picture, facts, codeCard]),
    close: () => { removeEventListener("resize", redraw); removeEventListener("paste", paste); },
  };
}

/** Bars up for positive and down for negative numbers, in the colours of the page. */
function drawBars(canvas, code) {
  const scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  const most = Math.max(...code.map(Math.abs), 1e-9);
  const signed = code.some((one) => one < 0);
  const zero = signed ? height / 2 : height - 1;
  const room = signed ? height / 2 - 2 : height - 4;
  const step = width / code.length;
  pen.fillStyle = style.getPropertyValue("--line");
  pen.fillRect(0, zero, width, 1);
  code.forEach((value, index) => {
    const tall = Math.abs(value) / most * room;
    pen.fillStyle = style.getPropertyValue(value < 0 ? "--warm" : "--accent");
    pen.fillRect(index * step, value < 0 ? zero : zero - tall, Math.max(1, step - (step > 4 ? 2 : 0)), tall);
  });
}
