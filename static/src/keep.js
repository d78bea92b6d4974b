// A half-filled form survives a reload: what was typed stays in this tab until the form has been sent.
// Never secrets and files; nothing leaves the browser.
const PREFIX = "zenweb:form:";
const SENT = "zenweb:sent";
const MOST = 200_000; // characters of one form

const store = (() => {
  try {
    return window.sessionStorage;
  } catch {
    return null; // the browser forbids it
  }
})();

const keyOf = (form) => PREFIX + form.dataset.keep + window.location.search;
const isBelow = (name, outer) => name === outer || name.startsWith(`${outer}.`) || name.startsWith(`${outer}~`);

function inputsOf(form) {
  const secret = (form.dataset.keepNot || "").split(" ").filter(Boolean);
  return [...form.elements].filter(
    (input) =>
      input.name?.startsWith("steps.") &&
      !["hidden", "password", "file", "submit", "button"].includes(input.type) &&
      !secret.some((outer) => isBelow(input.name, outer)),
  );
}

const isChoice = (input) => input.type === "checkbox" || input.type === "radio";

function valueOf(input) {
  if (isChoice(input)) return input.checked;
  return input.multiple ? [...input.selectedOptions].map((option) => option.value) : input.value;
}

// Inputs that share a name (radios, rows) are told apart by their place among each other.
function named(form) {
  const counts = {};
  return inputsOf(form).map((input) => {
    const place = (counts[input.name] = (counts[input.name] ?? -1) + 1);
    return [`${input.name}#${place}`, input];
  });
}

function save(form) {
  const text = JSON.stringify(Object.fromEntries(named(form).map(([name, input]) => [name, valueOf(input)])));
  try {
    if (text.length <= MOST) store.setItem(keyOf(form), text);
  } catch {
    // No room: then it is not kept.
  }
}

function put(input, value) {
  if (isChoice(input)) input.checked = value === true;
  else if (input.multiple) for (const option of input.options) option.selected = [].concat(value).includes(option.value);
  else input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

function restore(form) {
  const text = store.getItem(keyOf(form));
  // What the server answers to a form that was sent is newer.
  if (!text || "isSent" in form.dataset) return;
  const kept = JSON.parse(text);
  const changed = named(form).filter(
    ([name, input]) => name in kept && JSON.stringify(valueOf(input)) !== JSON.stringify(kept[name]),
  );
  changed.forEach(([name, input]) => put(input, kept[name]));
  if (changed.length) document.getElementById("kept-notice")?.removeAttribute("hidden");
}

function watch(form) {
  restore(form);
  form.addEventListener("input", () => save(form));
  form.addEventListener("change", () => save(form));
  form.addEventListener("submit", () => store.setItem(SENT, PREFIX + form.dataset.keep));
  document.getElementById("kept-discard")?.addEventListener("click", () => {
    store.removeItem(keyOf(form));
    window.location.reload();
  });
}

// A form that led to a run, or to a preset, has done its work; one that was refused or waits for its author has not.
function forgetWhatWasSent() {
  const sent = store.getItem(SENT);
  store.removeItem(SENT);
  const isDone = window.location.pathname.startsWith("/runs/") || document.querySelector("form[data-keep]:not([data-is-sent])");
  if (!sent || !isDone) return;
  Object.keys(store).filter((key) => key.startsWith(sent)).forEach((key) => store.removeItem(key));
}

document.addEventListener("DOMContentLoaded", () => {
  if (!store) return;
  forgetWhatWasSent();
  document.querySelectorAll("form[data-keep]").forEach(watch);
});
