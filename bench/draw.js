// Draws plots as SVG with ECharts, without a browser: plots come on standard input as a JSON array, their SVG texts leave on
// standard output as another. A program of its own that takes no part in deno.json, since whatever stands there is installed
// for everyone who starts Linger, and ECharts is larger than all the rest. On white, so that it can be read on a dark page too.
import { LineChart } from "npm:echarts@6.1.0/charts";
import { GridComponent, LegendComponent, TitleComponent } from "npm:echarts@6.1.0/components";
import { init, use } from "npm:echarts@6.1.0/core";
import { SVGRenderer } from "npm:echarts@6.1.0/renderers";

use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const axis = {
  nameLocation: "middle",
  nameTextStyle: { color: "#1f2328", fontSize: 13 },
  axisLabel: { color: "#1f2328", formatter: (value) => value.toLocaleString("en") },
  axisLine: { show: true, lineStyle: { color: "#59636e" } },
  splitLine: { lineStyle: { color: "#d1d9e0" } },
};

const plots = await new Response(Deno.stdin.readable).json();
console.log(JSON.stringify(plots.map(draw)));

function draw({ title, x, y, curves, logarithmic }) {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: 760, height: 420 });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    color: ["#0969da", "#cf222e", "#1a7f37", "#8250df"],
    title: { text: title, left: "center", top: 8, textStyle: { fontSize: 16, color: "#1f2328" } },
    legend: { top: 36, textStyle: { color: "#1f2328" } },
    grid: { left: 80, right: 40, top: 80, bottom: 60 },
    xAxis: { ...axis, type: logarithmic ? "log" : "value", max: "dataMax", name: x, nameGap: 32 },
    yAxis: { ...axis, type: "value", min: 0, name: y, nameGap: 58 },
    series: Object.entries(curves).map(([name, data]) => ({
      name,
      type: "line",
      data: data.map((point) => [...point]),
      symbolSize: 7,
      lineStyle: { width: name === "Linger" ? 3.5 : 2 },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
