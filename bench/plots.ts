// Curves as SVG, drawn by ECharts without a browser. On white, so that they can be read on a dark page too.
import { init, use } from "echarts/core";
import { LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";

use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

/** Curves over one quantity. */
export interface Plot {
  /** Name of the file. */
  readonly name: string;
  readonly title: string;
  /** What runs along the axis, with its unit. */
  readonly x: string;
  readonly y: string;
  readonly curves: Readonly<Record<string, readonly (readonly [x: number, y: number])[]>>;
  /** Whether the horizontal axis counts powers rather than steps. */
  readonly logarithmic?: boolean;
}

/** Draws a plot. */
export function draw({ title, x, y, curves, logarithmic }: Plot): string {
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
      type: "line" as const,
      data: data.map((point) => [...point]),
      symbolSize: 7,
      lineStyle: { width: name === "Linger" ? 3.5 : 2 },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

const axis = {
  nameLocation: "middle" as const,
  nameTextStyle: { color: "#1f2328", fontSize: 13 },
  axisLabel: { color: "#1f2328", formatter: (value: number) => value.toLocaleString("en") },
  axisLine: { show: true, lineStyle: { color: "#59636e" } },
  splitLine: { lineStyle: { color: "#d1d9e0" } },
};
