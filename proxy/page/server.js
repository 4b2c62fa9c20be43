/*
 * server.js
 *	  Requests to historiand.  A failure is an Error, whose message is shown to the user.
 */

export const NO_ANSWER = "historiand does not answer; it is asked again every few seconds.";

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
		return `${problem.title}: ${problem.detail} (${response.status})`;
	}
	return `${response.statusText} (${response.status})`;
}

async function get(path, parameters, signal) {
	const query = new URLSearchParams(parameters).toString();
	let response;
	try {
		response = await fetch(query ? `${path}?${query}` : path, {signal, cache: "no-cache"});
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

/* The parameters of GET /api for a view. */
export function apiParameters(view) {
	return [...view.tags.map(tag => ["tag", tag]), ["start", view.start], ["end", view.end],
		["precision", "ns"], ["samples", view.samples], ["method", view.method]];
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
