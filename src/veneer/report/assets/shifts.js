"use strict";
// The table of token shifts with its filters.
(() => {
  const { el, code, pager, filters } = Veneer;
  const CLASSES = ["unshifted", "marginal", "shifted", "–"];
  const A_PAGE = 15;

  // Shifts that differ only in their task are one kind of shift: the table has no column of tasks.
  const merged = (rows) => {
    const kinds = new Map();
    for (const r of rows) {
      const key = r.slice(0, 3).concat(r.slice(4, 7)).join(" "), kind = kinds.get(key);
      if (kind) kind[3] += r[3];
      else kinds.set(key, [...r]);
    }
    return [...kinds.values()].sort((a, b) => b[3] - a[3]);
  };

  Veneer.mounts.shifts = (box, table) => {
    const body = box.querySelector("tbody");
    const form = filters(box, () => { pages.reset(); draw(); });
    const pages = pager(box.querySelector(".pager"), draw, "Pages of token shifts");
    function draw() {
      const wanted = ["class", "restored", "group", "task"].map((f) => form.of(f)), find = form.find();
      const rows = table.rows.filter((r) => wanted.every((w, i) => w === "" || r[4 + i] === Number(w))
        && (!find || [r[0], r[1], r[2]].some((id) => table.tokens[id].toLocaleLowerCase().includes(find))));
      const kinds = merged(rows);
      body.replaceChildren(...pages.slice(kinds, A_PAGE).map((r) => el("tr", {},
        ...[r[0], r[1], r[2]].map((id) => el("td", {}, code(table, id))),
        el("td", { class: "num" }, r[3].toLocaleString("en")), el("td", {}, CLASSES[r[4]]),
        ...(table.groups.length ? [el("td", {}, table.groups[r[6]] ?? "–")] : []),
        el("td", {}, r[5] ? "✓" : "✗", el("span", { class: "word" }, r[5] ? " yes" : " no")))));
      form.tell(kinds.length.toLocaleString("en") + " kinds, " + rows.reduce((sum, r) => sum + r[3], 0).toLocaleString("en") + " places");
      box.dispatchEvent(new CustomEvent("shown", { detail: rows }));
    }
    box.drawn = draw;
    if (Veneer.flows) Veneer.flows(box, table);
    draw();
  };
})();
