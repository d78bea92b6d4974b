// The editor of a template's YAML view: highlighting, completion from the template's schema, errors at their lines.
// The page works without it: it fills the textarea that is there anyway.
import { autocompletion } from "@codemirror/autocomplete";
import { HighlightStyle, indentService, syntaxHighlighting } from "@codemirror/language";
import { yaml } from "@codemirror/lang-yaml";
import { forceLinting, linter, lintGutter } from "@codemirror/lint";
import { EditorSelection, EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { basicSetup } from "codemirror";
import { complete } from "./completion.js";

const { nonce } = document.currentScript; // what the editor writes its own styles with
const CHECK_AFTER = 500; // milliseconds without a key pressed
const CHECKED = 20_000; // characters; what is longer is checked when it is run

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], class: "yaml-key" },
  { tag: [tags.string, tags.content, tags.special(tags.string)], class: "yaml-string" },
  { tag: [tags.comment, tags.lineComment], class: "yaml-comment" },
  { tag: [tags.meta, tags.labelName, tags.typeName, tags.keyword], class: "yaml-meta" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], class: "yaml-sign" },
]);

document.querySelectorAll("textarea[data-editor]").forEach(open);

function open(textarea) {
  const form = textarea.form;
  const status = document.getElementById("yaml-status");
  const words = JSON.parse(status.dataset.wrong); // for each number of things
  const schema = fetchJson(textarea.dataset.schema).then((template) => template?.metadata?.config_schema);
  const label = document.querySelector(`label[for="${textarea.id}"]`);
  const view = new EditorView({
    doc: textarea.value,
    extensions: [
      basicSetup,
      yaml(),
      syntaxHighlighting(colours),
      indentService.of(indentAfter),
      EditorView.cspNonce.of(nonce),
      EditorView.lineWrapping,
      EditorState.tabSize.of(2),
      EditorState.phrases.of(JSON.parse(textarea.dataset.phrases)),
      EditorView.contentAttributes.of({
        "aria-labelledby": label.id,
        "aria-describedby": `${textarea.getAttribute("aria-describedby")} yaml-status`,
      }),
      EditorView.domEventHandlers({ beforeinput: insert }),
      EditorView.updateListener.of((update) => update.docChanged && write(update.state.doc.toString())),
      autocompletion({ override: [async (context) => complete(context, await schema)], icons: false }),
      lintGutter(),
      linter(check, { delay: CHECK_AFTER }),
    ],
  });
  view.scrollDOM.tabIndex = 0; // so that it can be scrolled by keyboard alone
  textarea.before(view.dom);
  textarea.hidden = true;
  label.addEventListener("click", () => view.focus());
  form.querySelectorAll("input[type=password]").forEach((secret) => secret.addEventListener("change", recheck));
  form.querySelector("input[type=file]").addEventListener("change", take);
  document.querySelectorAll("#error-summary [data-line]").forEach((link) => link.addEventListener("click", show));
  recheck();

  function write(text) {
    textarea.value = text;
    textarea.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function recheck() {
    forceLinting(view);
  }

  /** A file's text takes the place of what is there; undo brings it back. */
  async function take(event) {
    const [file] = event.target.files;
    if (!file || file.size > 1_000_000) return; // the server says what is wrong with it
    const insert = (await file.text()).replaceAll("\r\n", "\n");
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert } });
    event.target.value = "";
    view.focus();
  }

  function show(event) {
    event.preventDefault();
    const line = view.state.doc.line(Math.min(Number(event.target.dataset.line), view.state.doc.lines));
    view.dispatch({ selection: EditorSelection.cursor(line.from), scrollIntoView: true });
    view.focus();
  }

  async function check({ state }) {
    const text = state.doc.toString();
    if (text.length > CHECKED) {
      status.textContent = status.dataset.long;
      return [];
    }
    const judged = await fetchJson(textarea.dataset.check, {
      method: "POST",
      headers: { "Content-Type": "application/yaml", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
      body: text,
    });
    if (!judged) {
      status.textContent = status.dataset.unchecked;
      return [];
    }
    const errors = judged.errors.filter((error) => !isTyped(error.pointer));
    tell(errors.length);
    return errors.map((error) => diagnostic(state.doc, error));
  }

  /** Whether this is a secret that is typed below the text, or a value that lacks one: of kinds, none fits without it. */
  function isTyped(pointer) {
    const name = pointer.slice(1).replaceAll("/", ".").replaceAll("~1", "/").replaceAll("~0", "~");
    const secrets = [...form.querySelectorAll("input[type=password]")].filter((secret) => secret.value);
    const isValue = pointer.split("/").length > 4; // /steps/trainer/parameters/source
    return secrets.some(({ name: own }) => own === name || (isValue && own.startsWith(`${name}.`)));
  }

  function tell(count) {
    status.textContent = count ? words[Math.min(count, words.length) - 1] : status.dataset.valid;
    status.classList.toggle("is-wrong", count > 0);
  }
}

/** Several lines at once: left to the browser, it gives them styles of its own, which the content policy refuses. */
function insert(event, view) {
  if (event.inputType !== "insertText" || !event.data?.includes("\n")) return false;
  view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
  event.preventDefault();
  return true;
}

/** How far a new line goes in: below a key that has no value yet one level further than that. */
function indentAfter({ state }, position) {
  const line = state.doc.lineAt(position);
  const text = line.text.slice(0, position - line.from);
  const before = text.trim() || line.number === 1 ? text : state.doc.line(line.number - 1).text;
  const indent = before.search(/\S|$/);
  return /^\s*(-\s+)?[^\s#].*:\s*$/.test(before) ? indent + 2 : indent;
}

function diagnostic(doc, { pointer, message, line }) {
  const place = doc.line(Math.min(Math.max(line || 1, 1), doc.lines));
  const from = place.from + place.text.search(/\S|$/);
  return { from, to: Math.max(place.to, from), severity: "error", message: `${pointer ? `${pointer}: ` : ""}${message}` };
}

/** What an address answers; nothing where it does not. */
async function fetchJson(address, options = {}) {
  try {
    const answer = await fetch(address, { credentials: "same-origin", ...options });
    return answer.ok ? await answer.json() : undefined;
  } catch {
    return undefined;
  }
}
