// What may be written at a place of a YAML text, as a JSON Schema tells. Places are found by indentation, because the
// text one is writing is mostly not YAML yet.
const KEY = /^(\s*)((?:-\s+)*)(?:"([^"]*)"|'([^']*)'|([^\s#:'"-][^:#]*?))\s*:(?:\s|$)/;
const MOST_PARTS = 200; // of one place; definitions may refer to each other in circles

/** CodeMirror's source of completions. */
export function complete(context, root) {
  if (!root) return null;
  const phrase = (text) => context.state.phrase(text);
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const value = /^(\s*)((?:-\s+)*)("[^"]*"|'[^']*'|[^\s#:'"][^:#]*?):\s+(\S*)$/.exec(before);
  const path = pathAbove(context.state.doc, line, before);
  if (value) {
    const key = value[3].replace(/^["']|["']$/g, "");
    return answer(context, value[4], valuesOf(schemasAt(root, [...path, key]), root, phrase), /^[\w.+-]*$/);
  }
  const typed = /^\s*(?:-\s+)*([\w.-]*)$/.exec(before);
  if (!typed || (!typed[1] && !context.explicit)) return null;
  const here = schemasAt(root, path);
  const isItem = /^\s*-\s/.test(before);
  const options = [...keysOf(here, root, keysBeside(context.state.doc, line), phrase), ...(isItem ? valuesOf(here, root, phrase) : [])];
  return answer(context, typed[1], options, /^[\w.-]*$/);
}

function answer(context, typed, options, validFor) {
  if (!options.length) return null;
  return { from: context.pos - typed.length, options, validFor };
}

const indentOf = (text) => text.search(/\S|$/);

/** The keys that a line stands below, the outermost first. An item of a list is "-". */
function pathAbove(doc, line, before) {
  const path = [];
  let indent = indentOf(before);
  if (/^\s*-(\s|$)/.test(before)) path.unshift("-");
  for (let number = line.number - 1; number > 0 && (indent > 0 || path[0] === "-"); number -= 1) {
    const { text } = doc.line(number);
    if (!text.trim() || text.trim().startsWith("#")) continue;
    const own = indentOf(text);
    const found = KEY.exec(text);
    // The items of a list may stand as far left as the list's own key.
    const isAbove = own < indent || (own === indent && path[0] === "-" && found && !found[2]);
    if (!isAbove) continue;
    if (found) {
      const isFirstOfItem = found[2] && own + found[2].length >= indent;
      if (!isFirstOfItem) path.unshift(nameIn(found));
      if (found[2]) path.unshift("-");
    } else if (/^\s*-\s*$/.test(text)) path.unshift("-");
    indent = own;
  }
  return path;
}

const nameIn = (found) => found[3] ?? found[4] ?? found[5];

/** The keys that are set already where this line stands. */
function keysBeside(doc, line) {
  const indent = indentOf(line.text);
  const names = new Set();
  for (const step of [-1, 1]) {
    for (let number = line.number + step; number > 0 && number <= doc.lines; number += step) {
      const { text } = doc.line(number);
      if (!text.trim() || text.trim().startsWith("#")) continue;
      if (indentOf(text) < indent) break;
      const found = indentOf(text) === indent && KEY.exec(text);
      if (found) names.add(nameIn(found));
    }
  }
  return names;
}

/** Every schema that holds at a path: references followed, each alternative taken. */
function schemasAt(root, path) {
  let schemas = parts([root], root);
  for (const name of path) {
    schemas = parts(
      schemas.map((schema) => {
        if (name === "-") return schema.items;
        const known = schema.properties ?? {};
        return Object.hasOwn(known, name) ? known[name] : schema.additionalProperties;
      }),
      root,
    );
  }
  return schemas;
}

function parts(schemas, root) {
  const found = [];
  const waiting = [...schemas];
  for (let step = 0; waiting.length && step < MOST_PARTS; step += 1) {
    const schema = waiting.shift();
    if (!schema || typeof schema !== "object" || found.includes(schema)) continue;
    found.push(schema);
    if (typeof schema.$ref === "string") waiting.push(lookUp(schema.$ref, root));
    for (const union of ["anyOf", "oneOf", "allOf"]) waiting.push(...(Array.isArray(schema[union]) ? schema[union] : []));
  }
  return found;
}

function lookUp(reference, root) {
  if (!reference.startsWith("#")) return undefined;
  const names = reference.slice(1).split("/").slice(1);
  return names.reduce((here, name) => {
    const key = name.replaceAll("~1", "/").replaceAll("~0", "~");
    return here && Object.hasOwn(here, key) ? here[key] : undefined;
  }, root);
}

function keysOf(schemas, root, taken, phrase) {
  const options = new Map();
  for (const schema of schemas) {
    const required = Array.isArray(schema.required) ? schema.required : [];
    for (const [name, inner] of Object.entries(schema.properties ?? {})) {
      if (taken.has(name)) continue;
      const told = parts([inner], root);
      const text = (keyword) => told.map((part) => part[keyword]).find((value) => typeof value === "string");
      options.set(name, {
        label: name,
        apply: `${name}${told.some((part) => part.type === "object") ? ":" : ": "}`,
        detail: required.includes(name) ? phrase("required") : undefined,
        info: text("description") ?? text("title"),
        type: "property",
        boost: required.includes(name) ? 2 : name === "steps" || name === "parameters" ? 1 : 0,
      });
    }
  }
  return [...options.values()];
}

function valuesOf(schemas, root, phrase) {
  const values = new Map();
  const add = (value, detail) => {
    const label = written(value);
    if (label !== undefined && !values.has(label)) values.set(label, { label, detail, type: "constant" });
  };
  for (const schema of parts(schemas, root)) {
    if ("default" in schema) add(schema.default, phrase("default"));
    if ("const" in schema) add(schema.const);
    if (Array.isArray(schema.enum)) schema.enum.forEach((value) => add(value));
    const types = [schema.type].flat();
    if (types.includes("boolean")) [true, false].forEach((value) => add(value));
    if (types.includes("null")) add(null);
  }
  return [...values.values()];
}

/** A value in YAML: texts as they stand where they mean themselves, else in quotes. */
function written(value) {
  if (value !== null && typeof value === "object") return undefined;
  if (typeof value !== "string") return JSON.stringify(value);
  const isPlain = /^[A-Za-z][\w ./-]*$/.test(value) && !/^(true|false|null)$/i.test(value) && value.trim() === value;
  return isPlain ? value : JSON.stringify(value);
}
