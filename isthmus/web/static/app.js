// The page: the bar at the top, and one view at a time by the address.

import { get, h, LANGUAGES, language, loadWords, readState, t } from "/static/kit.js";
import { errorBox } from "/static/parts.js";

const VIEWS = ["look", "explore", "compress", "repair", "find", "train"];
let about = null;
let close = null;

function chooseLanguage() {
  const wanted = readState().lang ?? localStorage.getItem("language");
  if (LANGUAGES.includes(wanted)) return wanted;
  return navigator.languages.some((one) => one.toLowerCase().startsWith("zh")) ? "zh" : "en";
}

const current = () => {
  const name = location.pathname.slice(1);
  return VIEWS.includes(name) ? name : "look";
};

function drawTop() {
  const other = language === "en" ? "zh" : "en";
  const link = (view) => h("a", {
    href: `/${view}`, "aria-current": view === current() ? "page" : null,
    onclick: (event) => { event.preventDefault(); go(view); },
  }, t(`${view}.name`));
  document.getElementById("skip").textContent = t("page.skip");
  document.getElementById("top").replaceChildren(
    h("a", { class: "brand", href: "/look", onclick: (event) => { event.preventDefault(); go("look"); } },
      h("img", { src: "/static/mark.svg", alt: "" }), "Isthmus"),
    h("nav", { class: "views", "aria-label": t("page.views") }, VIEWS.map(link)),
    h("button", {
      class: "language", type: "button", lang: other === "zh" ? "zh-Hans" : "en",
      "aria-label": t("page.switch-language"), onclick: () => changeLanguage(other),
    }, other === "zh" ? "中文" : "English"),
  );
  // Not scrollIntoView: it would also move the place where the Tab key begins.
  const [nav, here] = [document.querySelector(".views"), document.querySelector(".views [aria-current]")];
  if (here) nav.scrollLeft = here.offsetLeft - nav.offsetLeft - 60;
}

async function changeLanguage(chosen) {
  localStorage.setItem("language", chosen);
  const query = new URLSearchParams(location.search);
  query.delete("lang");
  history.replaceState(null, "", location.pathname + (query.size ? `?${query}` : ""));
  await loadWords(chosen);
  await draw();
}

async function go(view) {
  // The model goes along; what belongs to a view stays with it.
  const model = readState().model;
  history.pushState(null, "", `/${view}${model && about.models.some((one) => one.name === model) ? `?model=${encodeURIComponent(model)}` : ""}`);
  await draw();
  document.getElementById("stage").focus({ preventScroll: true });
  scrollTo(0, 0);
}

async function draw() {
  const view = current();
  const stage = document.getElementById("stage");
  close?.();
  close = null;
  document.title = `${t(`${view}.name`)} · Isthmus`;
  drawTop();
  try {
    about = await get("/api/about");
    const module = await import(`/static/views/${view}.js`);
    const drawn = module.open(about);
    close = drawn.close ?? null;
    stage.replaceChildren(drawn.element);
    stage.dataset.view = view;
  } catch (fault) {
    stage.replaceChildren(errorBox(fault));
  }
}

addEventListener("popstate", draw);
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => event.preventDefault());
await loadWords(chooseLanguage());
await draw();
