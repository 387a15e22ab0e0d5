"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
const options = { responsive: true, displaylogo: false };

/* Plotly's colours are the page's, which follow the reader's light or dark setting. */
function template() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  const axis = { gridcolor: of("--line"), zerolinecolor: of("--line"), linecolor: of("--line"), automargin: true };
  const curve = { line: { width: 1.6 }, hovertemplate: "%{fullData.name}<br>step %{x}: %{y:.4g}<extra></extra>" };
  return {
    data: { scatter: [curve] },
    layout: {
      paper_bgcolor: of("--paper"),
      plot_bgcolor: of("--paper"),
      font: { color: of("--ink"), family: "system-ui, sans-serif" },
      xaxis: axis,
      yaxis: axis,
      hoverlabel: { bgcolor: of("--raised"), bordercolor: of("--line"), font: { color: of("--ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: of("--soft"), activecolor: of("--link") },
    },
  };
}

function draw(place, figure, traces) {
  /* when the window changes its size Plotly takes the height from the element */
  document.getElementById(place).style.height = `${figure.layout.height}px`;
  Plotly.react(place, traces || figure.data, { ...figure.layout, template: template() }, options);
}

function drawCurves() {
  const level = Number(document.getElementById("smoothing").value);
  const figure = figures.curves[document.getElementById("metric").value];
  const shown = new Set([...document.querySelectorAll("#chosen input:checked")].map((box) => Number(box.value)));
  /* smoothed curves are drawn over the pale curve that they were made of */
  const traces = figure.data
    .filter((trace) => shown.has(trace.meta.run) && (trace.meta.level === level || trace.meta.level === 0))
    .map((trace) => (trace.meta.level === level ? trace : { ...trace, opacity: 0.25, hoverinfo: "skip" }));
  draw("curves-chart", figure, traces);
}

function drawAll() {
  if (document.getElementById("curves-chart")) drawCurves();
  for (const [place, figure] of Object.entries(figures.others)) draw(place, figure);
}

for (const control of document.querySelectorAll("#metric, #smoothing, #chosen input")) {
  control.addEventListener("change", drawCurves);
}
for (const button of document.querySelectorAll("#chosen button")) {
  button.addEventListener("click", () => {
    for (const box of document.querySelectorAll("#chosen input")) box.checked = button.value === "all";
    drawCurves();
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
drawAll();
