"use strict";
// Legends hide and show what they name: [data-series] in a legend stands for every [data-series] of that name in the same
// figure, or in the same [data-legend]. Without this script a legend is text, and what is hidden stays hidden.
Veneer.legends = (root) => {
  const boxes = new Map();
  for (const entry of root.querySelectorAll(".legend [data-series]")) {
    const box = entry.closest("[data-legend], figure");
    if (!box) continue;
    if (!boxes.has(box)) boxes.set(box, []);
    const button = Veneer.el("button", { type: "button", class: entry.className, "data-for": entry.dataset.series, "aria-pressed": String(!entry.hasAttribute("data-off")) });
    button.append(...entry.childNodes);
    entry.replaceWith(button);
    boxes.get(box).push({ button, wide: entry.hasAttribute("data-off") });
  }
  for (const [box, entries] of boxes) {
    const on = (e) => e.button.getAttribute("aria-pressed") === "true";
    const draw = () => {
      const off = new Set(entries.filter((e) => !on(e)).map((e) => e.button.dataset.for));
      for (const part of box.querySelectorAll("[data-series]")) part.classList.toggle("off", off.has(part.dataset.series));
      // a chart whose scale holds what is hidden at first, in the place of the one whose scale does not
      const wide = entries.some((e) => e.wide && on(e));
      for (const chart of box.querySelectorAll("[data-scale]")) chart.hidden = (chart.dataset.scale === "wide") !== wide;
    };
    for (const e of entries) e.button.addEventListener("click", () => { e.button.setAttribute("aria-pressed", String(!on(e))); draw(); });
  }
};
