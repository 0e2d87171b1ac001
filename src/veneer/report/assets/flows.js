"use strict";
// Token shifts as flows: base's top token -> the veneer's -> the aligned model's, as ribbons as wide as their count.
(() => {
  const { svg, plain } = Veneer;
  const NODES = 9, GAP = 7, BAR = 12, TOP = 26, HEIGHT = 430;

  // The NODES most frequent tokens of each column; the rest flow together.
  function columns(rows) {
    return [0, 1, 2].map((column) => {
      const counts = new Map();
      for (const r of rows) counts.set(r[column], (counts.get(r[column]) ?? 0) + r[3]);
      const sorted = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
      const few = sorted.length <= NODES + 1 ? sorted : sorted.slice(0, NODES);
      const nodes = few.map(([id, count]) => ({ id, count }));
      const rest = sorted.slice(few.length);
      if (rest.length) nodes.push({ id: -1, count: rest.reduce((s, x) => s + x[1], 0), kinds: rest.length });
      const place = new Map(nodes.map((n, i) => [n.id, i]));
      return { nodes, of: (id) => place.get(id) ?? nodes.length - 1 };
    });
  }

  function flows(rows, three, grouped) {
    const merged = new Map();
    for (const r of rows) {
      const ends = three.map((c, i) => c.of(r[i])), colour = grouped ? r[6] : r[5] ? 0 : 1;
      const key = [...ends, colour].join(" ");
      const flow = merged.get(key) ?? { ends, colour, count: 0 };
      flow.count += r[3];
      merged.set(key, flow);
    }
    return [...merged.values()];
  }

  function draw(box, table, rows) {
    const grouped = table.groups.length > 0, width = Math.max(300, box.clientWidth);
    box.replaceChildren();
    if (!rows.length) return;
    const three = columns(rows), all = flows(rows, three, grouped), total = rows.reduce((s, r) => s + r[3], 0);
    const label = Math.min(130, width * 0.21), xs = [label, (width - BAR) / 2, width - label - BAR];
    const most = Math.max(...three.map((c) => c.nodes.length)), unit = (HEIGHT - GAP * (most - 1)) / total;
    for (const c of three) {
      let y = TOP + (HEIGHT - unit * total - GAP * (c.nodes.length - 1)) / 2;
      for (const n of c.nodes) { n.y = y; n.h = Math.max(1, n.count * unit); n.out = n.in = 0; y += n.count * unit + GAP; }
    }
    const kind = (f) => grouped ? (table.groups[f.colour] ?? "other") : f.colour ? "missed" : "restored";
    const name = (column, i) => { const n = three[column].nodes[i]; return n.id < 0 ? n.kinds + " others" : plain(table.tokens[n.id], 24); };
    const picture = svg("svg", { class: "flow", width, height: HEIGHT + TOP + 8, viewBox: `0 0 ${width} ${HEIGHT + TOP + 8}`, role: "img", "aria-label": "Flows of the most frequent token shifts, "
      + total.toLocaleString("en") + " places. The table below has every figure." });
    ["base", "veneer", "aligned"].forEach((text, i) => picture.append(svg("text", { class: "column", x: xs[i] + BAR / 2, y: 12, "text-anchor": "middle" }, text)));
    const ribbons = svg("g", { class: "ribbons" });
    all.forEach((f) => { f.group = svg("g", { class: "ribbon g-" + kind(f) },
      svg("title", {}, f.ends.map((e, i) => name(i, e)).join(" → ") + ": " + f.count.toLocaleString("en") + ", " + kind(f))); ribbons.append(f.group); });
    for (const side of [0, 1]) {
      const sorted = [...all].sort((a, b) => a.ends[side] - b.ends[side] || a.ends[side + 1] - b.ends[side + 1] || a.colour - b.colour);
      for (const f of sorted) { const n = three[side].nodes[f.ends[side]]; f.y1 = n.y + n.out; n.out += f.count * unit; }
      sorted.sort((a, b) => a.ends[side + 1] - b.ends[side + 1] || a.ends[side] - b.ends[side] || a.colour - b.colour);
      for (const f of sorted) { const n = three[side + 1].nodes[f.ends[side + 1]]; f.y2 = n.y + n.in; n.in += f.count * unit; }
      const a = xs[side] + BAR, b = xs[side + 1], m = (a + b) / 2;
      for (const f of all) {
        const h = Math.max(0.75, f.count * unit);
        f.group.append(svg("path", { d: `M${a},${f.y1}C${m},${f.y1} ${m},${f.y2} ${b},${f.y2}V${f.y2 + h}C${m},${f.y2 + h} ${m},${f.y1 + h} ${a},${f.y1 + h}Z` }));
      }
    }
    picture.append(ribbons);
    three.forEach((c, column) => c.nodes.forEach((n, i) => {
      picture.append(svg("rect", { class: "node", x: xs[column], y: n.y, width: BAR, height: n.h, rx: 1.5 }));
      if (n.h < 9 && i < c.nodes.length - 1 && c.nodes.length > 4) return; // a label would run into the next
      const x = [xs[0] - 7, xs[1] + BAR + 6, xs[2] + BAR + 7][column];
      const text = svg("text", { class: "token" + (column === 1 ? " halo" : ""), x, y: n.y + n.h / 2 + 4, "text-anchor": column ? "start" : "end" });
      const room = Math.max(4, Math.floor((label - 8) / 7.4));
      text.append(svg("tspan", {}, n.id < 0 ? n.kinds + " others" : plain(table.tokens[n.id], room)));
      if (width > 700) text.append(svg("tspan", { class: "count", dx: 6 }, n.count.toLocaleString("en")));
      picture.append(text);
    }));
    box.append(picture);
  }

  Veneer.flows = (box, table) => {
    const place = box.querySelector("[data-flow]");
    if (!place) return;
    let rows = [], width = 0;
    box.addEventListener("shown", (e) => { rows = e.detail; draw(place, table, rows); });
    const fit = () => { if (place.clientWidth !== width) { width = place.clientWidth; draw(place, table, rows); } };
    new ResizeObserver(() => requestAnimationFrame(fit)).observe(place); // a drawing within the observer would call it again
  };
})();
