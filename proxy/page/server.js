/*
 * server.js
 *	  Requests to historiand.  A failure is an Error, whose message is shown to the user.
 */
import {otherToken, token, tokenHeaders} from "./token.js";

const ASKED_AGAIN = "It is asked again every few seconds, and what was loaded before stays.";
export const NO_ANSWER = `historiand does not answer. ${ASKED_AGAIN}`;

/* Whether the samples of a method are rows, selected by one of their values. */
export const selects = method => ["plot", "lttb", "minmaxlttb"].includes(method);

/* How far the server's clock is ahead of this one, as the header Date tells. */
let clockAhead = 0;

/*
 * The server's time in nanoseconds.  The difference counts only if it exceeds what delays explain.
 */
export function now() {
	const ahead = Math.abs(clockAhead) > 5000 ? clockAhead : 0;
	return BigInt(Date.now() + ahead) * 1_000_000n;
}

async function problemText(response) {
	const type = response.headers.get("content-type") ?? "";
	if (type.startsWith("application/problem+json")) {
		const problem = await response.json();
		const text = `${problem.title}: ${problem.detail} (${response.status})`;
		return response.status === 503 ? `${text}. ${ASKED_AGAIN}` : text;
	}
	return `${response.statusText} (${response.status})`;
}

/*
 * Sends a request by the token that there is, and asks the user for one as often as that is not known.
 * Without credentials: the browser neither adds passwords of its own, nor asks for one in our place.
 */
async function ask(address, signal, headers) {
	for (;;) {
		const used = token();
		const response = await fetch(address, {signal, cache: "no-cache", credentials: "omit",
			headers: {...headers, ...tokenHeaders()}});
		if (response.status !== 401)
			return response;
		await otherToken(used, signal);
	}
}

async function get(path, parameters, signal, headers) {
	const query = new URLSearchParams(parameters).toString();
	let response;
	try {
		response = await ask(query ? `${path}?${query}` : path, signal, headers);
	} catch (error) {
		if (error.name === "AbortError")
			throw error;
		throw new Error(NO_ANSWER);
	}
	const date = Date.parse(response.headers.get("date") ?? "");
	if (!Number.isNaN(date))
		clockAhead = date - Date.now();
	if (!response.ok) {
		const error = new Error(await problemText(response));
		error.status = response.status;
		throw error;
	}
	return response;
}

/* [{tag, first, last, samples}] with what is known of the tag, the times as BigInt. */
export async function tags(signal) {
	const answer = await (await get("/tags", {time: "string"}, signal)).json();
	return answer.tags.map(row => ({...row, first: BigInt(row.first), last: BigInt(row.last)}));
}

/* Map of tag to {time, values}. */
export async function latest(tagNames, signal) {
	const parameters = [["time", "string"], ...tagNames.map(tag => ["tag", tag])];
	const answer = await (await get("/latest", parameters, signal)).json();
	return new Map(answer.latest.map(row =>
		[row.tag, {time: BigInt(row.time), values: row.values ?? []}]));
}

/* Map of tag to its samples [{time, values}], without tags that were never stored. */
export async function samples(view, signal) {
	const answer = await (await get("/api", apiParameters(view).concat([["time", "string"]]), signal)).json();
	const series = answer.series ?? [answer];
	return new Map(series.map(one => [one.tagName,
		one.samples.map(sample => ({time: BigInt(sample.time), values: sample.values}))]));
}

/*
 * The parameters of GET /api for a view.  A method that selects rows looks at view.element, if
 * there is one, and else at the first of the chosen ones, or of all if none is.
 */
export function apiParameters(view) {
	const parameters = [...view.tags.map(tag => ["tag", tag]), ["start", view.start], ["end", view.end],
		["precision", "ns"], ["samples", view.samples], ["method", view.method]];
	const element = view.element ?? view.elements?.[0];
	return selects(view.method) && element > 1 ? [...parameters, ["value", element]] : parameters;
}

/* The answer of /stream with the samples of some tags that are committed from now on, after those of the id. */
export async function stream(tagNames, lastId, signal) {
	const response = await get("/stream", [["time", "string"], ["precision", "ns"], ...tagNames.map(tag => ["tag", tag])], signal,
		{"Accept": "text/event-stream", "Last-Event-ID": lastId});
	const type = response.headers.get("content-type") ?? "";
	if (!type.startsWith("text/event-stream") || response.body === null)
		throw Object.assign(new Error(`/stream answers ${type}`), {status: response.status});
	return response;
}

/* Map of metric, with its labels, to its number. */
export async function metrics(signal) {
	const text = await (await get("/metrics", {}, signal)).text();
	const values = new Map();
	for (const line of text.split("\n")) {
		const space = line.lastIndexOf(" ");
		if (space > 0 && line[0] !== "#")
			values.set(line.slice(0, space), Number(line.slice(space + 1)));
	}
	return values;
}
