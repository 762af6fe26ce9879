// Train: one training at a time, with live curves and pictures. It goes on when the page is closed.

import { duration, get, h, has, number, PageError, post, readState, t, toast, writeState } from "/static/kit.js";
import { emptyBox, errorBox, field, folderChoice, slider, stats, viewFrame, workBox } from "/static/parts.js";

const MINUTES = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 240, 480, 720, 1440];

export function open(about) {
  const state = readState();
  const work = workBox();
  const folder = folderChoice("folder", t("train.folder"));
  const recipe = h("select", {});
  const recipeAbout = h("span", { class: "hint small" });
  const name = h("input", { type: "text", maxlength: "80", placeholder: t("train.name-default"), value: state.name ?? "" });
  let isChosen = MINUTES.includes(Number(state.minutes)); // else the training takes as long as usual for its recipe
  const minutes = slider({
    label: t("train.minutes"), min: 0, max: MINUTES.length - 1, value: Math.max(0, MINUTES.indexOf(Number(state.minutes))),
    format: (index) => lengthText(MINUTES[index]),
    oninput: (index) => { isChosen = true; writeState({ minutes: MINUTES[index] }); },
  });
  const title = h("h2", { role: "status", "aria-live": "polite" });
  const facts = h("div", {});
  const plot = h("div", {});
  const picture = h("img", { class: "wide", alt: t("train.pictures"), "data-picture": "training" });
  const pictureCard = h("div", { class: "card", hidden: true }, h("h2", {}, t("train.pictures")), picture, h("p", { class: "soft small" }, t("train.pictures-about")));
  const findings = h("div", { class: "card", hidden: true });
  const failed = h("div", { role: "alert" });
  const bar = h("progress", { max: 1, "aria-label": t("train.share") });
  const button = (verb, main) => h("button", { type: "button", class: main ? "main" : null, "data-verb": verb, onclick: () => ask(verb) }, t(`train.${verb}`));
  const buttons = { pause: button("pause"), resume: button("resume", true), finish: button("finish"), discard: button("discard") };
  const look = h("a", { class: "button main", hidden: true }, t("train.look"));
  const running = h("div", { class: "card", hidden: true }, h("div", { class: "row spread" }, title, h("div", { class: "row" }, ...Object.values(buttons), look)), bar, facts);
  const curve = h("div", { class: "card", hidden: true }, h("div", { class: "row spread" }, h("h2", {}, t("train.curve")), h("div", { class: "row" }, h("span", { class: "key" }, t("train.loss")), h("span", { class: "key held" }, t("train.validation")))), plot);
  const empty = emptyBox(about.data ? t("train.empty") : t("find.no-data"));
  let recipes = [];
  let timer = null;
  let was = null;

  const ask = async (verb) => {
    for (const one of Object.values(buttons)) one.disabled = true;
    start.disabled = true;
    work.clear();
    try {
      draw(await post(`/api/training/${verb}`, verb === "start" ? {
        folder: folder.value, recipe: recipe.value, minutes: isChosen ? MINUTES[minutes.value] : null, name: name.value.trim(),
      } : {}));
    } catch (fault) { work.fail(fault); await poll(); } finally {
      for (const one of Object.values(buttons)) one.disabled = false;
      start.disabled = false;
    }
  };
  const start = h("button", { type: "button", class: "main", disabled: !about.data, onclick: () => ask("start") }, t("train.start"));
  recipe.addEventListener("change", () => { writeState({ recipe: recipe.value }); describe(); });
  const describe = () => {
    const own = `recipe.${recipe.value}`;
    const chosen = recipes.find((one) => one.name === recipe.value);
    recipeAbout.textContent = t(own) === own ? chosen?.summary ?? "" : t(own);
    if (isChosen || !chosen) return;
    const usual = chosen.usual_minutes === null ? t("train.n-passes", { n: chosen.epochs }) : lengthText(chosen.usual_minutes);
    minutes.set(Math.max(0, MINUTES.findIndex((one) => one >= chosen.usual_minutes)), t("train.usual-length", { length: usual }));
  };

  const draw = (now) => {
    if (!recipes.length) {
      recipes = now.recipes;
      recipe.replaceChildren(...recipes.map((one) => h("option", { value: one.name }, one.name)));
      recipe.value = recipes.some((one) => one.name === state.recipe) ? state.recipe : "conv";
      describe();
    }
    const active = now.state !== "none";
    empty.hidden = active;
    running.hidden = curve.hidden = !active;
    start.hidden = ["running", "pausing", "paused"].includes(now.state);
    if (!active) { pictureCard.hidden = findings.hidden = true; return; }
    if (was === "running" && now.state === "done") toast(t("train.finished"));
    was = now.state;
    title.textContent = t(`train.state-${now.state}`, { name: now.name });
    buttons.pause.hidden = now.state !== "running";
    buttons.finish.hidden = !["running", "paused"].includes(now.state);
    buttons.resume.hidden = now.state !== "paused";
    buttons.discard.hidden = !["paused", "failed"].includes(now.state);
    look.hidden = now.state !== "done";
    look.href = `/look?model=${encodeURIComponent(now.name)}`;
    const last = now.steps.at(-1);
    const share = now.state === "done" ? 1 : last?.share ?? 0;
    if (last || now.state === "done") bar.value = share; else bar.removeAttribute("value");
    const validation = now.validations.filter((one) => one.validation !== null).at(-1);
    facts.replaceChildren(stats([
      [t("train.steps"), last ? String(last.step) : "–", "steps"],
      [t("train.pace"), now.images_per_second ? number(now.images_per_second, 0) : "–", "pace"],
      [t("train.left"), now.state === "running" && now.seconds_left !== null ? duration(now.seconds_left) : now.state === "running" && now.stage ? stage(now.stage) : "–", "left"],
      [t("train.loss"), last?.loss != null ? last.loss.toPrecision(3) : "–", "loss"],
      [t("train.validation"), validation ? validation.validation.toPrecision(3) : "–", "validation"],
    ]));
    plot.replaceChildren(drawCurve(now.steps.filter((one) => one.loss != null), now.validations.filter((one) => one.validation != null)));
    pictureCard.hidden = !now.picture;
    if (now.picture && !picture.src.endsWith(now.picture)) picture.src = now.picture;
    findings.hidden = !now.findings.length;
    findings.replaceChildren(h("h2", {}, t("train.findings")), ...now.findings.map(describeFinding));
    failed.replaceChildren(...(now.error ? [errorBox(new PageError(now.error, 0))] : []));
  };
  const stage = (label) => (t(`task.${label}`) === `task.${label}` ? label : t(`task.${label}`));
  const poll = async () => {
    clearTimeout(timer);
    try {
      const now = await get("/api/training");
      draw(now);
      timer = setTimeout(poll, ["running", "pausing"].includes(now.state) ? 1000 : 4000);
    } catch (fault) {
      work.fail(fault);
      timer = setTimeout(poll, 5000);
    }
  };
  poll();
  return {
    element: viewFrame("train", [h("div", { class: "card" }, folder.element, h("label", { class: "field" }, t("train.recipe"), recipe, recipeAbout), minutes.element, field(t("train.name-field"), name), h("div", { class: "row" }, start))],
      [work.element, failed, empty, running, curve, pictureCard, findings]),
    close: () => clearTimeout(timer),
  };
}

function lengthText(minutes) {
  return minutes < 60 ? t("train.n-minutes", { n: minutes }) : t("train.n-hours", { n: minutes / 60 });
}

/** What the doctor has found: in other languages a sentence of the catalogue, and its own words with the numbers. */
function describeFinding(one) {
  const key = `finding.${one.name}`;
  if (!has(key)) return h("p", { class: "finding" }, one.text);
  return h("p", { class: "finding" }, t(key), h("br"), h("span", { class: "hint small", lang: "en" }, one.text));
}

/** Losses over steps, on a logarithmic axis. */
function drawCurve(steps, validations) {
  const [width, height, left, bottom] = [720, 260, 58, 28];
  const svg = h("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": t("train.curve-about", { n: steps.length }) });
  const values = [...steps.map((one) => one.loss), ...validations.map((one) => one.validation)].filter((one) => one > 0);
  svg.append(h("path", { class: "axis", d: `M${left} 8V${height - bottom}H${width - 8}` }));
  if (values.length < 2) return svg;
  const [low, high] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))];
  const most = Math.max(...steps.map((one) => one.step), ...validations.map((one) => one.step), 1);
  const x = (step) => left + step / most * (width - left - 12);
  const y = (value) => 10 + (high - Math.log(value)) / Math.max(high - low, 1e-6) * (height - bottom - 22);
  for (let index = 0; index <= 3; index++) {
    const value = Math.exp(low + (high - low) * index / 3);
    svg.append(h("line", { class: "axis", x1: left, x2: width - 8, y1: y(value), y2: y(value) }), h("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, value.toPrecision(2)));
  }
  svg.append(h("text", { x: width - 10, y: height - 8, "text-anchor": "end" }, t("train.n-steps", { n: most })));
  const line = (points) => points.map(([px, py], index) => `${index ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("");
  svg.append(h("path", { class: "loss", d: line(steps.filter((one) => one.loss > 0).map((one) => [x(one.step), y(one.loss)])) }));
  const held = validations.filter((one) => one.validation > 0).map((one) => [x(one.step), y(one.validation)]);
  svg.append(h("path", { class: "held", d: line(held) }), ...held.map(([px, py]) => h("circle", { class: "held-dot", cx: px, cy: py, r: 3.5 })));
  return svg;
}
