// A half-filled form survives a reload: what was typed stays in this tab until a run was started from it, or the shape
// of a template's form was saved as a new version.
// Never secrets and files; nothing leaves the browser but to the server that made the form.
const PREFIX = "zenweb:form:";
const MOST = 200_000; // characters of one form

const store = (() => {
  try {
    return window.sessionStorage;
  } catch {
    return null; // the browser forbids it
  }
})();

const keyOf = (form) => PREFIX + form.dataset.keep + window.location.search;
const textOf = (form) => form.querySelector("textarea[name=yaml]");

const OF_THE_PAGE = ["csrfmiddlewaretoken", "version"];
const OF_VALUES = /^(expected\.|declined\.)?steps\./;
const isNeverKept = (input) =>
  ["password", "file"].includes(input.type) || "secret" in input.dataset || OF_THE_PAGE.includes(input.name);

/** Which entries of the form are kept: the text of the YAML view, else the values, with the rows and kinds they are in. */
function keeps(form) {
  if (textOf(form)) return (name) => name === "yaml";
  const never = [...form.elements].filter(isNeverKept).map((input) => input.name);
  if ("keepAll" in form.dataset) return (name) => !never.includes(name);
  return (name) => OF_VALUES.test(name) && !never.includes(name);
}

function entriesOf(form) {
  const isKept = keeps(form);
  const kept = [...new FormData(form)].filter(([name]) => isKept(name));
  return [...kept, ...secretsOf(form).filter(([name]) => isKept(name) && !kept.some((entry) => entry[0] === name))];
}

/** Of a secret only that there was one, so that it is asked for again. */
const secretsOf = (form) =>
  [...form.querySelectorAll("input[type=password]")]
    .filter((input) => input.value)
    .map((input) => [`expected.${input.name}`, "1"]);

function save(form) {
  const text = JSON.stringify({ token: form.elements.submit_token?.value, entries: entriesOf(form) });
  try {
    if (text.length <= MOST) store.setItem(keyOf(form), text);
  } catch {
    // No room: then it is not kept.
  }
}

function read(key) {
  try {
    return JSON.parse(store.getItem(key));
  } catch {
    return null;
  }
}

/** Put what was kept into what the form would send. */
function replace(form, data, entries) {
  const isKept = keeps(form);
  [...data.keys()].filter(isKept).forEach((name) => data.delete(name));
  entries.forEach(([name, value]) => data.append(name, value));
}

/** Whether the form says what was kept, or never differed; false: it is poorer, and may not take its place. */
async function restore(form, fill) {
  const entries = read(keyOf(form))?.entries;
  if (!entries || JSON.stringify(entries) === JSON.stringify(entriesOf(form))) return true;
  const text = textOf(form);
  if (text) text.value = entries[0]?.[1] ?? "";
  // Rows and kinds that are not in the page have no inputs: the server makes them.
  else if (!(await fill(form, (data) => replace(form, data, entries)))) return false;
  document.getElementById("kept-notice")?.removeAttribute("hidden");
  form.dispatchEvent(new Event("input", { bubbles: true }));
  return true;
}

async function watch(form, fill) {
  document.getElementById("kept-discard")?.addEventListener("click", () => {
    store.removeItem(keyOf(form));
    window.location.replace(window.location.pathname + window.location.search);
  });
  // What the server answers to a form that was sent is newer; what was typed since is newer still.
  const how = performance.getEntriesByType("navigation")[0]?.type;
  if ("isSent" in form.dataset && how !== "reload") {
    if (how === "navigate") save(form);
  } else if (!(await restore(form, fill))) return;
  ["input", "change", "submit"].forEach((event) => form.addEventListener(event, () => save(form)));
}

// A form that led to a run has done its work. The run's page names it: one that was refused, or waits for its author, has not.
function forgetWhatHasRun() {
  const made = document.querySelector("[data-made-by]")?.dataset.madeBy.split(" ") ?? [];
  Object.keys(store)
    .filter((key) => key.startsWith(PREFIX) && made.includes(read(key)?.token))
    .forEach((key) => store.removeItem(key));
}

/** `fill`: asks the server for the form with other values, and whether that came. */
export function keepForms(fill) {
  if (!store) return;
  forgetWhatHasRun();
  document.querySelectorAll("form[data-keep]").forEach((form) => watch(form, fill));
}
