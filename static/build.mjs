// Builds static/src into static/dist: one style sheet, the scripts, one sprite of icons.
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import * as sass from "sass";

const here = path.dirname(fileURLToPath(import.meta.url));
const modules = path.join(here, "..", "node_modules");
const source = path.join(here, "src");
const target = path.join(here, "dist");

async function buildStyles() {
  const { css } = sass.compile(path.join(source, "styles", "zenweb.scss"), {
    loadPaths: [modules],
    style: "compressed",
    quietDeps: true,
    // Bootstrap 5.3 is written with @import.
    silenceDeprecations: ["import", "global-builtin", "color-functions", "if-function"],
  });
  await writeFile(path.join(target, "zenweb.css"), css);
}

/** One file per entry: the editor is large, and loaded by the page that has one. */
async function buildScripts() {
  await esbuild.build({
    entryPoints: ["zenweb.js", "editor.js", "figure.js", "api_docs.js"].map((name) => path.join(source, name)),
    outdir: target,
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2020",
    legalComments: "linked",
  });
}

/** Every icon named in icons.txt as a <symbol>, so that pages refer to one cached file. */
async function buildIcons() {
  const names = (await readFile(path.join(source, "icons.txt"), "utf8")).split("\n").filter(Boolean);
  const symbols = await Promise.all(names.map(readSymbol));
  const sprite = `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`;
  await writeFile(path.join(target, "icons.svg"), sprite);
}

async function readSymbol(name) {
  const file = path.join(modules, "bootstrap-icons", "icons", `${name}.svg`);
  const svg = await readFile(file, "utf8");
  const body = svg.replace(/^[^]*?<svg[^>]*>/, "").replace(/<\/svg>[^]*$/, "").trim();
  return `<symbol id="${name}" viewBox="0 0 16 16" fill="currentColor">${body}</symbol>`;
}

async function copyMark() {
  await copyFile(path.join(source, "mark.svg"), path.join(target, "mark.svg"));
}

/** As it comes: it is loaded by nothing but the frame of a figure. */
async function copyPlotly() {
  const file = path.join(modules, "plotly.js-strict-dist-min", "plotly-strict.min.js");
  await copyFile(file, path.join(target, "plotly.js"));
}

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
await Promise.all([buildStyles(), buildScripts(), buildIcons(), copyMark(), copyPlotly()]);
