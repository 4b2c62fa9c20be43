/*
 * windows.js
 *	  Windows of time: the first one, those of a length, all there is, and those before.
 */
import * as server from "./server.js";
import {clampTime, SECOND} from "./time.js";
import {view} from "./view.js";

export const FIRST_SPAN = 3600n * SECOND;
const LIVE_SPAN = 600n * SECOND;
const LONGEST_LIVE = 7n * 86400n * SECOND;
const FRESH = 60n * SECOND; /* a tag with a sample since then is live */
const MOST_EARLIER = 50;

const earlier = []; /* windows to go back to */

const latestOf = rows => rows.map(row => row.last).reduce((a, b) => a > b ? a : b);
const firstOf = rows => rows.map(row => row.first).reduce((a, b) => a < b ? a : b);

const isFresh = (row, span) => {
	const age = server.now() - row.last;
	return age < span && age > -span;
};

/* The tag that is shown first: the first one with a sample of the last hour, or that with the latest sample. */
export function firstTag(known) {
	return (known.find(row => isFresh(row, FIRST_SPAN)) ?? known.reduce((a, b) => a.last >= b.last ? a : b)).tag;
}

/*
 * Sets the window of rows, the entries of the chosen tags, if there is none: the last hour, live
 * where samples come in; all samples where the last hour has none.
 */
export function firstWindow(rows) {
	if (view.start < view.end || rows.length === 0)
		return;
	if (rows.some(row => isFresh(row, FIRST_SPAN))) {
		view.live = rows.some(row => isFresh(row, FRESH));
		view.end = server.now();
		view.start = clampTime(view.end - FIRST_SPAN);
	} else
		fitWindow(rows);
}

/* All samples of the tags. */
export function fitWindow(rows) {
	if (rows.length === 0)
		return;
	/* A row at the start itself is before the window; whole seconds read better. */
	view.start = clampTime((firstOf(rows) / SECOND - 1n) * SECOND);
	view.end = clampTime((latestOf(rows) / SECOND + 1n) * SECOND);
	view.live = false;
}

/* A window so long that ends now where live, else with the last sample of what is shown. */
export function setSpan(span, rows) {
	view.end = view.live || rows.length === 0 ? server.now() : latestOf(rows);
	view.start = clampTime(view.end - span);
}

export function setLive(live, rows) {
	const span = view.end - view.start;
	view.live = live;
	if (live)
		setSpan(span > 0n && span <= LONGEST_LIVE ? span : LIVE_SPAN, rows);
}

/* Moves a live window on, so that it ends now. */
export function followNow() {
	if (!view.live || view.start >= view.end)
		return;
	const span = view.end - view.start;
	view.end = server.now();
	view.start = clampTime(view.end - span);
}

/* Keeps the window, so that goBack() returns to it. */
export function keepWindow() {
	const last = earlier.at(-1);
	if (view.start < view.end && (last === undefined || last.start !== view.start || last.end !== view.end))
		earlier.push({start: view.start, end: view.end, live: view.live});
	if (earlier.length > MOST_EARLIER)
		earlier.shift();
}

export const canGoBack = () => earlier.length > 0;

/* Returns whether there was a window before. */
export function goBack() {
	const window = earlier.pop();
	if (window !== undefined)
		Object.assign(view, window);
	return window !== undefined;
}
