"use strict";
// What all parts of the page's script share. Model output enters the page by textContent only.
addEventListener("error", () => { const d = document.documentElement.dataset; d.errors = Number(d.errors) + 1; });

// Veneer.mounts.NAME = (box, data) => ... is called for every element with data-mount="NAME"; data is what the element
// named by data-blob holds.
const Veneer = (() => {
  const INVISIBLE = new RegExp(document.documentElement.dataset.invisible, "u");
  const SIGNS = { " ": "␣", "\n": "↵", "\t": "⇥", "\u00a0": "⍽" };
  const SVG = "http://www.w3.org/2000/svg";

  function fill(node, set, children) {
    for (const [k, v] of Object.entries(set)) if (v != null) node.setAttribute(k, v);
    node.append(...children); // strings become text nodes
    return node;
  }
  const el = (name, set = {}, ...children) => fill(document.createElement(name), set, children);
  const svg = (name, set = {}, ...children) => fill(document.createElementNS(SVG, name), set, children);

  // Text with what cannot be seen spelled out. spaces: also give spaces, tabs and new lines a sign; copying still gives them.
  function show(parent, text, spaces) {
    let run = "";
    const flush = () => { if (run) parent.append(run); run = ""; };
    for (const c of text) {
      if (INVISIBLE.test(c)) {
        flush();
        parent.append(el("span", { class: "esc" }, "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")));
      } else if (spaces && c in SIGNS) {
        flush();
        parent.append(el("span", { class: "ws", "data-sign": SIGNS[c] }, c));
      } else if (c === "\n") {
        flush();
        parent.append(el("span", { class: "nl" }, c));
      } else run += c;
    }
    flush();
    return parent;
  }

  // The same as plain text of at most `limit` characters, for labels inside SVG.
  function plain(text, limit = 40) {
    const some = [...text];
    const characters = some.slice(0, limit).map((c) => SIGNS[c] ?? (INVISIBLE.test(c) ? "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0") : c));
    return characters.join("") + (some.length > limit ? "…" : "") || "(empty)";
  }

  const cut = (parent, whole) => parent.append(el("span", { class: "cut" }, "… (" + whole.toLocaleString("en") + " characters)"));

  // A token of an interned table, as code.
  function code(table, id) {
    const node = show(el("code", { dir: "auto" }), table.tokens[id], true);
    if (table.tokens[id] === "") node.append(el("span", { class: "cut" }, "empty"));
    if (table.long[id]) cut(node, table.long[id]);
    return node;
  }

  // Copy the text of a node; the selection does it where the browser has no clipboard for this page.
  async function copy(node, button) {
    try { await navigator.clipboard.writeText(node.textContent); }
    catch { getSelection().selectAllChildren(node); document.execCommand("copy"); }
    button.textContent = "Copied";
    document.getElementById("status").textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  async function unpack(id) {
    const text = document.getElementById(id).textContent;
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
  }

  function pager(box, draw, what = "Pages") {
    const before = el("button", { type: "button" }, "← Previous"), after = el("button", { type: "button" }, "Next →"), where = el("span");
    let page = 0, pages = 1;
    const go = (to) => { if (to < 0 || to >= pages || to === page) return; page = to; draw(); };
    before.addEventListener("click", () => go(page - 1));
    after.addEventListener("click", () => go(page + 1));
    box.setAttribute("role", "navigation");
    box.setAttribute("aria-label", what);
    box.append(before, where, after);
    return {
      reset() { page = 0; },
      step(by) { go(page + by); },
      slice(items, size) {
        pages = Math.max(1, Math.ceil(items.length / size));
        page = Math.min(page, pages - 1);
        where.textContent = "Page " + (page + 1) + " of " + pages;
        before.disabled = page === 0;
        after.disabled = page >= pages - 1;
        box.hidden = pages === 1;
        return items.slice(page * size, (page + 1) * size);
      },
    };
  }

  function filters(box, redraw) {
    const form = box.querySelector("form");
    form.addEventListener("submit", (e) => e.preventDefault());
    form.addEventListener("input", redraw);
    const of = (name) => { const f = form.querySelector('[data-f="' + name + '"]'); return f ? f.value : ""; };
    return { of, find: () => of("find").toLocaleLowerCase(), tell: (text) => { form.querySelector("output").textContent = text; } };
  }

  return { mounts: {}, el, svg, show, plain, cut, code, copy, unpack, pager, filters };
})();
