/*
 * chart.js
 *	  The chart: draws series over a window, and turns gestures into another window.
 *
 * The axis counts nanoseconds from the start of the data (base), so that the numbers that uPlot
 * works with are exact.  The window may move before new data has come.
 */
import {clampTime, ticks, tickLabels} from "./time.js";

const HEIGHT_PX = 340;
const NARROW_HEIGHT_PX = 260;
const TICK_PX = 90;
const WHEEL_FACTOR = 1.2;
const MIN_SPAN = 1000n;
const MAX_SPAN = 2n ** 63n;

const SHAPES = {
	/* a value holds from its sample on */
	after: () => uPlot.paths.stepped({align: 1}),
	/* a value holds for the period that ends with its sample */
	before: () => uPlot.paths.stepped({align: -1}),
	line: () => uPlot.paths.linear(),
};

export class Chart {
	/*
	 * onWindow(start, end, settled) is told of another window, and onCursor(index or null) of the
	 * cursor.
	 */
	constructor(element, {onWindow, onCursor, onBack}) {
		this.element = element;
		this.onWindow = onWindow;
		this.onCursor = onCursor;
		this.start = 0n;
		this.end = 1n;
		this.base = 0n;
		this.series = [];
		this.data = [[]];
		this.utc = false;
		this.plot = null;
		this.made = null;
		this.bindKeys(onBack);
		new ResizeObserver(() => this.resize()).observe(element);
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.remake());
	}

	/* The width of the plot in pixels, which is estimated before it is drawn. */
	width() {
		return Math.max(50, this.plot?.over.clientWidth || this.element.clientWidth - 60);
	}

	setWindow(start, end) {
		this.start = start;
		this.end = end;
		if (this.plot !== null)
			this.plot.setData(this.data);
	}

	/*
	 * series: [{label, unit, color, dash, shape, focused, times: BigInt[], values: (number or null)[]}].
	 * Series without a scale of their own share one.
	 */
	setData(base, series, {own, utc}) {
		const tables = new Map();
		this.base = base;
		this.utc = utc;
		this.series = series;
		for (const one of series) {
			if (!tables.has(one.times))
				tables.set(one.times, [one.times.map(time => Number(time - base))]);
			tables.get(one.times).push(one.values);
		}
		/* join() puts the tables side by side, in the order of the series. */
		this.data = tables.size === 0 ? [[]] : tables.size === 1 ? [...tables.values()][0]
			: uPlot.join([...tables.values()]);
		const made = JSON.stringify([own, utc, series.map(one =>
			[one.label, one.unit, one.color, one.dash, one.shape, one.focused])]);
		if (made !== this.made || this.plot === null) {
			this.made = made;
			this.own = own;
			this.remake();
		} else
			this.plot.setData(this.data);
	}

	/* The time and value of a series under the cursor; null if there is none. */
	at(seriesIndex, index) {
		const values = this.data[seriesIndex + 1];
		for (let i = index; values !== undefined && i >= 0; i--) {
			if (values[i] !== undefined)
				return values[i];
		}
		return null;
	}

	timeAt(index) {
		const x = this.data[0][index];
		return x === undefined ? null : this.base + BigInt(Math.round(x));
	}

	resize() {
		if (this.plot === null)
			return;
		const size = this.size();
		if (size.width !== this.plot.width || size.height !== this.plot.height)
			this.plot.setSize(size);
	}

	size() {
		const width = Math.max(200, this.element.clientWidth);
		return {width, height: width < 560 ? NARROW_HEIGHT_PX : HEIGHT_PX};
	}

	remake() {
		this.plot?.destroy();
		this.plot = null;
		if (this.series.length > 0)
			this.plot = new uPlot(this.options(), this.data, this.element);
	}

	options() {
		const style = getComputedStyle(this.element);
		const color = name => style.getPropertyValue(name).trim();
		const focused = Math.max(0, this.series.findIndex(one => one.focused));
		const axis = {stroke: color("--quiet"), grid: {stroke: color("--grid"), width: 1},
			ticks: {stroke: color("--grid"), width: 1, size: 4}, font: "12px system-ui, sans-serif"};
		const label = this.axisLabel(focused);
		const scales = {x: {time: false, range: () => this.range()}};
		this.series.forEach((one, index) => {
			scales[this.own ? `y${index}` : "y"] = {range: {min: {pad: 0.05, soft: null},
				max: {pad: 0.05, soft: null}}};
		});
		return {
			...this.size(),
			scales,
			legend: {show: false},
			padding: [8, 20, 0, 0],
			cursor: {y: false, drag: {setScale: false, x: true, y: false}, points: {size: 7},
				bind: {dblclick: () => () => {}, mousedown: (plot, target, handler) => event =>
					event.shiftKey || event.button === 1 ? this.startPan(event) : handler(event)}},
			axes: [
				{...axis, size: 40, splits: () => this.splits(), values: (plot, splits) =>
					tickLabels(splits.map(x => this.base + BigInt(Math.round(x))), this.utc)},
				{...axis, scale: this.own ? `y${focused}` : "y", size: this.axisSize,
					...(this.own ? {stroke: this.series[focused].color} : {}),
					...(label ? {label, labelFont: axis.font, labelSize: 20} : {}),
					values: (plot, splits) => splits.map(axisNumber)},
			],
			series: [{}, ...this.series.map((one, index) => ({
				label: one.label, stroke: one.color, dash: one.dash,
				width: one.focused ? 2.5 : 1.5, scale: this.own ? `y${index}` : "y",
				paths: SHAPES[one.shape](), points: {show: this.showPoints}, spanGaps: false,
			}))],
			hooks: {
				setSelect: [plot => this.zoomToSelection(plot)],
				setCursor: [plot => this.onCursor(plot.cursor.idx ?? null)],
				ready: [plot => this.bindPlot(plot)],
			},
		};
	}

	/* The focused series' name and unit; on a shared scale the unit, if all series have the same. */
	axisLabel(focused) {
		const {label, unit} = this.series[focused];
		if (this.own)
			return unit ? `${label} (${unit})` : label;
		return this.series.every(one => one.unit === unit) ? unit : "";
	}

	range() {
		return [Number(this.start - this.base), Number(this.end - this.base)];
	}

	splits() {
		const count = Math.max(2, Math.floor(this.width() / TICK_PX));
		return ticks(this.start, this.end, count, this.utc).map(time => Number(time - this.base));
	}

	axisSize(plot, labels) {
		const longest = Math.max(0, ...(labels ?? []).map(label => label.length));
		return Math.max(44, longest * 7.2 + 14);
	}

	/* Points are drawn if they are far enough apart, so that a single sample is seen too. */
	showPoints(plot, seriesIndex) {
		const values = plot.data[seriesIndex];
		let count = 0;
		for (const value of values)
			count += value !== null && value !== undefined;
		return count > 0 && count < plot.over.clientWidth / 12;
	}

	/* Gestures */

	timeAtPixel(px) {
		const span = this.end - this.start;
		const share = Math.round(px / this.plot.over.clientWidth * 1e9);
		return this.start + span * BigInt(share) / 1_000_000_000n;
	}

	zoomToSelection(plot) {
		if (plot.select.width < 4)
			return;
		const start = this.timeAtPixel(plot.select.left);
		const end = this.timeAtPixel(plot.select.left + plot.select.width);
		plot.setSelect({left: 0, top: 0, width: 0, height: 0}, false);
		this.ask(start, end, true);
	}

	ask(start, end, settled) {
		if (end - start < MIN_SPAN)
			end = start + MIN_SPAN;
		/* Times are rounded by less than can be seen, so that they are short. */
		const step = 10n ** BigInt(Math.max(0, Math.floor(Math.log10(Number(end - start) / 5000))));
		start = clampTime(start / step * step);
		end = clampTime(end / step * step);
		if (start < end)
			this.onWindow(start, end, settled);
	}

	/* Moves by a share of the window; positive is later. */
	pan(share) {
		const by = (this.end - this.start) * BigInt(Math.round(share * 1000)) / 1000n;
		if (clampTime(this.start + by) === this.start + by && clampTime(this.end + by) === this.end + by)
			this.ask(this.start + by, this.end + by, true);
	}

	/* Widens the window by factor around the place at share of its width. */
	zoom(factor, share = 0.5) {
		const span = this.end - this.start;
		const thousand = BigInt(Math.round(share * 1000));
		let wanted = span * BigInt(Math.round(factor * 1000)) / 1000n;
		wanted = wanted < MIN_SPAN ? MIN_SPAN : wanted > MAX_SPAN ? MAX_SPAN : wanted;
		const start = this.start + (span - wanted) * thousand / 1000n;
		this.ask(start, start + wanted, true);
	}

	startPan(event) {
		const {start, end} = this;
		const span = Number(end - start);
		const move = later => {
			const by = BigInt(Math.round((event.clientX - later.clientX) /
				this.plot.over.clientWidth * span));
			this.ask(start + by, end + by, false);
		};
		const stop = () => {
			removeEventListener("mousemove", move);
			removeEventListener("mouseup", stop);
			this.ask(this.start, this.end, true);
		};
		addEventListener("mousemove", move);
		addEventListener("mouseup", stop);
	}

	bindPlot(plot) {
		plot.over.addEventListener("wheel", event => {
			event.preventDefault();
			if (Math.abs(event.deltaX) > Math.abs(event.deltaY))
				this.pan(event.deltaX / plot.over.clientWidth);
			else if (event.deltaY !== 0)
				this.zoom(event.deltaY > 0 ? WHEEL_FACTOR : 1 / WHEEL_FACTOR,
					event.offsetX / plot.over.clientWidth);
		}, {passive: false});
		this.bindTouch(plot.over);
	}

	/* One finger moves the window, and two stretch it; the page still scrolls up and down. */
	bindTouch(over) {
		const touches = new Map();
		let from = null;
		const begin = () => {
			from = {start: this.start, end: this.end, places: [...touches.values()]};
		};
		over.addEventListener("pointerdown", event => {
			if (event.pointerType !== "touch")
				return;
			touches.set(event.pointerId, event.clientX);
			begin();
		});
		over.addEventListener("pointermove", event => {
			if (!touches.has(event.pointerId))
				return;
			touches.set(event.pointerId, event.clientX);
			const box = over.getBoundingClientRect();
			const span = Number(from.end - from.start);
			const time = x => (x - box.left) / box.width;
			const places = [...touches.values()].map(time);
			const before = from.places.map(time);
			let width = 1;
			if (places.length > 1)
				width = Math.abs(before[0] - before[1]) / Math.max(0.02, Math.abs(places[0] - places[1]));
			const start = from.start + BigInt(Math.round(span * (before[0] - places[0] * width)));
			this.ask(start, start + BigInt(Math.round(span * width)), false);
		});
		for (const name of ["pointerup", "pointercancel"])
			over.addEventListener(name, event => {
				if (!touches.delete(event.pointerId))
					return;
				begin();
				if (touches.size === 0)
					this.ask(this.start, this.end, true);
			});
	}

	bindKeys(onBack) {
		const keys = {
			ArrowLeft: () => this.pan(-0.25), ArrowRight: () => this.pan(0.25),
			"+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2),
			Backspace: onBack,
		};
		this.element.addEventListener("keydown", event => {
			const action = keys[event.key];
			if (action === undefined || event.ctrlKey || event.altKey || event.metaKey)
				return;
			event.preventDefault();
			action();
		});
	}
}

/* The numbers of an axis, without an exponent if that is short. */
function axisNumber(number) {
	if (number === null)
		return "";
	const size = Math.abs(number);
	if (number !== 0 && (size >= 1e7 || size < 1e-4))
		return number.toExponential().replace("e+", "e");
	return String(+number.toPrecision(12));
}
