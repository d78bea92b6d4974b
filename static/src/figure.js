// Draws one of plotly's figures in a frame of its own, in the colours of the page where the figure names none.
const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
const line = "#3a444b";
const clear = "rgba(0, 0, 0, 0)";
const axis = { gridcolor: line, linecolor: line, zerolinecolor: line };
const wall = { ...axis, backgroundcolor: clear };
const dark = {
  paper_bgcolor: clear,
  plot_bgcolor: clear,
  font: { color: "#e4e6e5" },
  xaxis: axis,
  yaxis: axis,
  scene: { xaxis: wall, yaxis: wall, zaxis: wall },
};

const { data, layout = {}, config } = JSON.parse(document.getElementById("data").textContent);
const { width, height, ...rest } = layout;
const margin = { t: layout.title ? 64 : 32, r: 32, b: 48, l: 56 };
const template = { ...rest.template, layout: { ...rest.template?.layout, margin, ...(isDark ? dark : {}) } };
Plotly.newPlot("figure", data, { ...rest, template, autosize: true }, { ...config, displaylogo: false, responsive: true });
