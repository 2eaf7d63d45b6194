"""The gallery's page around its rows: style before them, behavior after. No file beside it."""

from __future__ import annotations

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="generator" content="toonify">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>toonify evaluate</title>
<style>
:root { color-scheme: light dark; --tile: 160px; --line: #8885; --soft: #8882; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1rem 1.5rem 4rem; }
h1 { font-size: 1.4rem; margin: 0 0 .2rem; } h2 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
h3 { font: 600 12px/1.4 ui-monospace, monospace; margin: 0 0 .3rem; overflow-wrap: anywhere; }
p { margin: .2rem 0; max-width: 60rem; } .note { opacity: .75; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child, th.left, td.left { text-align: left; }
tr.overall td { font-weight: 600; background: var(--soft); }
nav { position: sticky; top: 0; z-index: 1; background: Canvas; padding: .6rem 0;
  border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap; gap: .5rem 1.2rem;
  align-items: center; margin-top: 1.2rem; }
nav label { white-space: nowrap; } nav fieldset { border: 0; margin: 0; padding: 0; }
nav input[type=search] { width: 11rem; }
article { padding: .8rem 0 .6rem; border-bottom: 1px solid var(--line); overflow-x: auto; }
article > div { display: flex; gap: 6px; }
figure { margin: 0; width: var(--tile); flex: none; }
figure img { width: 100%; aspect-ratio: 1; display: block; border-radius: 4px; }
figcaption { font-size: 11px; min-height: 2.8em; padding-top: .15rem; overflow: hidden; }
.source { margin-right: 6px; } .worst img { outline: 3px solid #d33; outline-offset: -3px; }
[hidden] { display: none !important; }
</style></head><body>
<h1>toonify evaluate</h1>
<div id="about"></div>
<h2>Figures</h2><div class="scroll"><table id="summary"></table></div><div id="legend"></div>
<details id="failed" hidden><summary></summary><ul></ul></details>
<nav>
<label>Order <select id="order"></select></label>
<fieldset id="bundles"></fieldset><fieldset id="characters"></fieldset>
<label>Name <input id="name" type="search" placeholder="part of the file name"></label>
<label>Size <input id="size" type="range" min="80" max="256" step="8" value="160"></label>
<span id="count" class="note"></span>
</nav>
<main id="rows">
"""

FOOT = """</main>
<script type="application/json" id="data">@DATA@</script>
<script>
"use strict";
const byId = id => document.getElementById(id);
const { report, cells, rows } = JSON.parse(byId("data").textContent);
const make = (tag, text, className) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
};
const number = (value, digits = 3) =>
  value === null || value === undefined ? "–" : value.toFixed(digits);
const titles = {
  lpips: "LPIPS", identity: "identity", nose: "nose offset", yaw: "yaw", pitch: "pitch",
  roll: "roll", mouth_open: "mouth open", smile: "smile", eyes: "eyes", gaze_x: "gaze across",
  gaze_y: "gaze up and down",
};
const suffix = report.feature_network === "inception" ? "" : "-VGG";

// about
const photos = report.photos;
byId("about").append(
  make("p", `${photos.toonified} of ${photos.given} photos toonified` +
    (report.interrupted ? " before the run was interrupted" : "") +
    `; ${report.device}, ${report.dtype}, threads: ${report.threads}; level ${report.level}; ` +
    `toonify ${report.toonify}.`));
for (const bundle of report.bundles) if (bundle.seconds.photo !== undefined)
  byId("about").append(make("p", `${bundle.label}: ${number(bundle.seconds.photo)} s a photo ` +
    `(median; find ${number(bundle.seconds.find)}, encode ${number(bundle.seconds.encode)}, ` +
    `draw ${number(bundle.seconds.draw)}), ${bundle.resolution}×${bundle.resolution}.`));
for (const [what, why] of Object.entries(report.unavailable))
  byId("about").append(make("p", `Not measured: ${what}. ${why}`));

// the table of figures
const measures = [...new Set(report.bundles.flatMap(
  bundle => Object.keys(bundle.overall.correlation || {})))];
const has = key => report.bundles.some(bundle => bundle.overall[key] !== undefined);
const columns = [
  ...["lpips", "identity"].filter(has).map(key => [titles[key], figures => figures[key]]),
  ...[["descriptor", "line-up, face"], ["color", "line-up, color"]].filter(
    ([key]) => report.bundles.some(bundle => (bundle.overall.lineup || {})[key] != null)).map(
    ([key, title]) => [title, figures => (figures.lineup || {})[key], 2]),
  ...[["skin_error", "skin ΔE", 1], ["hair_error", "hair ΔE", 1], ["hair_iou", "hair IoU", 2],
    ["cheeks", "cheeks L", 1], ["flat", "flat", 2]].filter(
    ([key]) => report.bundles.some(bundle => (bundle.overall.likeness || {})[key] != null)).map(
    ([key, title, digits]) => [title, figures => (figures.likeness || {})[key], digits]),
  ...measures.map(key => [titles[key], figures => (figures.correlation || {})[key], 2]),
  ...(has("kid") ? [["KID" + suffix + " ×10³",
    figures => figures.kid == null ? null : figures.kid * 1000, 1]] : []),
  ...(has("fid") ? [["FID" + suffix, figures => figures.fid, 1]] : []),
];
const head = make("tr");
head.append(make("th", "character"), make("th", "bundle", "left"));
for (const [title] of columns) head.append(make("th", title));
byId("summary").append(head);
const line = (name, bundle, figures, className) => {
  const row = make("tr", undefined, className);
  row.append(make("td", name), make("td", bundle, "left"));
  for (const [, value, digits] of columns) row.append(make("td", number(value(figures), digits)));
  byId("summary").append(row);
};
const characters = [...new Set(cells.map(cell => cell[1]))];
for (const name of characters) for (const bundle of report.bundles)
  if (bundle.characters[name]) line(name, bundle.label, bundle.characters[name]);
for (const bundle of report.bundles) line("all", bundle.label, bundle.overall, "overall");
const legend = [];
if (has("lpips")) legend.push("LPIPS to the photo: lower is nearer.");
if (has("identity")) legend.push(
  "Identity: a face descriptor's similarity to the photo, 1 the same face, about 0 strangers.");
if (report.bundles.some(bundle => bundle.overall.lineup)) legend.push(
  "Line-up: from how many of the drawings their photo is found again among all, by a face " +
  "descriptor and by a 24×24 layout of the head's colors; " +
  `chance is ${number(1 / photos.toonified)}.`);
if (report.bundles.some(bundle => bundle.overall.likeness)) legend.push(
  "Skin and hair ΔE: CIEDE2000 of mean colors, the median over the photos. Hair IoU: overlap " +
  "of hair and headwear as the parser sees them. Cheeks L: how much lighter they are than the " +
  "photo's. Flat: share of the head in areas without shading; photos have about 0.05.");
if (measures.length) legend.push(
  `Nose offset to gaze: correlation between photo and drawing over ${photos.toonified} photos.`);
if (has("kid")) legend.push(
  `KID${suffix} and FID${suffix}: to the character's own drawings, lower is nearer; FID grows as ` +
  "photos and drawings get fewer." + (suffix && " From VGG16 features, FID's Inception could not " +
  "be reached: they compare with nothing but figures of the same name."));
byId("legend").append(make("p", legend.join(" "), "note"));

// what failed
if (photos.failed.length) {
  byId("failed").hidden = false;
  byId("failed").querySelector("summary").textContent = `${photos.failed.length} photos failed`;
  for (const item of photos.failed)
    byId("failed").querySelector("ul").append(make("li", item.error));
}

// filters
const check = (box, value) => {
  const label = make("label"), input = make("input");
  input.type = "checkbox"; input.checked = true; input.value = value;
  input.addEventListener("change", update);
  label.append(input, ` ${value} `);
  box.append(label);
};
const labels = [...new Set(cells.map(cell => cell[0]))];
labels.forEach(label => check(byId("bundles"), label));
byId("bundles").hidden = labels.length < 2;
characters.forEach(name => check(byId("characters"), name));
byId("characters").hidden = characters.length < 2;
const articles = [...byId("rows").children];
const pictures = articles.map(article => [...article.querySelectorAll("figure")].slice(1));
const order = byId("order");
const option = (value, text) => {
  const node = make("option", text); node.value = value; order.append(node);
};
option("", "as given");
const known = Object.keys(titles).filter(key => rows.some(row => row.some(cell => key in cell)));
for (const key of known) option(key, `worst ${titles[key]} first`);
const chosen = id =>
  new Set([...byId(id).querySelectorAll("input:checked")].map(input => input.value));

function caption(cell, index, key) {
  const [label, name] = cells[index];
  const figures = [];
  if ("lpips" in cell) figures.push(`LPIPS ${number(cell.lpips)}`);
  if ("identity" in cell) figures.push(`id ${number(1 - cell.identity)}`);
  if (key && key !== "lpips" && key !== "identity" && key in cell)
    figures.push(`${titles[key]} off by ${number(cell[key], key in
      { yaw: 1, pitch: 1, roll: 1 } ? 1 : 3)}`);
  return `${labels.length > 1 ? `${name} · ${label}` : name}\\n${figures.join(" · ")}`;
}

function update() {
  const bundles = chosen("bundles"), names = chosen("characters"), key = order.value;
  const part = byId("name").value.toLowerCase();
  const visible = cells.map(([label, name]) => bundles.has(label) && names.has(name));
  const scored = articles.map((article, i) => {
    let worst = -1, score = -Infinity;
    rows[i].forEach((cell, j) => {
      if (visible[j] && key in cell && cell[key] > score) { worst = j; score = cell[key]; }
      const picture = pictures[i][j];
      picture.hidden = !visible[j];
      picture.lastChild.innerText = caption(cell, j, key);
    });
    pictures[i].forEach((picture, j) => picture.classList.toggle("worst", j === worst));
    article.hidden = !article.dataset.n.toLowerCase().includes(part);
    return { article, i, score };
  });
  scored.sort((a, b) => (key && b.score !== a.score ? b.score - a.score : a.i - b.i));
  scored.forEach(({ article }) => byId("rows").append(article));
  byId("count").textContent =
    `${scored.filter(({ article }) => !article.hidden).length} of ${articles.length} shown`;
}
order.addEventListener("change", update);
byId("name").addEventListener("input", update);
byId("size").addEventListener("input", event =>
  document.documentElement.style.setProperty("--tile", event.target.value + "px"));
update();
</script></body></html>
"""
