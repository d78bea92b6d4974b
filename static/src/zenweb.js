// What pages do beyond HTML: live refreshes that disturb nobody, and menus that close. Everything works without it.
import { Idiomorph } from "idiomorph";
import htmx from "htmx.org";
import "./copy.js";
import { keepForms } from "./keep.js";

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

// What is looked at after every key sends no file with it, but says which there are.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (!detail.elt.hasAttribute("data-looks-ahead")) return;
  detail.elt.closest("form").querySelectorAll("input[type=file]").forEach((input) => {
    detail.formData.delete(input.name);
    [...input.files].forEach((file) => detail.formData.append("unsent", file.name));
  });
});

// A refresh that was led elsewhere (the session has ended) must not put that page into this one.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  const answered = xhr.responseURL && new URL(xhr.responseURL).pathname;
  if (answered && answered !== new URL(requestConfig.path, document.baseURI).pathname) {
    event.detail.shouldSwap = false;
    // What only looks ahead is not worth what somebody has typed and no browser keeps: secrets and files.
    if (!event.detail.target.hasAttribute("data-looks-ahead")) window.location.reload();
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

// Another row, another kind: the server makes the form anew, and only what differs is changed in the page.
const refreshes = "[data-refresh]";
const CHOICES = "[data-choices]";

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element && event.target.closest(`button${refreshes}`);
  if (!button) return;
  event.preventDefault();
  const field = button.closest(CHOICES);
  if (field) return renewChoices(button.form, [field], [button.name, button.value]);
  refresh(button.form, [button.name, button.value], button.getAttribute("formaction"));
});

document.addEventListener("change", (event) => {
  const input = event.target;
  if (input.form && input.closest(refreshes) && !input.matches("button")) refresh(input.form, ["do", "show"]);
});

async function refresh(form, action, anchor) {
  if (!(await remake(form, action))) return;
  const group = anchor && document.getElementById(anchor.slice(1));
  const added = action[1].startsWith("add ") ? group?.querySelector(":scope > .row-list > .row-item:last-child") : null;
  (added?.querySelector("input:not([type=hidden]), select, textarea") ?? group)?.focus({ preventScroll: true });
}

/** The panel below looks at other values now; nobody typed them, so there is no other event. */
const tellRemade = (form) => form.dispatchEvent(new Event("remade"));

/** Whether the form is now as the server sees it. */
async function remake(form, action, change, isWanted = () => true) {
  form.setAttribute("aria-busy", "true");
  const values = await ask(form, action, change);
  form.removeAttribute("aria-busy");
  if (values && isWanted()) {
    // What a file filled rows with may be changed there now: it is not read again.
    form.querySelectorAll(`input[type=file]${refreshes}`).forEach((input) => (input.value = ""));
    keepWhatWasTyped(document.getElementById("form-values"), values);
    tellRemade(form);
  }
  return Boolean(values);
}

/** The values of the form as the server sees them now; nothing when it does not answer. */
async function ask(form, [name, value], change = () => {}) {
  const data = new FormData(form);
  change(data);
  data.set(name, value);
  // Files are sent with the run; only one that fills rows is wanted now.
  form.querySelectorAll(`input[type=file]:not(${refreshes})`).forEach((input) => data.delete(input.name));
  try {
    const answer = await fetch(form.action, { method: "POST", body: data, headers: { "X-Requested-With": "fetch" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const values = page.getElementById("form-values");
    setOffline(!values);
    return values;
  } catch {
    setOffline(true);
  }
}

// What is wrong is told when one leaves a field, and while one mends it.
const touched = new Set();
let checking;

document.addEventListener("change", (event) => {
  const field = event.target.closest("#form-values .field[id]");
  if (!field || event.target.closest(refreshes) || event.target.type === "file") return;
  touched.add(field.id);
  if (!isOfPipeline(event.target)) check(event.target.form, 0);
});
document.addEventListener("input", (event) => {
  if (event.target.closest("#form-values .field-wrong[id]")) check(event.target.form, 400);
});

// With other parameters of the pipeline itself there may be other steps below.
const COMPOSING = "[data-composing]:not([aria-busy])";
let composed = 0;

/** The answer for what stood there before may come after the one for what stands there now. */
function recompose(form) {
  const asked = ++composed;
  return remake(form, ["do", "show"], undefined, () => asked === composed);
}

const isOfPipeline = (input) => Boolean(input.form && input.name?.startsWith("parameters.") && !input.matches("button"));

document.addEventListener("change", async ({ target }) => {
  if (!isOfPipeline(target) || target.closest(refreshes) || !document.getElementById("composition")) return;
  const form = target.form;
  if (await recompose(form)) check(form, 0);
});

function lookForSteps() {
  const composing = document.hidden ? null : document.querySelector(COMPOSING);
  if (!composing) return;
  composing.setAttribute("aria-busy", "true");
  recompose(composing.closest("form")).then(() => {
    document.getElementById("composition")?.removeAttribute("aria-busy");
  });
}
setInterval(lookForSteps, 700);

function check(form, pause) {
  clearTimeout(checking);
  checking = setTimeout(async () => {
    const values = await ask(form, ["do", "check"]);
    if (!values) return;
    touched.forEach((id) => {
      const old = document.getElementById(id);
      const fresh = values.querySelector(`#${CSS.escape(id)}`);
      if (old && fresh) tellWhatIsWrong(old, fresh);
    });
  }, pause);
}

// The inputs stay as they are, so that the browser's "back" still brings back what was typed.
function tellWhatIsWrong(field, fresh) {
  field.className = fresh.className;
  fresh.querySelectorAll("input, select, textarea").forEach((input) => {
    const own = input.id && field.querySelector(`#${CSS.escape(input.id)}`);
    if (!own) return;
    own.className = input.className;
    ["aria-invalid", "aria-describedby"].forEach((name) =>
      input.hasAttribute(name) ? own.setAttribute(name, input.getAttribute(name)) : own.removeAttribute(name),
    );
  });
  field.querySelector(".field-error")?.remove();
  const error = fresh.querySelector(".field-error");
  if (error) field.insertBefore(error, field.querySelector(":scope > .field-help"));
}

// Secrets and chosen files never come back from the server.
const isKept = (node) =>
  node instanceof Element &&
  node.matches(".field") &&
  [...node.querySelectorAll("input[type=password], input[type=file]")].some((input) => input.value);

function keepWhatWasTyped(old, fresh) {
  Idiomorph.morph(old, fresh, {
    morphStyle: "outerHTML",
    ignoreActiveValue: true,
    callbacks: { beforeNodeMorphed: (node) => !isKept(node) },
  });
}

// What may be chosen comes after the page, and anew when what it depends on has changed: only these fields are exchanged,
// so that nothing that is typed meanwhile is lost.
document.addEventListener("change", ({ target }) => {
  if (!target.form || target.matches("[data-find]")) return;
  const fields = [...target.form.querySelectorAll(CHOICES)];
  const own = target.closest(CHOICES);
  const isStale = (field) => (field === own ? field.querySelector(":scope > .field-note") : dependsOn(field, target.name));
  renewChoices(target.form, fields.filter(isStale));
});

const dependsOn = (field, name) =>
  (field.dataset.depends?.split("|") ?? []).some((outer) => name === outer || name.startsWith(`${outer}.`));

let searching;
document.addEventListener("input", ({ target }) => {
  if (!target.matches("[data-find]")) return;
  clearTimeout(searching);
  searching = setTimeout(() => renewChoices(target.form, [target.closest(CHOICES)]), 250);
});
// Enter searches; it does not run.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("[data-find]")) return;
  event.preventDefault();
  event.target.closest(CHOICES).querySelector("button[value^=show]").click();
});

const renewals = new Map();
const chosenIn = (field) =>
  [...field.querySelectorAll("input:not([data-find]), select")]
    .filter((input) => input.checked || !["radio", "checkbox"].includes(input.type))
    .map((input) => input.value)
    .join("\n");

async function renewChoices(form, fields, action = ["do", "show"]) {
  if (!fields.length) return;
  const mine = new Map(fields.map((field) => [field.id, chosenIn(field)]));
  mine.forEach((_, id) => renewals.set(id, mine));
  fields.forEach((field) => field.setAttribute("aria-busy", "true"));
  const values = await ask(form, action);
  const overtaken = [];
  mine.forEach((chosen, id) => {
    const old = document.getElementById(id);
    const fresh = values?.querySelector(`#${CSS.escape(id)}`);
    if (renewals.get(id) !== mine || !old) return; // somebody asked again since
    old.removeAttribute("aria-busy");
    if (fresh && chosenIn(old) !== chosen) overtaken.push(old);
    else if (fresh) Idiomorph.morph(old, fresh, { morphStyle: "outerHTML", ignoreActiveValue: true });
  });
  if (values && !form.querySelector("[data-asking]")) tellRemade(form);
  renewChoices(form, overtaken); // something else was chosen meanwhile
}

function lookForChoices() {
  const asking = document.hidden ? [] : [...document.querySelectorAll("[data-asking]:not([aria-busy])")];
  if (asking.length) renewChoices(asking[0].closest("form"), asking);
}
document.addEventListener("DOMContentLoaded", lookForChoices);
setInterval(lookForChoices, 700);

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

// At once, and not when the document is ready: the editor opens with the text that stands there by then.
keepForms((form, change) => remake(form, ["do", "show"], change));
