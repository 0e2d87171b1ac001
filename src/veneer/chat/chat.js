"use strict";
// Asks /ask, and writes the three answers as they come. What models say enters the page by textContent only.
(() => {
  const { el, show } = Veneer;
  const LEVELS = [.05, .2, .5, 1, 2, 4]; // nats; the legend in the page names them
  const SYSTEMS = ["base", "veneer", "aligned"];
  const at = (id) => document.getElementById(id);
  const level = (kl) => LEVELS.filter((l) => kl >= l).length;
  const nats = (kl) => kl.toFixed(kl < 10 ? 2 : 1);
  let running = null; // the AbortController of the question that is being answered

  // What the token's colour says: in base's answer KL against base, in the veneer's against the veneer.
  const against = (system) => system === "base" || (system === "aligned" && !at("against").checked) ? "kl_base" : "kl_veneer";
  const colour = (token) => { token.className = "tok k" + level(token.piece[against(token.piece.system)]); };

  function turn(request) {
    const answers = {};
    for (const system of SYSTEMS) {
      const body = el("div", { class: "body", dir: "auto", role: "group", "aria-label": "Answer of " + system });
      const meta = el("p", { class: "meta" }, "…");
      answers[system] = { body, meta, pieces: [], box: el("div", { class: "answer writing sys-" + system }, el("h3", {}, system), meta, body) };
    }
    const node = el("article", { class: "turn" },
      el("p", { class: "settings" }, "veneer × " + request.alpha + " · " + (request.temperature ? "temperature " + request.temperature + " · seed " + request.seed : "greedy")),
      show(el("p", { class: "ask" }), request.question, false),
      el("div", { class: "columns" }, ...SYSTEMS.map((s) => answers[s].box)));
    at("turns").prepend(node);
    return answers;
  }

  function add(answers, piece) {
    const answer = answers[piece.system];
    if (piece.text) {
      const token = show(el("span", { tabindex: answer.pieces.length ? -1 : 0 }), piece.text, false);
      token.piece = piece;
      colour(token);
      answer.body.append(token);
    }
    answer.pieces.push(piece);
    const n = answer.pieces.reduce((sum, p) => sum + p.tokens, 0);
    const mean = (name) => answer.pieces.reduce((sum, p) => sum + p.tokens * p[name], 0) / n;
    answer.meta.textContent = n + (n === 1 ? " token" : " tokens") + " · mean KL: base " + nats(mean("kl_base")) + ", veneer " + nats(mean("kl_veneer"));
    if (piece.end) {
      answer.box.classList.remove("writing");
      if (piece.end === "length") answer.body.append(el("span", { class: "cut" }, " … (cut)"));
      if (!answer.body.textContent) answer.body.append(el("span", { class: "cut" }, "empty answer"));
    }
  }

  function trouble(text) {
    at("trouble").hidden = !text;
    at("trouble").replaceChildren();
    if (text) show(at("trouble"), text, false);
  }

  async function* lines(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const line of parts) yield JSON.parse(line);
    }
  }

  async function ask() {
    const request = {
      question: at("question").value, alpha: Number(at("alpha").value), temperature: Number(at("temperature").value),
      max_tokens: Number(at("tokens").value), seed: Number(at("seed").value),
    };
    if (!request.question.trim()) return;
    if (running) running.abort();
    const mine = running = new AbortController();
    trouble("");
    let answers = null;
    at("stop").hidden = false;
    try {
      const response = await fetch("/ask", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request), signal: mine.signal,
      });
      if (!response.ok) return trouble((await response.json()).error.message);
      answers = turn(request);
      for await (const piece of lines(response)) {
        if (piece.error) trouble(piece.error);
        else add(answers, piece);
      }
    } catch (error) {
      if (error.name !== "AbortError") trouble("The server does not answer (" + error.message + "). Start it again, then ask again.");
    } finally {
      for (const answer of Object.values(answers ?? {})) answer.box.classList.remove("writing");
      if (running === mine) { running = null; at("stop").hidden = true; }
    }
  }

  // the tooltip of a token
  const pop = at("pop");
  let pointed = null;
  function hide() { pop.hidden = true; pointed?.classList.remove("on"); pointed = null; }
  function tell(token) {
    hide();
    pointed = token;
    token.classList.add("on");
    const { piece } = token;
    const pair = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
    const list = (system) => el("div", { class: "sys-" + system }, el("p", { class: "of" }, system), el("ol", {}, ...piece.likely[system].map(([text, p]) => {
      const width = el("i");
      width.style.width = 100 * p + "%";
      return el("li", {}, width, show(el("code", { dir: "auto" }), text, true), el("span", {}, (100 * p).toFixed(1) + " %"));
    })));
    pop.replaceChildren(el("dl", {}, pair("KL base, nats", nats(piece.kl_base)), pair("KL veneer, nats", nats(piece.kl_veneer))),
      el("div", { class: "tops" }, ...SYSTEMS.map(list)));
    pop.hidden = false;
    pop.classList.toggle("sheet", innerWidth < 560);
    const where = token.getClientRects()[0] ?? token.getBoundingClientRect(), size = pop.getBoundingClientRect();
    pop.style.left = Math.max(8, Math.min(where.left, innerWidth - size.width - 8)) + "px";
    const below = where.bottom + 8;
    pop.style.top = (below + size.height < innerHeight ? below : Math.max(8, where.top - size.height - 8)) + "px";
  }

  at("ask").addEventListener("submit", (e) => { e.preventDefault(); ask(); });
  at("stop").addEventListener("click", () => running?.abort());
  at("question").addEventListener("keydown", (e) => { if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); ask(); } });
  const strength = () => { at("alpha-now").textContent = "× " + at("alpha").value; };
  at("alpha").addEventListener("input", strength);
  at("alpha").addEventListener("change", () => { if (at("turns").firstChild) ask(); });
  at("against").addEventListener("change", () => document.querySelectorAll("#turns .tok").forEach(colour));
  const token = (e) => e.target.closest?.("#turns .tok");
  at("turns").addEventListener("pointerover", (e) => { if (token(e)) tell(token(e)); });
  at("turns").addEventListener("pointerout", (e) => { if (e.pointerType === "mouse") hide(); });
  at("turns").addEventListener("focusin", (e) => { if (token(e)) tell(token(e)); });
  at("turns").addEventListener("focusout", hide);
  at("turns").addEventListener("keydown", (e) => {
    const now = token(e), next = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[e.key];
    if (!now || !next || !now[next]?.piece) return;
    e.preventDefault();
    now.tabIndex = -1;
    now[next].tabIndex = 0;
    now[next].focus();
  });
  addEventListener("keydown", (e) => { if (e.key === "Escape") { hide(); running?.abort(); } });
  addEventListener("pointerdown", (e) => { if (!token(e) && !pop.contains(e.target)) hide(); });
  strength();
  at("send").disabled = false;
  at("question").focus();
  document.documentElement.dataset.ready = "1";
})();
