/*
 * continuity.js
 *	  Where a line is drawn: where something was measured, and dotted where a value is only carried.
 *
 * Times are numbers here, counted in nanoseconds from the start of the window.
 *
 * A distance between samples that exceeds what is allowed is a gap.  Allowed is what the user says,
 * or else how long the tag may be silent, or else three times the usual distance.
 */

const USUAL_DISTANCES = 3;
/* Two samples of a chart may be as far apart as the periods from which they were taken. */
export const PERIODS = 1.5;

/* The median distance of ascending times, or null. */
export function usualDistance(xs) {
	if (xs.length < 2)
		return null;
	const distances = xs.slice(1).map((x, index) => x - xs[index]).sort((a, b) => a - b);
	return distances[distances.length >> 1];
}

/* chosen and silence are lengths of time, or null; usual may be null. */
export function allowedDistance({chosen, silence, usual, period}) {
	return Math.max(chosen ?? silence ?? (usual === null ? 0 : USUAL_DISTANCES * usual), PERIODS * period);
}

/*
 * Returns the parts of a line: solid and dotted, coordinates {xs, ys} with blanks, the spans [from, to]
 * in which they are not drawn; carried, the spans of dotted ones; gaps, the spans without anything;
 * single, the times that have no neighbour.
 *
 *	xs, ys		samples in order of time; those outside of 0 to end are neighbours of the window
 *	kind		"rows": samples are rows; "periods": each is of the period that ends with it;
 *				"carried": so, but where a period has no row the value is that of rows before
 *	present		of kind "carried": the times of samples whose periods have rows
 *	hold		a value holds until the next row
 *	step		of kind "periods": a value is drawn over its whole period
 *	dataEnd		the time of the last row that there is, or null; now: the time now
 */
export function lineParts(line) {
	const part = () => ({xs: [], ys: [], blanks: []});
	const parts = {solid: part(), dotted: part(), carried: [], gaps: [], single: new Set()};
	(line.kind === "carried" ? carriedParts : rowParts)(line, parts);
	return parts;
}

function put(part, x, y) {
	part.xs.push(x);
	part.ys.push(y);
}

function rowParts({xs, ys, allowed, period, kind, step, hold, end, now, dataEnd}, parts) {
	let last = null;
	let begin = null; /* of what is drawn without a gap */
	let count = 0; /* of samples since */
	const close = () => {
		if (count === 1 && begin === last)
			parts.single.add(last);
	};
	for (let i = 0; i < xs.length; i++) {
		if (ys[i] === null || (kind === "periods" && xs[i] > Math.max(now, dataEnd ?? now) + period))
			continue;
		if (last === null || xs[i] - last > allowed) {
			if (last !== null) {
				close();
				parts.gaps.push([last, xs[i]]);
			}
			begin = xs[i];
			count = 0;
			if (kind === "periods" && step) {
				begin = xs[i] - period;
				put(parts.solid, begin, ys[i]);
			}
			if (last !== null)
				parts.solid.blanks.push([last, begin]);
		}
		put(parts.solid, xs[i], ys[i]);
		last = xs[i];
		count++;
	}
	close();
	if (kind === "rows" && hold && last !== null && (dataEnd === null || last >= dataEnd))
		carry(parts, last, parts.solid.ys.at(-1), Math.min(end, now));
}

/* A value that nothing has followed is dotted until to. */
function carry(parts, from, value, to) {
	if (to <= from)
		return;
	put(parts.dotted, from, value);
	put(parts.dotted, to, value);
	parts.carried.push([from, to]);
}

function carriedParts({xs, ys, present, allowed, end, now, dataEnd}, parts) {
	const latest = Math.max(now, dataEnd ?? now);
	let next = 0; /* in present: the first one that is not before the sample */
	const kinds = xs.map((x, i) => {
		while (next < present.length && present[next] < x)
			next++;
		const from = next > 0 ? present[next - 1] : 0;
		if (ys[i] === null || (i > 0 && ys[i - 1] === null) || x > latest + (x - (xs[i - 1] ?? x)))
			return null;
		/* Only what comes from rows, before it and after it, is measured. */
		if (next < present.length)
			return present[next] - from <= allowed ? "solid" : "dotted";
		return next > 0 && dataEnd !== null && dataEnd > end && end - from <= allowed ? "solid" : "dotted";
	});
	for (const kind of ["solid", "dotted"]) {
		const part = parts[kind];
		for (let i = 0; i < xs.length; i++) {
			const here = kinds[i] === kind;
			if (!here && kinds[i + 1] !== kind)
				continue;
			if (!here && part.xs.length > 0)
				part.blanks.push([part.xs.at(-1), xs[i]]);
			put(part, xs[i], ys[i]);
			if (here && kind === "dotted")
				parts.carried.push([xs[i - 1] ?? xs[i], xs[i]]);
		}
	}
}

/* The place of the greatest time that is at most x; -1 if there is none. */
export function placeBefore(xs, x) {
	let low = 0;
	let high = xs.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (xs[middle] <= x)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

/* What a line has at a time: {x, y, carried} of the sample that counts there, or null. */
export function sampleAt({xs, ys, parts, allowed, backward}, x) {
	let place = placeBefore(xs, x);
	if (backward && (place < 0 || xs[place] < x))
		place++;
	if (place < 0 || place >= xs.length)
		return null;
	const carried = parts.carried.some(([from, to]) => from < x && x <= to);
	if (ys[place] === null || parts.gaps.some(([from, to]) => from < x && x < to) ||
		(!carried && Math.abs(x - xs[place]) > allowed))
		return null;
	return {x: xs[place], y: ys[place], carried};
}
