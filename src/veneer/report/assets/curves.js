"use strict";
// One chart of KL by position at a time; without this script all of them stand below each other.
Veneer.mounts.curves = (box) => {
  const choice = box.querySelector("select"), charts = [...box.querySelectorAll("figure.curve")];
  const draw = () => charts.forEach((chart, i) => { chart.hidden = i !== choice.selectedIndex; });
  choice.closest("p").hidden = false;
  choice.addEventListener("input", draw);
  draw();
};
