// Before and after: two pictures of one size, an edge to drag between them, zoom to single pixels.

import { h, t } from "/static/kit.js";
import { segments, slider } from "/static/parts.js";

const ZOOMS = ["fit", "1", "2", "4", "8"];

/** `show(left, right, labels)` with pictures {url, width, height}; `controls` stand beside the zoom. */
export function compareBox({ label, controls = [] }) {
  const left = h("img", { alt: "", draggable: "false" });
  const right = h("img", { alt: "", draggable: "false" });
  const edge = h("div", { class: "edge" });
  const tags = [h("span", { class: "tag left" }), h("span", { class: "tag right" })];
  const sheet = h("div", { class: "sheet" }, right, left, edge);
  const frame = h("div", { class: "frame", tabindex: "0", role: "group", "aria-label": label }, sheet);
  let size = [1, 1];
  let zoom = "fit";
  let share = 0.5;

  const place = () => {
    left.style.clipPath = `inset(0 ${(1 - share) * 100}% 0 0)`;
    edge.style.left = `${share * 100}%`;
  };
  const resize = () => {
    const room = frame.clientWidth || 600;
    const tall = Math.max(260, Math.min(innerHeight * 0.62, 640));
    const fit = Math.min(room / size[0], tall / size[1]);
    // Pixels stay squares: small images are enlarged by whole factors.
    const factor = zoom === "fit" ? (fit >= 1 ? Math.max(1, Math.floor(fit)) : fit) : Number(zoom) / (zoom === "1" ? devicePixelRatio : 1);
    sheet.style.width = `${size[0] * factor}px`;
    sheet.style.height = `${size[1] * factor}px`;
    sheet.classList.toggle("crisp", factor >= 1);
  };
  const edgeSlider = slider({
    label: t("compare.edge"), min: 0, max: 100, value: 50, format: (value) => `${value} %`,
    oninput: (value) => { share = value / 100; place(); },
  });
  const follow = (event) => {
    const box = sheet.getBoundingClientRect();
    share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    edgeSlider.set(Math.round(share * 100));
    place();
  };
  sheet.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    sheet.setPointerCapture(event.pointerId);
    follow(event);
  });
  sheet.addEventListener("pointermove", (event) => { if (event.buttons & 1) follow(event); });
  const zooms = segments(t("compare.zoom"), ZOOMS.map((one) => [one, one === "fit" ? t("compare.fit") : one === "1" ? "1:1" : `${one}×`]), zoom,
    (value) => { zoom = value; resize(); });
  new ResizeObserver(resize).observe(frame);
  const holder = h("div", { class: "compare" }, h("div", { class: "row spread" }, ...controls, zooms.element), h("div", { class: "compare" }, frame, ...tags), edgeSlider.element);
  place();
  return {
    element: holder,
    show(before, after, labels) {
      size = [before.width, before.height];
      left.src = before.url;
      right.src = after.url;
      left.alt = labels[0];
      right.alt = labels[1];
      tags.forEach((tag, index) => { tag.textContent = labels[index]; });
      resize();
    },
    get share() { return share; },
    set(next) { share = next; edgeSlider.set(next * 100); place(); },
  };
}
