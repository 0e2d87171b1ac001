"use strict";
// The table of all results: sorting, filtering, saving.
(() => {
  const { el, filters } = Veneer;

  function sortable(table, data) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const place = new Map([...body.rows].map((row, i) => [row, i]));
    const value = (row, column) => { const v = data.rows[place.get(row)][column]; return Array.isArray(v) ? v[0] : v; };
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const h of heads) h.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...[...body.rows].sort((a, b) => {
        const x = value(a, column), y = value(b, column);
        if (x == null || y == null) return (x == null) - (y == null); // what is missing stays at the end
        return (typeof x === "number" ? x - y : String(x).localeCompare(String(y))) * (down ? -1 : 1);
      }));
    }));
  }

  function save(data, kind) {
    let text;
    const quote = (v) => {
      if (v == null) return "";
      if (Array.isArray(v)) v = v.join("-");
      // a spreadsheet must not take text for a formula
      return typeof v === "number" ? String(v) : '"' + String(v).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""') + '"';
    };
    if (kind === "json") text = data.rows.map((r) => JSON.stringify(Object.fromEntries(data.fields.map((f, i) => [f, r[i]]))) + "\n").join("");
    else text = [data.fields.join(","), ...data.rows.map((r) => r.map(quote).join(","))].join("\r\n") + "\r\n";
    const url = URL.createObjectURL(new Blob([text], { type: kind === "json" ? "application/json" : "text/csv" }));
    el("a", { href: url, download: "results." + (kind === "json" ? "jsonl" : "csv") }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  Veneer.mounts.rows = (box, data) => {
    const table = box.querySelector("table"), rows = [...table.tBodies[0].rows];
    const texts = rows.map((row) => [...row.cells].map((c) => c.textContent).join(" ").toLocaleLowerCase());
    const form = filters(box, draw);
    function draw() {
      const words = form.find().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, i) => { row.hidden = !words.every((w) => texts[i].includes(w)); shown += !row.hidden; });
      form.tell(shown === rows.length ? shown.toLocaleString("en") + " rows" : shown.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " rows");
    }
    sortable(table, data);
    box.querySelectorAll("[data-save]").forEach((b) => b.addEventListener("click", () => save(data, b.dataset.save)));
    // a link to a row that the filter hides shows it
    addEventListener("hashchange", () => {
      const row = document.getElementById(location.hash.slice(1));
      if (row && row.hidden && box.contains(row)) { box.querySelector("form").reset(); draw(); row.scrollIntoView({ block: "center" }); }
    });
    draw();
  };
})();
