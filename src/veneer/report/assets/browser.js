"use strict";
// The response browser: prompts, the systems side by side, every token with its figures.
(() => {
  const { el, show, cut, code, pager, filters, unpack } = Veneer;
  const CLASSES = ["unshifted", "marginal", "shifted", "–"];
  const LEVELS = [50, 200, 500, 1000, 2000, 4000]; // thousandths of a nat; the legend in the template names them
  const THREE = ["base", "veneer", "aligned"];
  const A_PAGE = 4;
  const pop = document.getElementById("pop"), status = document.getElementById("status");

  const nats = (milli) => milli == null ? "–" : (milli / 1000).toFixed(3);
  const kl = (milli) => milli == null ? "" : "k" + LEVELS.filter((x) => milli >= x).length;
  const mean = (xs) => { const some = xs.filter((x) => x != null); return some.length ? some.reduce((a, b) => a + b, 0) / some.length : null; };

  // How the three systems stand to each other; `of` gives what is compared, or undefined where a system has none.
  const DISAGREE = {
    taken: (b, v, a) => v === a && v !== b,
    kept: (b, v, a) => v === b && v !== a,
    differ: (b, v, a) => v !== a,
    none: (b, v, a) => v === a && v === b,
  };
  function stands(prompt, how, of) {
    if (!how) return true;
    const three = THREE.map((s) => prompt.rows.find((r) => r.s === s)).map((r) => r && of(r));
    return three.every((x) => x !== undefined) && DISAGREE[how](...three);
  }
  const verdict = (row) => row.d && JSON.stringify(row.d);

  Veneer.mounts.browser = (box, data) => {
    const list = box.querySelector(".list"), depth = Number(box.dataset.depth);
    const signs = new Map([...box.querySelector("template").content.querySelectorAll("[data-system]")].map((s) => [s.dataset.system, s]));
    data.names = [...data.compared, data.yardstick];
    data.kind = (system) => signs.get(system)?.className ?? "sys-other";
    const written = (row) => row.x ?? row.t.map((id) => data.tokens[id]).join("");
    const form = filters(box, (e) => {
      if (e.target.type === "radio") { box.dataset.colour = e.target.value; list.querySelectorAll(".body .tok").forEach(paint); return; }
      pages.reset(); draw();
    });
    const pages = pager(box.querySelector(".pager"), () => { draw(); list.scrollIntoView({ block: "start" }); }, "Pages of responses");
    const prompts = data.prompts.map((p) => ({ ...p, rows: [] }));
    data.rows.forEach((r, i) => { r.at = i; prompts[r.q].rows.push(r); });
    for (const p of prompts) {
      for (const r of p.rows) r.plain = written(r).replace(/\s+/g, " ").trim().toLocaleLowerCase();
      p.all = [p.p, p.i, ...p.rows.map(written)].join("\n").toLocaleLowerCase();
    }
    const pieces = new Map();
    const tops = (row) => {
      const piece = Math.floor(row.at / data.piece);
      if (!pieces.has(piece)) pieces.set(piece, unpack(box.dataset.blob.replace(/data$/, "top-" + piece + "-data")));
      return pieces.get(piece).then((lists) => lists[row.at % data.piece]);
    };

    // the class that shades a token
    function paint(token) {
      const row = token.parentNode.row, i = Number(token.dataset.i), how = box.dataset.colour;
      const own = Math.max(0, data.compared.indexOf(row.s));
      const level = how === "c" ? "c" + row.c[i] : how === "g" ? "tg" + (row.g ? row.g[i] : "") : kl(row.k[how === "own" ? own : Number(how)]?.[i]);
      token.className = "tok " + level + (token === pointed ? " on" : "");
    }

    function answer(row) {
      const body = el("div", { class: "body", dir: "auto", role: "group", "aria-label": "Response of " + row.s });
      body.row = row;
      row.t.forEach((id, i) => {
        const token = show(el("span", { "data-i": i, tabindex: i ? -1 : 0 }), data.tokens[id], false);
        if (data.long[id]) cut(token, data.long[id]);
        body.append(token);
        paint(token);
      });
      if (!row.t.length) {
        if (row.x) { show(body, row.x, false); if (row.n > row.x.length) cut(body, row.n); }
        else body.append(el("span", { class: "cut" }, row.u ? "no answer: cut within the reasoning" : "empty answer"));
      }
      const meta = [row.t.length + (row.t.length === 1 ? " token" : " tokens"), row.f && "ended by " + row.f].filter(Boolean);
      const means = data.compared.map((s, i) => [s, mean(row.k[i] ?? [])]).filter(([s, x]) => x != null && (data.compared.length < 3 || s === row.s));
      if (means.length) meta.push("KL " + means.map(([s, x]) => s + " " + nats(x)).join(", "));
      const scores = (row.d ?? []).map(([text, yes]) => show(el("li", { class: yes ? "yes" : null }), text, false));
      const head = el("h" + depth, {}, ...(signs.has(row.s) ? [signs.get(row.s).firstElementChild.cloneNode(true)] : []));
      return el("div", { class: "answer " + data.kind(row.s) }, show(head, row.s, false), show(el("p", { class: "meta" }), meta.join(" · "), false),
        ...(scores.length ? [el("ul", { class: "scores", "aria-label": "Verdicts" }, ...scores)] : []), body);
    }

    function draw() {
      hide();
      const task = form.of("task"), find = form.find();
      const matches = prompts.filter((p) => (task === "" || p.k === Number(task)) && (!find || p.all.includes(find))
        && stands(p, form.of("texts"), (r) => r.plain) && stands(p, form.of("verdicts"), verdict));
      list.replaceChildren(...pages.slice(matches, A_PAGE).map((p) => {
        const ask = show(el("p", { class: "ask" }), p.p, false);
        if (p.n > [...p.p].length) cut(ask, p.n);
        return el("div", { class: "prompt" },
          el("header", {}, show(el("p", { class: "id" }), data.tasks[p.k] + " · " + p.i, false), ask), el("div", { class: "columns" }, ...p.rows.map(answer)));
      }));
      if (!matches.length) list.append(el("p", { class: "note" }, "No prompt fits these filters."));
      form.tell(matches.length + (matches.length === 1 ? " prompt" : " prompts"));
    }

    const token = (e) => e.target.closest(".body .tok");
    list.addEventListener("mouseover", (e) => { if (token(e) && data.compared.length && !pinned) point(token(e), data, tops); });
    list.addEventListener("mouseout", (e) => { if (!pinned && token(e)) hide(); });
    list.addEventListener("click", (e) => {
      const t = token(e);
      if (!t) return;
      const same = pinned === t;
      hide();
      if (!same) { t.focus({ preventScroll: true }); point(t, data, tops); pin(t); }
    });
    list.addEventListener("focusin", async (e) => {
      const t = token(e);
      if (!t || !t.matches(":focus-visible")) return;
      hide();
      await point(t, data, tops);
      if (pointed === t) status.textContent = speak(t, data) + spokenTops();
    });
    list.addEventListener("focusout", () => { if (!pinned) hide(); });
    list.addEventListener("keydown", (e) => {
      const t = token(e);
      if (!t) return;
      const all = t.parentNode.children, i = Number(t.dataset.i);
      let to = all[{ ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: all.length - 1 }[e.key]];
      if (e.key === "ArrowDown" || e.key === "ArrowUp") { // the same place in the next system's answer
        const bodies = [...list.querySelectorAll(".body:has(.tok)")];
        const next = bodies[bodies.indexOf(t.parentNode) + (e.key === "ArrowDown" ? 1 : -1)];
        if (next) to = next.children[Math.min(i, next.children.length - 1)];
      }
      if (!to || !e.key.match(/^(Arrow|Home|End)/)) return;
      e.preventDefault();
      e.stopPropagation();
      t.tabIndex = -1; to.tabIndex = 0; to.focus();
    });
    // j and k, or the arrows outside of a token, turn the pages while the browser is on the screen
    addEventListener("keydown", (e) => {
      if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, select, textarea, .scroll")) return;
      const by = { j: 1, k: -1, ArrowRight: 1, ArrowLeft: -1 }[e.key], at = box.getBoundingClientRect();
      if (!by || at.bottom < innerHeight * 0.3 || at.top > innerHeight * 0.7) return;
      if (e.key.startsWith("Arrow") && !box.contains(document.activeElement)) return;
      e.preventDefault();
      pages.step(by);
      list.tabIndex = -1;
      list.focus({ preventScroll: true });
    });
    draw();
  };

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
    return show(el("span"), data.tokens[row.t[i]], false).textContent + ", position " + (i + 1) + ", "
      + data.compared.map((s, k) => "KL " + s + " " + nats(row.k[k]?.[i]) + ", ").join("") + CLASSES[row.c[i]];
  }
  const spokenTops = () => [...pop.querySelectorAll(".tops > div")].map((d) => ". " + d.querySelector(".of").textContent + ": "
    + [...d.querySelectorAll("li")].slice(0, 2).map((li) => li.textContent).join(", ")).join("");

  async function point(token, data, tops) {
    if (pointed) pointed.classList.remove("on");
    pointed = token;
    token.classList.add("on");
    const row = token.parentNode.row, i = Number(token.dataset.i);
    const top = (await tops(row))[i];
    if (pointed !== token) return; // another token meanwhile
    const pair = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
    const lists = top ? el("div", { class: "tops" }, ...top.map((flat, k) => {
      const items = [];
      for (let j = 0; j < flat.length; j += 2) {
        const width = el("i");
        width.style.width = Math.min(100, flat[j + 1] / 10) + "%";
        items.push(el("li", {}, width, code(data, flat[j]), el("span", {}, (flat[j + 1] / 10).toFixed(1) + " %")));
      }
      return el("div", { class: data.kind(data.names[k]) }, show(el("p", { class: "of" }), data.names[k], false), el("ol", {}, ...items));
    })) : el("p", { class: "mute" }, "The most likely tokens of this place are not in this file.");
    const group = row.g && data.groups[row.g[i]];
    pop.replaceChildren(
      el("p", { class: "what" }, code(data, row.t[i]), el("span", { class: "mute small" }, "  token " + (i + 1) + " of " + row.t.length)),
      el("dl", {}, ...data.compared.map((s, k) => pair("KL " + s + ", nats", nats(row.k[k]?.[i]))), pair("class", CLASSES[row.c[i]] + (group ? ", " + group : ""))), lists);
    pop.hidden = false;
    place(token);
  }
  function place(token) {
    const at = token.getClientRects()[0] || token.getBoundingClientRect(), size = pop.getBoundingClientRect();
    pop.style.left = Math.max(8, Math.min(at.left, innerWidth - size.width - 8)) + "px";
    const below = at.bottom + 8;
    pop.style.top = (below + size.height < innerHeight ? below : Math.max(8, at.top - size.height - 8)) + "px";
  }
  addEventListener("keydown", (e) => { if (e.key === "Escape") hide(); });
  addEventListener("pointerdown", (e) => { if (pinned && !e.target.closest(".pop, .body .tok")) hide(); });
  addEventListener("scroll", (e) => {
    if (pop.contains(e.target)) return;
    if (pointed && pointed.matches(":focus-visible")) place(pointed); // moving the focus may scroll
    else hide();
  }, { capture: true, passive: true });
})();
