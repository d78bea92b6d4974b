// What pages do beyond HTML: live refreshes that disturb nobody, and menus that close. Everything works without it.
import { Idiomorph } from "idiomorph";
import htmx from "htmx.org";
import "./copy.js";
import "./keep.js";

// hx-swap="morph": change only what changed. Steps open while they run, and stay open where they failed;
// what a person has opened, closed or scrolled stays as they left it.
htmx.defineExtension("morph", {
  isInlineSwap: (style) => style === "morph",
  handleSwap: (style, target, fragment) => style === "morph" && morph(target, fragment.children),
});

function morph(target, content) {
  const logs = [...target.querySelectorAll("[data-follow]")].filter(isAtEnd).map((log) => log.id);
  const morphed = Idiomorph.morph(target, content, {
    morphStyle: "outerHTML",
    callbacks: {
      beforeAttributeUpdated: (name, node) => !(node instanceof HTMLDetailsElement && isTheirs(name, node)),
    },
  });
  logs.forEach((id) => scrollToEnd(document.getElementById(id)));
  return morphed;
}

const isTheirs = (name, details) => name === "data-touched" || (name === "open" && "touched" in details.dataset);

document.addEventListener("click", (event) => {
  const summary = event.target instanceof Element && event.target.closest("summary");
  if (summary) summary.parentElement.dataset.touched = "";
});

const isAtEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 24;

function scrollToEnd(log) {
  if (log) log.scrollTop = log.scrollHeight;
}

// A log opens at its end, where the news is.
document.addEventListener(
  "toggle",
  (event) => event.target.open && event.target.querySelectorAll("[data-follow]").forEach(scrollToEnd),
  true,
);
document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-follow]").forEach(scrollToEnd));

// Nobody looks: ask for nothing.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.hasAttribute("data-live")) event.preventDefault();
});

// A refresh that was led elsewhere (the session has ended) must not put that page into this one.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  const answered = xhr.responseURL && new URL(xhr.responseURL).pathname;
  if (answered && answered !== new URL(requestConfig.path, document.baseURI).pathname) {
    event.detail.shouldSwap = false;
    window.location.reload();
  }
});

const setOffline = (isOffline) => document.documentElement.toggleAttribute("data-offline", isOffline);
document.addEventListener("htmx:sendError", () => setOffline(true));
document.addEventListener("htmx:responseError", (event) => setOffline(event.detail.xhr.status >= 500));
document.addEventListener("htmx:afterRequest", (event) => event.detail.successful && setOffline(false));

// Menus made of <details> close when one turns away.
document.addEventListener("click", (event) => {
  document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
    menu.open = false;
    menu.querySelector("summary").focus();
  });
});

// One press is one run; the server's submit token guards the rest.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) {
    event.preventDefault();
    return;
  }
  if (form.method === "post") setTimeout(() => form.querySelectorAll("[type=submit]").forEach(disable));
});
const disable = (button) => (button.disabled = true);
// Who comes back with the browser's "back" finds a form that can be sent, and sending it means another run.
window.addEventListener("pageshow", (event) => {
  const isBack = event.persisted || performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  if (!isBack) return;
  document.querySelectorAll("[type=submit]").forEach((button) => (button.disabled = false));
  document.querySelectorAll("[name=submit_token]").forEach((token) => (token.value = newToken()));
});
const newToken = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("-");

// After a refused form, start where the trouble is told.
document.addEventListener("DOMContentLoaded", () => document.getElementById("error-summary")?.focus());
