"use strict";
// Hands each element with data-mount its data.
(async () => {
  document.getElementById("old").hidden = "DecompressionStream" in window;
  for (const box of document.querySelectorAll("[data-mount]")) {
    const mount = Veneer.mounts[box.dataset.mount];
    if (mount) mount(box, box.dataset.blob ? await Veneer.unpack(box.dataset.blob) : undefined);
  }
  Veneer.legends(document);
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => Veneer.copy(button.parentNode.querySelector("code"), button));
  }
  // details that are closed would not be printed
  addEventListener("beforeprint", () => { for (const d of document.querySelectorAll("details:not([open])")) { d.open = true; d.dataset.closed = "1"; } });
  addEventListener("afterprint", () => { for (const d of document.querySelectorAll("details[data-closed]")) { d.open = false; delete d.dataset.closed; } });
  document.documentElement.dataset.ready = "1";
})().catch((e) => { document.documentElement.dataset.errors = "1"; console.error(e); });
