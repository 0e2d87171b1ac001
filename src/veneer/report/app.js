"use strict";
// The page's script: sorting, saving, token shifts, the response browser. Model output enters the page by textContent only.
addEventListener("error", () => { const d = document.documentElement.dataset; d.errors = Number(d.errors) + 1; });

(() => {
  const INVISIBLE = new RegExp(document.documentElement.dataset.invisible, "u");
  const SIGNS = { " ": "␣", "\n": "↵", "\t": "⇥", "\u00a0": "⍽" };
  const CLASSES = ["unshifted", "marginal", "shifted", "–"];
  const LEVELS = [50, 200, 500, 1000, 2000, 4000]; // thousandths of a nat; the legend in the template names them
  const TOP_OF = ["base", "veneer", "aligned"];
  const KINDS = ["sys-base", "sys-veneer", "sys-aligned"];
  const PROMPTS_A_PAGE = 5, SHIFTS_A_PAGE = 20;
  const pop = document.getElementById("pop"), said = document.getElementById("said");

  function el(name, set = {}, ...children) {
    const node = document.createElement(name);
    for (const [k, v] of Object.entries(set)) if (v != null) node.setAttribute(k, v);
    node.append(...children); // strings become text nodes
    return node;
  }

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

  const cut = (parent, whole) => parent.append(el("span", { class: "cut" }, "… (" + whole.toLocaleString("en") + " characters)"));

  function code(table, id) {
    const node = show(el("code", { dir: "auto" }), table.tokens[id], true);
    if (table.tokens[id] === "") node.append(el("span", { class: "cut" }, "empty"));
    if (table.long[id]) cut(node, table.long[id]);
    return node;
  }

  const nats = (milli) => milli == null ? "–" : (milli / 1000).toFixed(3);
  const level = (milli) => milli == null ? null : LEVELS.filter((x) => milli >= x).length;
  const mean = (xs) => { const some = xs.filter((x) => x != null); return some.length ? some.reduce((a, b) => a + b, 0) / some.length : null; };

  function pager(box, draw) {
    const before = el("button", { type: "button" }, "← Previous"), after = el("button", { type: "button" }, "Next →"), where = el("span");
    let page = 0, pages = 1;
    const go = (to) => { page = to; draw(); };
    before.addEventListener("click", () => go(page - 1));
    after.addEventListener("click", () => go(page + 1));
    box.append(before, where, after);
    return {
      reset() { page = 0; },
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

  function sortable(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const h of heads) h.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const of = (row) => { const c = row.cells[column]; return c.dataset.v ?? c.textContent; };
      const numeric = heads[column].classList.contains("num") || body.querySelector("td:nth-child(" + (column + 1) + ")[data-v]");
      const rows = [...body.rows].sort((a, b) => {
        const x = of(a), y = of(b);
        if (x === "" || y === "") return (x === "") - (y === ""); // what is missing stays at the end
        return (numeric ? x - y : x.localeCompare(y)) * (down ? -1 : 1);
      });
      body.append(...rows);
    }));
  }

  function save(data, kind) {
    let text;
    if (kind === "json") text = data.results.map((r) => JSON.stringify(r) + "\n").join("");
    else {
      const fields = ["study", "task", "metric", "of", "system", "split", "position", "value", "low", "high", "n", "unit", "judge", "note"];
      const quote = (v) => {
        if (v == null) return "";
        if (Array.isArray(v)) v = v.join("-");
        // a spreadsheet must not take text for a formula
        return typeof v === "number" ? String(v) : '"' + String(v).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""') + '"';
      };
      text = [fields.join(","), ...data.results.map((r) => fields.map((f) => quote(r[f])).join(","))].join("\r\n") + "\r\n";
    }
    const url = URL.createObjectURL(new Blob([text], { type: kind === "json" ? "application/json" : "text/csv" }));
    el("a", { href: url, download: "results." + (kind === "json" ? "jsonl" : "csv") }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  function shifts(box, table) {
    const body = box.querySelector("tbody");
    const form = filters(box, () => { pages.reset(); draw(); });
    const pages = pager(box.querySelector(".pager"), draw);
    function draw() {
      const wanted = form.of("class"), restored = form.of("restored"), find = form.find();
      const rows = table.rows.filter((r) => (wanted === "" || r[4] === Number(wanted)) && (restored === "" || r[5] === Number(restored))
        && (!find || [r[0], r[1], r[2]].some((id) => table.tokens[id].toLocaleLowerCase().includes(find))));
      body.replaceChildren(...pages.slice(rows, SHIFTS_A_PAGE).map((r) => el("tr", {},
        el("td", {}, code(table, r[0])), el("td", {}, code(table, r[1])), el("td", {}, code(table, r[2])),
        el("td", { class: "num" }, r[3].toLocaleString("en")), el("td", {}, CLASSES[r[4]]), el("td", {}, r[5] ? "✓" : "✗", el("span", { class: "word" }, r[5] ? " yes" : " no")))));
      form.tell(rows.length.toLocaleString("en") + " kinds, " + rows.reduce((sum, r) => sum + r[3], 0).toLocaleString("en") + " places");
    }
    draw();
  }

  function browser(box, data, tasks, depth) {
    const list = box.querySelector(".list");
    const form = filters(box, (e) => {
      if (e.target.type === "radio") { box.dataset.colour = e.target.value; return; }
      pages.reset(); draw();
    });
    const pages = pager(box.querySelector(".pager"), () => { draw(); list.scrollIntoView({ block: "start" }); });
    const prompts = data.prompts.map((p) => ({ ...p, rows: [] }));
    for (const r of data.rows) prompts[r.q].rows.push(r);
    for (const p of prompts) p.all = [p.p, p.i, ...p.rows.map((r) => r.x ?? r.t.map((id) => data.tokens[id]).join(""))].join("\n").toLocaleLowerCase();

    function answer(row) {
      const kind = TOP_OF.includes(row.s) ? "sys-" + row.s : "sys-other";
      const body = el("div", { class: "body", dir: "auto", role: "group", "aria-label": "Response of " + row.s });
      body.row = row;
      row.t.forEach((id, i) => {
        const token = el("span", { class: "tok", "data-i": i, "data-b": level(row.b[i]), "data-v": level(row.v[i]), "data-c": row.c[i], tabindex: i ? -1 : 0 });
        show(token, data.tokens[id], false);
        if (data.long[id]) cut(token, data.long[id]);
        body.append(token);
      });
      if (!row.t.length) {
        if (row.x) { show(body, row.x, false); if (row.n > row.x.length) cut(body, row.n); }
        else body.append(el("span", { class: "cut" }, "empty answer"));
      }
      const meta = [row.t.length + " tokens", row.f && "ended by " + row.f].filter(Boolean);
      if (mean(row.b) != null) meta.push("mean KL base " + nats(mean(row.b)) + ", veneer " + nats(mean(row.v)));
      const head = el("h" + depth, {});
      show(head, row.s, false);
      return el("div", { class: "answer " + kind }, head, show(el("p", { class: "meta" }), meta.join(" · "), false), body);
    }

    function draw() {
      hide();
      const task = form.of("task"), find = form.find();
      const found = prompts.filter((p) => (task === "" || p.k === tasks[Number(task)]) && (!find || p.all.includes(find)));
      list.replaceChildren(...pages.slice(found, PROMPTS_A_PAGE).map((p) => {
        const ask = show(el("p", { class: "ask" }), p.p, false);
        if (p.n > [...p.p].length) cut(ask, p.n);
        return el("div", { class: "prompt" },
          el("header", {}, show(el("p", { class: "id" }), p.k + " · " + p.i, false), ask), el("div", { class: "columns" }, ...p.rows.map(answer)));
      }));
      form.tell(found.length + (found.length === 1 ? " prompt" : " prompts"));
    }

    list.addEventListener("mouseover", (e) => { const t = e.target.closest(".body .tok"); if (t && !pinned) point(t, data); });
    list.addEventListener("mouseout", (e) => { if (!pinned && e.target.closest(".body .tok")) hide(); });
    list.addEventListener("click", (e) => {
      const t = e.target.closest(".body .tok");
      if (!t) return;
      const same = pinned === t;
      hide();
      if (!same) { t.focus({ preventScroll: true }); point(t, data); pin(t); }
    });
    list.addEventListener("focusin", (e) => {
      const t = e.target.closest(".body .tok");
      if (!t || !t.matches(":focus-visible")) return;
      hide(); point(t, data);
      said.textContent = speak(t, data);
    });
    list.addEventListener("focusout", () => { if (!pinned) hide(); });
    list.addEventListener("keydown", (e) => {
      const t = e.target.closest(".body .tok");
      if (!t) return;
      const all = t.parentNode.children, i = Number(t.dataset.i);
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: all.length - 1 }[e.key];
      if (to === undefined || !all[to]) return;
      e.preventDefault();
      t.tabIndex = -1; all[to].tabIndex = 0; all[to].focus();
    });
    draw();
  }

  // the box beside a token
  let pinned = null, pointed = null;
  function hide() {
    if (pointed) pointed.classList.remove("on");
    pinned = pointed = null;
    pop.hidden = true;
    pop.classList.remove("pinned");
  }
  function pin(token) { pinned = token; pop.classList.add("pinned"); }
  function speak(token, data) {
    const row = token.parentNode.row, i = Number(token.dataset.i);
    return show(el("span"), data.tokens[row.t[i]], false).textContent + ", position " + (i + 1) + ", KL base " + nats(row.b[i]) + ", KL veneer " + nats(row.v[i]) + ", " + CLASSES[row.c[i]];
  }
  function point(token, data) {
    if (pointed) pointed.classList.remove("on");
    pointed = token;
    token.classList.add("on");
    const row = token.parentNode.row, i = Number(token.dataset.i);
    const pair = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
    const top = row.top && row.top[i];
    const lists = top ? el("div", { class: "tops" }, ...top.map((flat, k) => {
      const items = [];
      for (let j = 0; j < flat.length; j += 2) {
        const width = el("i");
        width.style.width = Math.min(100, flat[j + 1] / 100) + "%";
        items.push(el("li", {}, width, code(data, flat[j]), el("span", {}, (flat[j + 1] / 100).toFixed(1) + " %")));
      }
      return el("div", { class: KINDS[k] }, el("p", { class: "of" }, TOP_OF[k]), el("ol", {}, ...items));
    })) : el("p", { class: "mute" }, "The most likely tokens of this place are not in this file.");
    pop.replaceChildren(
      el("p", { class: "what" }, code(data, row.t[i]), el("span", { class: "mute small" }, "  token " + (i + 1) + " of " + row.t.length)),
      el("dl", {}, pair("KL base, nats", nats(row.b[i])), pair("KL veneer, nats", nats(row.v[i])), pair("class", CLASSES[row.c[i]])), lists);
    pop.hidden = false;
    const at = token.getClientRects()[0] || token.getBoundingClientRect(), size = pop.getBoundingClientRect();
    pop.style.left = Math.max(8, Math.min(at.left, innerWidth - size.width - 8)) + "px";
    const below = at.bottom + 8;
    pop.style.top = (below + size.height < innerHeight ? below : Math.max(8, at.top - size.height - 8)) + "px";
  }
  addEventListener("keydown", (e) => { if (e.key === "Escape") hide(); });
  addEventListener("pointerdown", (e) => { if (pinned && !e.target.closest(".pop, .body .tok")) hide(); });
  addEventListener("scroll", (e) => { if (!pop.contains(e.target)) hide(); }, { capture: true, passive: true });

  for (const article of document.querySelectorAll("[data-study]")) {
    const data = JSON.parse(document.getElementById("data-" + article.dataset.study).textContent);
    article.querySelectorAll("[data-sort]").forEach(sortable);
    article.querySelectorAll("[data-save]").forEach((b) => b.addEventListener("click", () => save(data, b.dataset.save)));
    article.querySelectorAll("[data-shifts]").forEach((box) => shifts(box, data.shifts));
    article.querySelectorAll("[data-browser]").forEach((box) => browser(box, data.responses, data.tasks, Number(box.dataset.depth)));
  }
  document.documentElement.dataset.ready = "1";
})();
