// Adds to a page that is whole without it: tables sort and filter, commands are copied, a number opens its cell, and a page that is
// served while runs go on renews itself. It loads nothing but this page's own address.
"use strict";

const FEW = 8; // rows; a longer table gets a filter
const EVERY = 3000; // milliseconds between two looks at a page that is not complete

// The number that a cell begins with; null for a dash, a word, or nothing.
function valueOf(cell) {
  const first = cell.textContent.trim().replaceAll("\u2212", "-");
  const found = first.match(/^[+-]?\d[\d.]*(e[+-]?\d+)?/);
  return found ? Number(found[0]) : null;
}

// Numbers by value, words by the alphabet, and what is missing last whichever way.
function compared(one, other, way) {
  const [a, b] = [valueOf(one), valueOf(other)];
  if (a !== null && b !== null) return way * (a - b);
  if (a !== null || b !== null) return a === null ? 1 : -1;
  return way * one.textContent.trim().localeCompare(other.textContent.trim(), undefined, { numeric: true });
}

// The column that each header is over, which has a column of its own.
function columnsOf(table) {
  const taken = [];
  const found = [];
  [...table.tHead.rows].forEach((row, line) => {
    let column = 0;
    for (const header of row.cells) {
      while ((taken[line] ??= [])[column]) column += 1;
      for (let y = line; y < line + header.rowSpan; y += 1) {
        for (let x = column; x < column + header.colSpan; x += 1) (taken[y] ??= [])[x] = true;
      }
      if (header.colSpan === 1 && line + header.rowSpan === table.tHead.rows.length) found.push([header, column]);
    }
  });
  return found;
}

function makeSorted(table) {
  const body = table.tBodies[0];
  const headers = columnsOf(table);
  for (const [header, column] of headers) {
    const sort = () => {
      const way = header.ariaSort === "ascending" ? -1 : 1;
      const rows = [...body.rows].sort((one, other) => compared(one.cells[column], other.cells[column], way));
      body.append(...rows);
      for (const [other] of headers) other.removeAttribute("aria-sort");
      header.ariaSort = way === 1 ? "ascending" : "descending";
    };
    header.tabIndex = 0;
    header.classList.add("sorts");
    header.addEventListener("click", (event) => event.target.closest("button, a") || sort());
    header.addEventListener("keydown", (event) => {
      if (event.target !== header || !["Enter", " "].includes(event.key)) return;
      event.preventDefault();
      sort();
    });
  }
}

function makeFiltered(place, rows, name) {
  const field = document.createElement("input");
  field.type = "search";
  field.className = "filter";
  field.placeholder = `filter ${rows().length} rows`;
  field.ariaLabel = `Filter rows: ${name}`;
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of rows()) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  });
  place.before(field);
}

function makeCopied(block) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  button.addEventListener("click", () => {
    getSelection().selectAllChildren(block.querySelector("code"));
    button.textContent = document.execCommand("copy") ? "copied" : "selected"; // works from a file, too
  });
  block.append(button);
}

// Opens what the address points at, and all that it lies in.
function opened() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let at = target; at; at = at.parentElement) if (at.localName === "details") at.open = true;
  if (target) target.scrollIntoView();
}

// Reloads when the file has changed, until all runs are there; what was open or typed is kept over it, and the browser keeps the place.
function renewed() {
  const kept = `fame ${location.pathname}`;
  const parts = () => [...document.querySelectorAll("main details")];
  const named = (part) => `${part.closest("[id]")?.id} ${part.querySelector("summary").textContent}`;
  const fields = () => [...document.querySelectorAll("input.filter")];
  const state = JSON.parse(sessionStorage.getItem(kept) ?? "null");
  sessionStorage.removeItem(kept);
  for (const part of state ? parts() : []) part.open = state.open.includes(named(part));
  for (const field of state ? fields() : []) {
    field.value = state.typed[field.ariaLabel] ?? "";
    field.dispatchEvent(new Event("input"));
  }
  if (document.body.dataset.missing === "0") return;
  const shown = new Date(document.lastModified).getTime();
  const timer = setInterval(async () => {
    try {
      const answer = await fetch(location.pathname, { method: "HEAD", cache: "no-store" });
      if (!answer.ok || !(new Date(answer.headers.get("Last-Modified")) > shown)) return;
      clearInterval(timer);
      const open = parts().filter((part) => part.open).map(named);
      const typed = Object.fromEntries(fields().map((field) => [field.ariaLabel, field.value]));
      sessionStorage.setItem(kept, JSON.stringify({ open, typed }));
      location.reload();
    } catch {
      clearInterval(timer); // the viewer has ended
    }
  }, EVERY);
}

for (const table of document.querySelectorAll("main table")) {
  if (!table.tHead || !table.tBodies[0] || table.tBodies[0].rows.length < 2) continue;
  makeSorted(table);
  const rows = () => [...table.tBodies[0].rows];
  if (rows().length > FEW) makeFiltered(table.closest(".box") ?? table, rows, table.caption?.textContent.trim() ?? "table");
}
const cells = () => [...document.querySelectorAll("details.cell")];
if (cells().length > FEW) makeFiltered(cells()[0], cells, "cells");
document.querySelectorAll("main pre").forEach(makeCopied);
addEventListener("hashchange", opened);
const served = location.protocol === "http:" && ["127.0.0.1", "localhost"].includes(location.hostname);
if (served) renewed();
opened();
