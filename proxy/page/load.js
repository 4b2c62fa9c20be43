/*
 * load.js
 *	  The samples that a view needs, and what else says where a line is true: rows beside the window,
 *	  and the number of rows in each period.
 */
import {allowedDistance, usualDistance} from "./continuity.js";
import * as server from "./server.js";
import {clampTime, parseDuration} from "./time.js";
import {chosenGap, keyOf} from "./view.js";

const CARRYING = ["last", "last_known", "interpolated", "time_average"];
/* Rows beside the window are asked for if rows are so far apart that the line to them is seen. */
const SPARSE_PX = 3;
const FEWEST_SAMPLES = 4; /* of the method plot */

export const carries = method => CARRYING.includes(method);

/* The length of the periods from which a method takes its samples, in nanoseconds. */
export function periodOf(view) {
	const span = Number(view.end - view.start);
	const buckets = view.samples - 2;
	const periods = {plot: Math.floor(view.samples / 4), lttb: buckets, minmaxlttb: buckets}[view.method] ?? view.samples;
	return span / periods;
}

/* How long a tag may be silent by what is known of it, in nanoseconds, or null. */
export function allowedSilence(row) {
	try {
		return row?.max_silence ? Number(parseDuration(row.max_silence)) : null;
	} catch {
		return null;
	}
}

/* The mean distance of all rows of a tag, in nanoseconds, or null. */
export function meanDistance(row) {
	return row?.samples > 1 ? Number(row.last - row.first) / (row.samples - 1) : null;
}

/*
 * Returns {lines, empty}: lines, a Map of tag to a Map of element to {times, values, present, each}.
 * present are the times of samples that come from rows, and each is how many rows such a sample has
 * on average.  Tags that were never stored are missing.  empty, a Map of key to what the window has
 * where a line has no value: "none" (no row), "fewer" (rows of fewer values), "null", or "unfit"
 * (no finite number).  about(tag) is the entry of a tag in the list of tags.
 */
export async function load(view, about, signal) {
	const lines = server.selects(view.method) ? await selected(view, about, signal)
		: await computed(view, signal);
	return {lines, empty: await whyEmpty(view, lines, signal)};
}

/* The samples of a view; none instead of an error where no tag was ever stored. */
async function samples(view, signal) {
	try {
		return await server.samples(view, signal);
	} catch (error) {
		if (error.status === 404)
			return new Map();
		throw error;
	}
}

function put(lines, tag, element, line) {
	if (!lines.has(tag))
		lines.set(tag, new Map());
	lines.get(tag).set(element, line);
}

/*
 * The rows of a view that were selected by an element.  Tags whose rows in the window are shorter
 * have none; the server says so of all of them by an error, or leaves some of them out.
 */
async function selectedBy(element, view, signal) {
	let answer = new Map();
	let refusal = null;
	try {
		answer = await samples({...view, element}, signal);
	} catch (error) {
		if (error.status !== 400 || element === 1)
			throw error;
		refusal = error;
	}
	const tags = view.tags.filter(tag => !answer.has(tag));
	if (tags.length === 0 || element === 1)
		return answer;
	const counts = await samples({...view, tags, method: "count", samples: 1}, signal);
	for (const [tag, [{values}]] of counts) {
		if ((values?.length ?? 0) < element)
			answer.set(tag, []);
	}
	if (refusal !== null && answer.size === 0)
		throw refusal;
	return answer;
}

/* Rows are selected by the element that is drawn: each element has its own. */
async function selected(view, about, signal) {
	const lines = new Map();
	const answers = await Promise.all(view.elements.map(element => selectedBy(element, view, signal)));
	view.elements.forEach((element, index) => {
		for (const [tag, rows] of answers[index])
			put(lines, tag, element, rowLine(rows, element));
	});
	await Promise.all(view.elements.map(element => addNeighbours(view, element, lines, about, signal)));
	return lines;
}

function rowLine(rows, element) {
	const drawn = rows.filter(row => (row.values?.[element - 1] ?? null) !== null);
	const times = drawn.map(row => row.time);
	return {times, values: drawn.map(row => row.values[element - 1]), present: times, each: 1};
}

/*
 * Puts the last row before the window and the first one after it beside the rows of an element,
 * where rows are far apart, so that the line reaches the borders.
 */
async function addNeighbours(view, element, lines, about, signal) {
	const span = Number(view.end - view.start);
	const sparse = new Map(); /* tag to how far neighbours may be */
	for (const [tag, byElement] of lines) {
		const row = about(tag);
		const times = byElement.get(element).times.map(time => Number(time - view.start));
		const usual = times.length > 2 ? usualDistance(times) : meanDistance(row);
		const chosen = chosenGap();
		if (usual !== null && usual > SPARSE_PX * span / view.samples)
			sparse.set(tag, allowedDistance({chosen: chosen === Infinity ? null : chosen, silence: allowedSilence(row), usual,
				period: 0}));
	}
	if (sparse.size === 0)
		return;
	const margin = BigInt(Math.round(Math.min(Math.max(...sparse.values()), 2 ** 62)));
	const ask = (start, end) => start < end ? samples({...view, tags: [...sparse.keys()], start, end, element,
		method: "plot", samples: FEWEST_SAMPLES}, signal) : new Map();
	const [before, after] = await Promise.all([ask(clampTime(view.start - margin), view.start),
		view.live ? new Map() : ask(view.end, clampTime(view.end + margin))]);
	for (const tag of sparse.keys()) {
		const line = lines.get(tag).get(element);
		const earlier = rowLine(before.get(tag) ?? [], element);
		const later = rowLine(after.get(tag) ?? [], element);
		for (const member of ["times", "values"])
			line[member] = [...earlier[member].slice(-1), ...line[member], ...later[member].slice(0, 1)];
		line.present = line.times;
	}
}

/* The last time that is drawn of each tag, after which its samples are missing; the start, where none is. */
export function lastTimes(view, lines) {
	return view.tags.map(tag => [...lines.get(tag)?.values() ?? []].flatMap(line => line.times.slice(-1))
		.reduce((last, time) => time > last ? time : last, view.start));
}

/*
 * Adds a row that was committed later to what load() has returned for a method that selects rows.
 * Returns whether it is drawn: it is later than what is drawn already, and has one of the values.
 */
export function append({lines, empty}, view, {tag, time, values}) {
	let drawn = false;
	for (const element of view.elements) {
		const line = lines.get(tag)?.get(element) ?? rowLine([], element);
		if ((values[element - 1] ?? null) === null || (line.times.length > 0 && time <= line.times.at(-1)))
			continue;
		line.times.push(time);
		line.values.push(values[element - 1]);
		put(lines, tag, element, line);
		empty.delete(keyOf(tag, element));
		drawn = true;
	}
	return drawn;
}

/* How many rows each period has says which values were measured. */
async function computed(view, signal) {
	const lines = new Map();
	const [answer, counts] = await Promise.all([samples(view, signal),
		view.method === "count" ? null : samples({...view, method: "count"}, signal)]);
	for (const [tag, rows] of answer) {
		const times = rows.map(row => row.time);
		const counted = counts === null ? null : counts.get(tag) ?? [];
		for (const element of view.elements) {
			const filled = counted?.filter(row => row.values?.[element - 1] > 0);
			const sum = filled?.reduce((total, row) => total + row.values[element - 1], 0);
			put(lines, tag, element, {times, values: rows.map(row => row.values?.[element - 1] ?? null),
				present: filled === undefined ? times : filled.map(row => row.time),
				each: filled?.length > 0 ? sum / filled.length : 1});
		}
	}
	return lines;
}

/* Why lines without a value in the window have none: one sample that counts what is there. */
async function whyEmpty(view, lines, signal) {
	const inside = line => line.times.some((time, index) => line.values[index] !== null &&
		time > view.start && time <= view.end);
	const tags = [...lines.keys()].filter(tag => ![...lines.get(tag).values()].every(inside));
	const empty = new Map();
	if (tags.length === 0)
		return empty;
	const counts = await samples({...view, tags, method: "count", samples: 1}, signal);
	for (const tag of tags) {
		const values = counts.get(tag)?.[0]?.values ?? [];
		for (const [element, line] of lines.get(tag)) {
			if (!inside(line))
				empty.set(keyOf(tag, element), values.length === 0 ? "none" : values.length < element ? "fewer"
					: values[element - 1] === 0 ? "null" : "unfit");
		}
	}
	return empty;
}
