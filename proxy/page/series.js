/*
 * series.js
 *	  The lines of a view: what is known of each, and where it is drawn.
 */
import {allowedDistance, lineParts, PERIODS, usualDistance} from "./continuity.js";
import {allowedSilence, carries, meanDistance, periodOf} from "./load.js";
import {selects} from "./server.js";
import {chosenGap, keyOf} from "./view.js";

const COLORS = 8;
const DASHES = [undefined, [12, 4], [12, 4, 3, 4]];
/* A tag is stale after three of its usual distances, but not before what a load takes. */
const LEAST_STALE_NS = 10e9;

const SHAPES = {last: "after", last_known: "after", interpolated: "line", plot: "line", lttb: "line", minmaxlttb: "line"};
/* Under these methods a sample is a value that was measured, and what is known of the tag says how it went on. */
const MEASURED = ["last", "last_known", "plot", "lttb", "minmaxlttb"];
const TAG_SHAPES = {step: "after", linear: "line"};

/* Whether a tag has been silent for longer than it may; row is its entry in the list of tags. */
export function isStale(row, last, now) {
	const mean = meanDistance(row);
	const allowed = allowedSilence(row) ?? (mean === null ? null : Math.max(3 * mean, LEAST_STALE_NS));
	return allowed !== null && Number(now - last) > allowed;
}

export function palette() {
	const style = getComputedStyle(document.documentElement);
	return Array.from({length: COLORS}, (_, index) => style.getPropertyValue(`--line-${index + 1}`).trim());
}

/*
 * Returns the lines of a view in the order of its tags.  lines are those of load(), latest is a Map
 * of tag to its last row, about(tag) what is known of a tag.
 */
export function makeSeries(view, lines, latest, about, now) {
	const colors = palette();
	const all = [];
	for (const tag of view.tags) {
		for (const element of lines.has(tag) ? view.elements : []) {
			const line = lines.get(tag).get(element);
			if (line !== undefined)
				all.push({...described(tag, element, about(tag), latest.get(tag)), ...drawn(view, line, about(tag), latest.get(tag), now)});
		}
	}
	all.forEach((one, index) => {
		one.color = colors[index % COLORS];
		one.dash = DASHES[Math.floor(index / COLORS) % DASHES.length];
		one.stale = latest.has(one.tag) && isStale(about(one.tag), latest.get(one.tag).time, now);
	});
	return all;
}

/* What is known of a line.  Its label names the value, unless the tag has only one. */
function described(tag, element, row, last) {
	const value = row.names?.[element - 1] || (last?.values.length === 1 && element === 1 ? "" : `value ${element}`);
	return {
		key: keyOf(tag, element), tag, element,
		label: value ? `${tag}, ${value}` : tag,
		name: row.names?.[element - 1] ?? "",
		unit: row.units?.[element - 1] ?? "",
		low: row.low?.[element - 1] ?? null,
		high: row.high?.[element - 1] ?? null,
		description: row.description ?? "",
	};
}

/* Where it is drawn. */
function drawn(view, line, row, last, now) {
	const number = time => Number(time - view.start);
	const period = periodOf(view);
	const xs = line.times.map(number);
	const present = line.present.map(number);
	const between = usualDistance(present);
	const usual = between === null ? meanDistance(row) : between / Math.max(1, line.each);
	const allowed = allowedDistance({chosen: chosenGap(), silence: allowedSilence(row), usual, period});
	const kind = selects(view.method) ? "rows" : carries(view.method) ? "carried" : "periods";
	/* Periods are steps, but not where most have no row. */
	const shape = MEASURED.includes(view.method) && TAG_SHAPES[row.interpolation] || SHAPES[view.method] ||
		(kind === "periods" && between > PERIODS * period ? "line" : "before");
	const parts = lineParts({xs, ys: line.values, present, allowed, period, kind, step: shape === "before",
		hold: shape === "after", end: number(view.end), now: number(now),
		dataEnd: last === undefined ? null : number(last.time)});
	return {times: line.times, xs, ys: line.values, allowed, shape, parts, backward: shape === "before",
		inside: xs.filter((x, index) => x > 0 && x <= number(view.end) && line.values[index] !== null).length};
}
