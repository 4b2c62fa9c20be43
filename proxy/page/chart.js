/*
 * chart.js
 *	  The chart: one plot or one below the other, over one window, with one cursor.
 *
 * The window may move before new data has come.
 */
import {placeBefore, sampleAt} from "./continuity.js";
import {Gestures} from "./gestures.js";
import {cutName} from "./names.js";
import {Panel, RIGHT_PX, TIMES_PX} from "./panel.js";
import {Readout} from "./readout.js";

const HEIGHT_PX = 360;
const NARROW_HEIGHT_PX = 280;
const SMALL_HEIGHT_PX = 132;
const NARROW_PX = 560;
const LEAST_AXIS_PX = 44;
const WIDTH_STEP_PX = 12;

export class Chart {
	/*
	 * onWindow(start, end, settled) is told of another window, onCursor(time in nanoseconds, or null)
	 * of the cursor, onBack() of the wish for the window before.
	 */
	constructor(element, {onWindow, onCursor, onBack}) {
		this.element = element;
		this.onCursor = onCursor;
		this.start = 0n;
		this.end = 1n;
		this.base = 0n;
		this.series = [];
		this.panels = [];
		this.utc = false;
		this.axisWidth = LEAST_AXIS_PX;
		this.cursor = null; /* its time, counted from base */
		this.box = element.appendChild(document.createElement("div"));
		this.box.className = "panels";
		this.readout = new Readout(element);
		this.gestures = new Gestures(this, {onWindow, onBack});
		new ResizeObserver(() => this.resize()).observe(element);
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.remake());
	}

	/* The width of a plot in pixels, without its axis. */
	width() {
		return Math.max(50, this.fullWidth() - this.axisWidth - RIGHT_PX);
	}

	setWindow(start, end) {
		this.start = start;
		this.end = end;
		for (const panel of this.panels)
			panel.draw(this.fullWidth());
	}

	/* series are those of series.js; scale is "one", "own" or "apart". */
	setData(base, series, {scale, utc}) {
		this.base = base;
		this.utc = utc;
		this.series = series;
		this.scale = scale;
		const made = JSON.stringify([scale, this.narrow(), series.map(one =>
			[one.key, one.label, one.unit, one.color, one.dash, one.shape])]);
		if (made !== this.made)
			this.remake(made);
		else {
			this.panels.forEach((panel, index) => panel.update(this.groups()[index]));
			this.draw();
		}
	}

	/* The lines of each plot. */
	groups() {
		return this.scale === "apart" ? this.series.map(one => [one]) : this.series.length > 0 ? [this.series] : [];
	}

	narrow() {
		return this.element.clientWidth < NARROW_PX;
	}

	fullWidth() {
		return Math.max(200, this.element.clientWidth);
	}

	resize() {
		if (this.panels.length > 0 && this.fullWidth() !== this.panels[0].plot.width)
			this.setData(this.base, this.series, this);
	}

	remake(made = this.made) {
		this.made = made;
		this.hideCursor();
		this.panels.forEach(panel => panel.destroy());
		this.axisWidth = LEAST_AXIS_PX;
		const groups = this.groups();
		const many = groups.length > 1;
		const height = many ? SMALL_HEIGHT_PX : this.narrow() ? NARROW_HEIGHT_PX : HEIGHT_PX;
		this.panels = groups.map((group, index) => {
			const bottom = index === groups.length - 1;
			const element = this.box.appendChild(document.createElement("div"));
			element.className = "panel";
			if (many || group.length === 1 || this.scale === "own")
				this.putTitle(element, group);
			return new Panel(this, element, group, {own: this.scale === "own", bottom,
				height: many && bottom ? height + TIMES_PX : height});
		});
		this.draw();
	}

	/* The name of the only line of a plot, or of the one whose axis is shown, with its unit. */
	putTitle(element, [one]) {
		const title = element.appendChild(document.createElement("p"));
		const mark = title.appendChild(document.createElement("span"));
		title.className = "panel-title";
		title.title = one.label;
		mark.className = "mark";
		mark.style.borderTopColor = one.color;
		title.append(cutName(one.label, this.narrow() ? 34 : 80) + (one.unit ? `, ${one.unit}` : "") +
			(this.scale === "own" && this.series.length > 1 ? " (its axis)" : ""));
	}

	draw() {
		/* In steps, and never narrower, so that the plot keeps its place while values change. */
		const wanted = Math.max(...this.panels.map(panel => panel.labelWidth())) + 14;
		this.axisWidth = Math.max(this.axisWidth, Math.ceil(wanted / WIDTH_STEP_PX) * WIDTH_STEP_PX);
		for (const panel of this.panels)
			panel.draw(this.fullWidth());
		if (this.cursor !== null)
			this.showCursor(this.cursor, this.cursorPanel);
	}

	range() {
		return [Number(this.start - this.base), Number(this.end - this.base)];
	}

	/* The cursor */

	/* The time of the sample that is next to a time, of those in the window; the time itself if there is none. */
	snap(x) {
		const [from, to] = this.range();
		let best = null;
		for (const {xs, ys} of this.series) {
			const place = placeBefore(xs, x);
			for (const near of [place, place + 1]) {
				if (xs[near] >= from && xs[near] <= to && ys[near] !== null &&
					(best === null || Math.abs(xs[near] - x) < Math.abs(best - x)))
					best = xs[near];
			}
		}
		return best;
	}

	/* uPlot asks where its cursor goes: to the sample that is next to the pointer. */
	moveCursor(panel, left, top) {
		if (left < 0 || this.moving || panel.plot === undefined)
			return [left, top];
		const x = panel.plot.posToVal(left, "x");
		this.wanted = this.snap(x) ?? x;
		return [panel.plot.valToPos(this.wanted, "x"), top];
	}

	cursorMoved(panel, inside) {
		if (this.moving)
			return;
		if (inside)
			this.showCursor(this.wanted, panel);
		else if (!this.gestures.touching)
			this.hideCursor();
	}

	/* Shows the cursor at a time, with its values beside it in a plot. */
	showCursor(x, at = this.panels[0]) {
		const [from, to] = this.range();
		if (x === undefined || x < from || x > to || at === undefined) {
			this.hideCursor();
			return;
		}
		this.cursor = x;
		this.cursorPanel = at;
		const rows = this.series.map(one => ({one, sample: sampleAt(one, x)}));
		this.moving = true;
		for (const panel of this.panels)
			panel.setCursor(x, panel.series.map(one => rows.find(row => row.one === one)?.sample ?? null));
		this.moving = false;
		this.readout.show(at, x, this.base, rows, this);
		this.onCursor(this.base + BigInt(Math.round(x)), rows);
	}

	hideCursor() {
		if (this.cursor === null)
			return;
		this.cursor = null;
		this.moving = true;
		for (const panel of this.panels)
			panel.setCursor(null, []);
		this.moving = false;
		this.readout.hide();
		this.onCursor(null, []);
	}

	/* Moves the cursor to the sample before (-1) or after (1) its place, or to the first or last one. */
	stepCursor(step) {
		const [from, to] = this.range();
		const times = this.series.flatMap(({xs, ys}) => xs.filter((x, index) =>
			x >= from && x <= to && ys[index] !== null)).sort((a, b) => a - b);
		if (times.length === 0)
			return;
		const place = this.cursor === null ? (step < 0 ? times.length : -1) : step < 0
			? placeBefore(times, this.cursor) - times.filter(x => x === this.cursor).length + 1 : placeBefore(times, this.cursor);
		const next = step === -Infinity ? 0 : step === Infinity ? times.length - 1
			: Math.min(times.length - 1, Math.max(0, place + step));
		this.showCursor(times[next], this.cursorPanel ?? this.panels[0]);
	}
}
