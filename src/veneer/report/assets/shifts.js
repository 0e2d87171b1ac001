"use strict";
// The table of token shifts with its filters.
(() => {
  const { el, code, pager, filters } = Veneer;
  const CLASSES = ["unshifted", "marginal", "shifted", "–"];
  const A_PAGE = 15;

  Veneer.mounts.shifts = (box, table) => {
    const body = box.querySelector("tbody");
    const form = filters(box, () => { pages.reset(); draw(); });
    const pages = pager(box.querySelector(".pager"), draw, "Pages of token shifts");
    function draw() {
      const wanted = ["class", "restored", "group", "task"].map((f) => form.of(f)), find = form.find();
      const rows = table.rows.filter((r) => wanted.every((w, i) => w === "" || r[4 + i] === Number(w))
        && (!find || [r[0], r[1], r[2]].some((id) => table.tokens[id].toLocaleLowerCase().includes(find))));
      body.replaceChildren(...pages.slice(rows, A_PAGE).map((r) => el("tr", {},
        ...[r[0], r[1], r[2]].map((id) => el("td", {}, code(table, id))),
        el("td", { class: "num" }, r[3].toLocaleString("en")), el("td", {}, CLASSES[r[4]]),
        ...(table.groups.length ? [el("td", {}, table.groups[r[6]] ?? "–")] : []),
        el("td", {}, r[5] ? "✓" : "✗", el("span", { class: "word" }, r[5] ? " yes" : " no")))));
      form.tell(rows.length.toLocaleString("en") + " kinds, " + rows.reduce((sum, r) => sum + r[3], 0).toLocaleString("en") + " places");
      box.dispatchEvent(new CustomEvent("shown", { detail: rows }));
    }
    box.drawn = draw;
    if (Veneer.flows) Veneer.flows(box, table);
    draw();
  };
})();
