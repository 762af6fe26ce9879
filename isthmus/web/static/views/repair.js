// Repair: take out noise of a level, or fill what a brush has painted over.

import { h, latest, number, readState, t, upload, writeState } from "/static/kit.js";
import { compareBox } from "/static/compare.js";
import { emptyBox, imageAddress, imageChoice, segments, slider, viewFrame, workBox } from "/static/parts.js";

export function open(about) {
  const state = readState();
  const work = workBox();
  const box = compareBox({ label: t("repair.title") });
  const save = h("a", { class: "button main", hidden: true }, t("repair.save"));
  let mode = state.mode === "fill" ? "fill" : "noise";
  let name = "";

  // noise
  let estimate = null;
  let automatic = state.sigma === undefined;
  const estimated = h("p", { class: "soft small" });
  const showResult = (found) => {
    empty.hidden = true;
    result.hidden = save.hidden = false;
    box.show(found.before, found.after, [t("look.before"), t("look.after")]);
    save.href = `${found.after.url}?save=true`;
  };
  const clean = latest(async () => {
    if (!images.value || mode !== "noise") return;
    writeState({ sigma: automatic ? null : sigma.value, strength: strength.value === 100 ? null : strength.value });
    try {
      showResult(await work.run("denoise", {
        image: images.value, name, strength: strength.value / 100, ...(automatic ? {} : { sigma: sigma.value }),
      }));
    } catch (fault) { work.fail(fault); }
  });
  const sigma = slider({
    label: t("repair.sigma"), min: 0, max: 100, value: Number(state.sigma) || 0,
    oninput: () => { automatic = false; reset.disabled = estimate === null; clean(); },
  });
  const reset = h("button", { type: "button", disabled: true, onclick: () => { automatic = true; sigma.set(Math.round(estimate ?? 0)); reset.disabled = true; clean(); } }, t("repair.use-estimate"));
  const strength = slider({ label: t("repair.strength"), min: 0, max: 100, value: Number(state.strength) || 100, format: (value) => `${value} %`, oninput: () => clean() });
  const noiseCard = h("div", { class: "card" }, sigma.element, estimated, h("div", { class: "row" }, reset), strength.element);

  // holes
  const brush = brushBox();
  const fillNow = h("button", { type: "button", class: "main", onclick: () => fill() }, t("repair.fill"));
  const size = slider({ label: t("repair.brush"), min: 2, max: 120, value: 18, format: (value) => `${value} px`, oninput: (value) => brush.setSize(value) });
  const fillCard = h("div", { class: "card" }, size.element, h("p", { class: "soft small" }, t("repair.brush-about")),
    h("div", { class: "row" }, fillNow,
      h("button", { type: "button", onclick: () => brush.undo() }, t("repair.undo")),
      h("button", { type: "button", onclick: () => brush.clear() }, t("repair.clear"))));
  const fill = async () => {
    if (!images.value) return;
    fillNow.disabled = true;
    try {
      const mask = await upload(await brush.mask(), about);
      showResult(await work.run("fill", { image: images.value, mask, name }));
    } catch (fault) { work.fail(fault); } finally { fillNow.disabled = false; }
  };

  const take = latest(async (reference, given) => {
    name = given;
    estimate = null;
    sigma.mark(null);
    estimated.textContent = "";
    result.hidden = true;
    if (mode === "fill") {
      empty.hidden = true;
      painting.hidden = false;
      await brush.load(imageAddress(reference)).catch(() => work.fail(new Error(t("repair.unreadable"))));
      return;
    }
    try {
      const found = await work.run("noise", { image: reference });
      estimate = found.sigma;
    } catch (fault) { work.fail(fault); return; }
    estimated.textContent = estimate === null ? t("repair.no-estimate") : t("repair.estimate", { sigma: number(estimate) });
    sigma.mark(estimate, t("repair.estimated"));
    if (estimate === null) automatic = false;
    if (automatic) sigma.set(Math.round(estimate));
    reset.disabled = automatic || estimate === null;
    clean();
  });
  const images = imageChoice(about, { onimage: (reference, given) => take(reference, given), onerror: work.fail });
  const empty = emptyBox(t("repair.empty"));
  const result = h("div", { class: "card", hidden: true }, box.element, h("div", { class: "row" }, save));
  const painting = h("div", { class: "card", hidden: true }, h("h2", {}, t("repair.paint")), brush.element);
  const switchTo = (value) => {
    mode = value;
    writeState({ mode: value === "noise" ? null : value });
    noiseCard.hidden = value !== "noise";
    fillCard.hidden = value !== "fill";
    painting.hidden = value !== "fill" || !images.value;
    result.hidden = true;
    if (images.value) take(images.value, name);
  };
  const modes = segments(t("repair.kind"), [["noise", t("repair.noise")], ["fill", t("repair.holes")]], mode, switchTo);
  noiseCard.hidden = mode !== "noise";
  fillCard.hidden = mode !== "fill";
  return { element: viewFrame("repair", [h("div", {}, modes.element), images.element, noiseCard, fillCard], [work.element, empty, painting, result]) };
}

/** A picture to paint a mask on, with pointer or keyboard. */
function brushBox() {
  const canvas = h("canvas", { tabindex: "0", role: "application", "aria-label": t("repair.canvas") });
  const image = h("img", { alt: "", draggable: "false" });
  const cursor = h("canvas", { "aria-hidden": "true" });
  cursor.style.pointerEvents = "none";
  const sheet = h("div", { class: "sheet brush" }, image, canvas, cursor);
  const frame = h("div", { class: "frame" }, sheet);
  const pen = canvas.getContext("2d");
  let width = 18;
  let strokes = [];
  let spot = [0, 0];

  const draw = () => {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.strokeStyle = pen.fillStyle = "#ff3b7f";
    pen.lineCap = pen.lineJoin = "round";
    for (const stroke of strokes) {
      pen.lineWidth = stroke.width;
      pen.beginPath();
      stroke.points.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      if (stroke.points.length === 1) pen.lineTo(stroke.points[0][0] + 0.01, stroke.points[0][1]);
      pen.stroke();
    }
    canvas.style.opacity = "0.72";
  };
  const point = (event) => {
    const box = sheet.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * canvas.width, (event.clientY - box.top) / box.height * canvas.height];
  };
  const showCursor = (on) => {
    const edge = cursor.getContext("2d");
    edge.clearRect(0, 0, cursor.width, cursor.height);
    if (!on) return;
    edge.strokeStyle = "#fff";
    edge.lineWidth = Math.max(1, canvas.width / 300);
    edge.beginPath();
    edge.arc(spot[0], spot[1], width / 2, 0, 7);
    edge.stroke();
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    strokes.push({ width, points: [point(event)] });
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    spot = point(event);
    showCursor(true);
    if (!(event.buttons & 1) || !strokes.length) return;
    strokes.at(-1).points.push(spot);
    draw();
  });
  canvas.addEventListener("pointerleave", () => showCursor(false));
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!move && event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (move) {
      const step = Math.max(1, width / 3);
      spot = [Math.min(canvas.width, Math.max(0, spot[0] + move[0] * step)), Math.min(canvas.height, Math.max(0, spot[1] + move[1] * step))];
    } else strokes.push({ width, points: [spot] });
    draw();
    showCursor(true);
  });
  const resize = () => {
    if (!image.naturalWidth) return;
    const room = frame.clientWidth || 600;
    const factor = Math.min(room / image.naturalWidth, Math.max(1, 560 / image.naturalHeight), 8);
    sheet.style.width = `${image.naturalWidth * factor}px`;
    sheet.style.height = `${image.naturalHeight * factor}px`;
  };
  new ResizeObserver(resize).observe(frame);
  return {
    element: frame,
    setSize(value) { width = value; showCursor(document.activeElement === canvas); },
    undo() { strokes.pop(); draw(); },
    clear() { strokes = []; draw(); },
    async load(address) {
      image.src = address;
      await image.decode();
      canvas.width = cursor.width = image.naturalWidth;
      canvas.height = cursor.height = image.naturalHeight;
      strokes = [];
      spot = [canvas.width / 2, canvas.height / 2];
      resize();
      draw();
    },
    async mask() {
      const plane = new OffscreenCanvas(canvas.width, canvas.height);
      const ink = plane.getContext("2d");
      ink.fillStyle = "#000";
      ink.fillRect(0, 0, plane.width, plane.height);
      ink.globalCompositeOperation = "source-over";
      draw();
      const paint = new OffscreenCanvas(canvas.width, canvas.height);
      const white = paint.getContext("2d");
      white.drawImage(canvas, 0, 0);
      white.globalCompositeOperation = "source-in";
      white.fillStyle = "#fff";
      white.fillRect(0, 0, paint.width, paint.height);
      ink.drawImage(paint, 0, 0);
      const blob = await plane.convertToBlob({ type: "image/png" });
      return new File([blob], "mask.png");
    },
  };
}
