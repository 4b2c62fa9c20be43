/*
 * samples_table.js
 *	  The samples of the chart as rows: times, and a column for each line.
 */
import {numberText} from "./numbers.js";
import {timeText} from "./time.js";

const SHOWN_ROWS = 500;

/* The times of all samples in the window, in order, and for each series its values at them. */
export function sampleRows(series, start, end) {
	const rows = new Map();
	series.forEach((one, place) => one.times.forEach((time, index) => {
		if (time < start || time > end)
			return;
		if (!rows.has(time))
			rows.set(time, {time, values: new Array(series.length).fill(undefined)});
		rows.get(time).values[place] = one.ys[index];
	}));
	return [...rows.values()].sort((a, b) => a.time < b.time ? -1 : 1);
}

/* The name of a column. */
export function columnName(one) {
	return `${one.label}${one.unit ? ` (${one.unit})` : ""}`;
}

/* Draws the table, the newest rows first. */
export function drawSamples(element, series, {start, end, utc}) {
	const rows = sampleRows(series, start, end).reverse();
	const table = document.createElement("table");
	const head = table.createTHead().insertRow();
	for (const name of [utc ? "Time (UTC)" : "Time (local)", ...series.map(columnName)]) {
		const cell = head.appendChild(document.createElement("th"));
		cell.scope = "col";
		cell.textContent = name;
		cell.className = head.cells.length > 1 ? "number" : "";
	}
	const body = table.createTBody();
	for (const {time, values} of rows.slice(0, SHOWN_ROWS)) {
		const row = body.insertRow();
		const place = row.appendChild(document.createElement("th"));
		place.scope = "row";
		place.textContent = timeText(time, utc);
		for (const value of values) {
			const cell = row.insertCell();
			cell.className = "number";
			cell.textContent = value === undefined ? "" : numberText(value);
		}
	}
	const note = document.createElement("p");
	note.className = "quiet";
	note.textContent = rows.length === 0 ? "No sample in this window."
		: rows.length > SHOWN_ROWS ? `The newest ${SHOWN_ROWS} of ${rows.length.toLocaleString("en")} samples; CSV has all of them.`
			: `${rows.length.toLocaleString("en")} samples, the newest first.`;
	element.replaceChildren(note, ...(rows.length > 0 ? [table] : []));
}
