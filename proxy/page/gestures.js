/*
 * gestures.js
 *	  Pointer, fingers, wheel and keys over a chart, turned into another window or place of the cursor.
 */
import {clampTime} from "./time.js";

const WHEEL_FACTOR = 1.2;
const MIN_SPAN = 1000n;
const MAX_SPAN = 2n ** 63n;
const HOLD_MS = 350; /* a finger that rests so long moves the cursor */
const REST_PX = 8; /* and a finger that moved less rests */

export class Gestures {
	/* chart is a Chart; onWindow and onBack are those of its constructor. */
	constructor(chart, {onWindow, onBack}) {
		this.chart = chart;
		this.onWindow = onWindow;
		this.touching = false;
		this.bindKeys(onBack);
		addEventListener("pointerdown", event => {
			if (event.pointerType === "touch" && !chart.element.contains(event.target)) {
				this.touching = false;
				chart.hideCursor();
			}
		});
	}

	/* Takes the events of a plot. */
	bind(over) {
		over.addEventListener("wheel", event => {
			event.preventDefault();
			if (Math.abs(event.deltaX) > Math.abs(event.deltaY))
				this.pan(event.deltaX / over.clientWidth);
			else if (event.deltaY !== 0)
				this.zoom(event.deltaY > 0 ? WHEEL_FACTOR : 1 / WHEEL_FACTOR, event.offsetX / over.clientWidth);
		}, {passive: false});
		this.bindTouch(over);
	}

	timeAt(share) {
		const {start, end} = this.chart;
		return start + (end - start) * BigInt(Math.round(share * 1e9)) / 1_000_000_000n;
	}

	zoomToSelection(plot) {
		if (plot.select.width < 4)
			return;
		const width = plot.over.clientWidth;
		const start = this.timeAt(plot.select.left / width);
		const end = this.timeAt((plot.select.left + plot.select.width) / width);
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
		const {start, end} = this.chart;
		const by = (end - start) * BigInt(Math.round(share * 1000)) / 1000n;
		if (clampTime(start + by) === start + by && clampTime(end + by) === end + by)
			this.ask(start + by, end + by, true);
	}

	/* Widens the window by factor around the place at share of its width. */
	zoom(factor, share = 0.5) {
		const span = this.chart.end - this.chart.start;
		const thousand = BigInt(Math.round(share * 1000));
		let wanted = span * BigInt(Math.round(factor * 1000)) / 1000n;
		wanted = wanted < MIN_SPAN ? MIN_SPAN : wanted > MAX_SPAN ? MAX_SPAN : wanted;
		const start = this.chart.start + (span - wanted) * thousand / 1000n;
		this.ask(start, start + wanted, true);
	}

	startPan(event) {
		const {start, end} = this.chart;
		const width = this.chart.width();
		const move = later => {
			const by = BigInt(Math.round((event.clientX - later.clientX) / width * Number(end - start)));
			this.ask(start + by, end + by, false);
		};
		const stop = () => {
			removeEventListener("mousemove", move);
			removeEventListener("mouseup", stop);
			this.ask(this.chart.start, this.chart.end, true);
		};
		addEventListener("mousemove", move);
		addEventListener("mouseup", stop);
	}

	/*
	 * A finger that rests shows the cursor, and then leads it; one that moves at once moves the window,
	 * and two stretch it.  The page still scrolls up and down.
	 */
	bindTouch(over) {
		const touches = new Map();
		let from = null;
		let mode = "";
		let timer = 0;
		const begin = () => {
			from = {start: this.chart.start, end: this.chart.end, places: [...touches.values()]};
		};
		const lead = x => {
			const box = over.getBoundingClientRect();
			const panel = this.chart.panels.find(({plot}) => plot.over === over);
			const time = panel.plot.posToVal(Math.min(box.width, Math.max(0, x - box.left)), "x");
			this.touching = true;
			this.chart.showCursor(this.chart.snap(time) ?? time, panel);
		};
		over.addEventListener("pointerdown", event => {
			if (event.pointerType !== "touch")
				return;
			touches.set(event.pointerId, event.clientX);
			begin();
			clearTimeout(timer);
			mode = touches.size > 1 ? "stretch" : "rest";
			if (mode === "rest")
				timer = setTimeout(() => {
					mode = "lead";
					lead(touches.get(event.pointerId));
				}, HOLD_MS);
		});
		over.addEventListener("pointermove", event => {
			if (!touches.has(event.pointerId))
				return;
			touches.set(event.pointerId, event.clientX);
			if (mode === "lead")
				lead(event.clientX);
			if (mode === "rest" && Math.abs(event.clientX - from.places[0]) > REST_PX) {
				clearTimeout(timer);
				mode = "move";
				this.touching = false;
				this.chart.hideCursor();
			}
			if (mode === "move" || mode === "stretch")
				this.stretch(over, from, [...touches.values()]);
		});
		/* A finger that leads the cursor does not scroll the page. */
		over.addEventListener("touchmove", event => {
			if (mode === "lead")
				event.preventDefault();
		}, {passive: false});
		over.addEventListener("contextmenu", event => {
			if (mode === "lead")
				event.preventDefault();
		});
		for (const name of ["pointerup", "pointercancel"])
			over.addEventListener(name, event => {
				if (!touches.delete(event.pointerId))
					return;
				clearTimeout(timer);
				if (mode === "rest" && name === "pointerup")
					lead(event.clientX);
				else if ((mode === "move" || mode === "stretch") && touches.size === 0)
					this.ask(this.chart.start, this.chart.end, true);
				mode = touches.size > 0 ? "move" : "";
				begin();
			});
	}

	/* The window in which what was under the fingers still is. */
	stretch(over, from, fingers) {
		const box = over.getBoundingClientRect();
		const span = Number(from.end - from.start);
		const share = x => (x - box.left) / box.width;
		const places = fingers.map(share);
		const before = from.places.map(share);
		let width = 1;
		if (places.length > 1 && before.length > 1)
			width = Math.abs(before[0] - before[1]) / Math.max(0.02, Math.abs(places[0] - places[1]));
		const start = from.start + BigInt(Math.round(span * (before[0] - places[0] * width)));
		this.ask(start, start + BigInt(Math.round(span * width)), false);
	}

	bindKeys(onBack) {
		const {chart} = this;
		const keys = {
			ArrowLeft: () => this.pan(-0.25), ArrowRight: () => this.pan(0.25),
			"+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2),
			Backspace: onBack,
			Home: () => chart.stepCursor(-Infinity), End: () => chart.stepCursor(Infinity),
			Escape: () => chart.hideCursor(),
		};
		const withShift = {ArrowLeft: () => chart.stepCursor(-1), ArrowRight: () => chart.stepCursor(1)};
		chart.element.addEventListener("keydown", event => {
			const action = event.shiftKey && withShift[event.key] || keys[event.key];
			if (action === undefined || event.ctrlKey || event.altKey || event.metaKey)
				return;
			event.preventDefault();
			action();
		});
	}
}
