/*
 * panel.js
 *	  One plot of uPlot: lines over the window, with the axes.
 *
 * The axis of times counts nanoseconds from the start of the data (base), so that the numbers that
 * uPlot works with are exact.
 */
import {axisExponent, axisLabels, axisRange, axisTicks, numberText} from "./numbers.js";
import {ticks, tickLabels} from "./time.js";

const FONT = "12px system-ui, -apple-system, \"Segoe UI\", Roboto, \"Noto Sans\", \"DejaVu Sans\", sans-serif";
const TICK_PX = 34; /* between labels of values */
const LEAST_TICKS = 3;
export const TIMES_PX = 40; /* the height of the times below a plot */
const LABEL_GAP_PX = 32; /* between labels of times */
const LEAST_LABEL_PX = 36;
export const RIGHT_PX = 18; /* to the right of the plot, for the last label */
const POINT_PX = 12; /* of width for each sample, so that points are drawn */
const DOTS = [2, 4];

const SHAPES = {
	/* a value holds from its sample on */
	after: () => uPlot.paths.stepped({align: 1}),
	/* a value holds for the period that ends with its sample */
	before: () => uPlot.paths.stepped({align: -1}),
	line: () => uPlot.paths.linear(),
};

const measure = document.createElement("canvas").getContext("2d");

/* The width of a text of an axis in pixels. */
export function textWidth(text) {
	measure.font = FONT;
	return Math.max(...text.split("\n").map(line => measure.measureText(line).width));
}

/* The least and greatest value in the window; beside it, if there is none within. */
function extremes(series, end) {
	let [least, greatest] = [Infinity, -Infinity];
	for (const inside of [true, false]) {
		for (const {xs, ys, parts} of series) {
			const see = (x, y) => {
				if (y !== null && (!inside || (x >= 0 && x <= end))) {
					least = Math.min(least, y);
					greatest = Math.max(greatest, y);
				}
			};
			xs.forEach((x, index) => see(x, ys[index]));
			parts.dotted.xs.forEach((x, index) => see(x, parts.dotted.ys[index]));
		}
		if (least <= greatest)
			break;
	}
	return [least, greatest];
}

export class Panel {
	/*
	 * chart is the Chart that it is part of; series are those of series.js; own: each has a scale of
	 * its own; bottom: the times are written.
	 */
	constructor(chart, element, series, {own, bottom, height}) {
		this.chart = chart;
		this.element = element;
		this.own = own;
		this.bottom = bottom;
		this.height = height;
		this.cursorPlaces = new Map(); /* of lines of uPlot to places in the data, which have points */
		this.update(series);
	}

	/* Takes new samples of the same lines. */
	update(series) {
		this.series = series;
		const end = Number(this.chart.end - this.chart.base);
		this.axes = (this.own ? series.map(one => [one]) : [series]).map(group => this.axisOf(group, end));
		const tables = series.flatMap(({parts}, index) => {
			const {unit} = this.axes[this.own ? index : 0];
			const scaled = ({xs, ys}) => [xs, unit === 1 ? ys : ys.map(y => y / unit)];
			return [scaled(parts.solid), scaled(parts.dotted)];
		});
		this.isolated = series.flatMap(({parts}) => [parts.single, new Set()]);
		/* join() puts the tables side by side, in the order of the lines. */
		this.data = uPlot.join(tables);
	}

	/* The axis of lines: {low, high, marks} in a unit, which is a power of ten, and the labels of the marks. */
	axisOf(group, end) {
		const [least, greatest] = extremes(group, end);
		if (!(least <= greatest))
			return {unit: 1, low: 0, high: 1, marks: [], labels: []};
		const exponent = axisExponent(Math.max(Math.abs(least), Math.abs(greatest)));
		const unit = 10 ** exponent;
		const [low, high] = axisRange(least / unit, greatest / unit);
		const count = Math.max(LEAST_TICKS, Math.floor((this.height - TIMES_PX) / TICK_PX));
		const marks = axisTicks(low, high, count, least === greatest ? least / unit : null);
		return {unit, low, high, marks, labels: least === greatest && exponent !== 0 ? [numberText(least)]
			: axisLabels(marks, exponent)};
	}

	/* How wide the labels of values are. */
	labelWidth() {
		return Math.max(0, ...this.axes[0].labels.map(textWidth));
	}

	/* Shows the cursor at x, and points on samples, one of sampleAt() for each line; hides it if x is null. */
	setCursor(x, samples) {
		this.cursorPlaces.clear();
		if (this.plot === undefined)
			return;
		samples.forEach((sample, index) => {
			const place = sample === null ? -1 : this.data[0].indexOf(sample.x);
			for (const line of [2 * index + 1, 2 * index + 2]) {
				if (place >= 0 && (this.data[line][place] ?? null) !== null) {
					this.cursorPlaces.set(line, place);
					break;
				}
			}
		});
		this.plot.setCursor(x === null ? {left: -10, top: -10}
			: {left: this.plot.valToPos(x, "x"), top: this.plot.over.clientHeight / 2});
	}

	draw(width) {
		if (this.plot === undefined) {
			this.plot = new uPlot(this.options(width), this.data, this.element);
			return;
		}
		if (width !== this.plot.width)
			this.plot.setSize({width, height: this.height});
		this.plot.setData(this.data);
	}

	destroy() {
		this.plot?.destroy();
		this.element.remove();
	}

	options(width) {
		const style = getComputedStyle(this.chart.element);
		const color = name => style.getPropertyValue(name).trim();
		const axis = {stroke: color("--quiet"), grid: {stroke: color("--grid"), width: 1},
			ticks: {show: false}, font: FONT, gap: 8};
		const scales = {x: {time: false, range: () => this.chart.range()}};
		this.axes.forEach((_, index) => {
			scales[`y${index}`] = {range: () => [this.axes[index].low, this.axes[index].high]};
		});
		return {
			width, height: this.height, scales,
			legend: {show: false},
			padding: [10, RIGHT_PX, this.bottom ? 0 : 6, 0],
			cursor: {y: false, drag: {setScale: false, x: true, y: false}, dataIdx: (plot, place) => this.cursorPlaces.get(place) ?? null,
				points: {size: 9, width: 2, fill: color("--surface"), stroke: (plot, place) => plot.series[place].stroke()},
				move: (plot, left, top) => this.chart.moveCursor(this, left, top),
				bind: {dblclick: () => () => {}, mousedown: (plot, target, handler) => event =>
					event.shiftKey || event.button === 1 ? this.chart.gestures.startPan(event) : handler(event)}},
			axes: [
				{...axis, size: this.bottom ? TIMES_PX : 0, splits: () => this.timeMarks().map(mark => mark.x),
					values: () => this.bottom ? this.timeMarks().map(mark => mark.label) : []},
				{...axis, scale: "y0", size: () => this.chart.axisWidth,
					...(this.own && this.series.length > 1 ? {stroke: this.series[0].color} : {}),
					splits: () => this.axes[0].marks, values: () => this.axes[0].labels},
			],
			series: [{}, ...this.series.flatMap((one, index) => this.lines(one, index))],
			hooks: {
				setSelect: [plot => this.chart.gestures.zoomToSelection(plot)],
				setCursor: [plot => this.chart.cursorMoved(this, plot.cursor.left >= 0)],
				ready: [plot => this.chart.gestures.bind(plot.over)],
			},
		};
	}

	/* The solid and the dotted line of a series. */
	lines(one, index) {
		const common = {label: one.label, stroke: one.color, scale: this.own ? `y${index}` : "y0",
			paths: SHAPES[one.shape](), spanGaps: false, gaps: (plot, place) => this.blanksOf(plot, place)};
		return [
			{...common, dash: one.dash, width: 1.6, points: {size: 5, fill: one.color,
				show: plot => one.inside > 0 && this.series[index].inside < plot.over.clientWidth / POINT_PX,
				filter: (plot, place, show) => this.pointsOf(plot, place, show)}},
			{...common, dash: DOTS, width: 1.2, points: {show: false}},
		];
	}

	/* The spans in which a line of uPlot is not drawn, in pixels, with the upright strokes at their borders. */
	blanksOf(plot, place) {
		const {parts, shape} = this.series[(place - 1) >> 1];
		const {blanks} = place % 2 === 1 ? parts.solid : parts.dotted;
		return blanks.map(([from, to]) => [plot.valToPos(from, "x", true) - (shape === "before" ? 1 : 0),
			plot.valToPos(to, "x", true) + (shape === "after" ? 1 : 0)]);
	}

	/* The places of points that are drawn: samples, if they are few, or those without a neighbour. */
	pointsOf(plot, place, show) {
		const single = this.isolated[place - 1];
		const samples = show ? new Set(this.series[(place - 1) >> 1].xs) : single;
		if (!show && single.size === 0)
			return null;
		const places = [];
		plot.data[place].forEach((value, index) => {
			if (value !== null && value !== undefined && samples.has(plot.data[0][index]))
				places.push(index);
		});
		return places;
	}

	/*
	 * The marks of the axis of times; labels that would be cut are left out.  Marks and labels must be of one step, though
	 * uPlot asks for them one after the other: the widest label of a step decides whether its marks have room for it, and
	 * nothing is kept from one question to the next.
	 */
	timeMarks() {
		const {chart} = this;
		const width = chart.width();
		const span = Number(chart.end - chart.start);
		const fits = times => (place, label) => {
			const x = Number(times[place] - chart.start) / span * width;
			const half = textWidth(label) / 2;
			return x + half <= width + RIGHT_PX && x - half >= -chart.axisWidth;
		};
		for (let labelPx = LEAST_LABEL_PX;;) {
			const times = ticks(chart.start, chart.end, Math.max(2, Math.floor(width / (labelPx + LABEL_GAP_PX))), chart.utc);
			const labels = tickLabels(times, chart.utc, fits(times));
			const widest = Math.max(0, ...labels.map(label => textWidth(label.split("\n")[0])));
			if (widest <= labelPx)
				return times.map((time, index) => ({x: Number(time - chart.base), label: labels[index]}));
			labelPx = widest;
		}
	}
}
