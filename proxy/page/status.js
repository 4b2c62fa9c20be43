/*
 * status.js
 *	  The state of the server, from two readings of /metrics: ingest rate, lag, buffer, PostgreSQL.
 */
import * as server from "./server.js";

const LAG = "historiand_lag_seconds";

function rateText(perSecond) {
	const digits = perSecond < 10 && perSecond > 0 ? 1 : 0;
	const text = perSecond.toLocaleString("en", {maximumFractionDigits: digits});
	return `${text} ${text === "1" ? "message" : "messages"}/s`;
}

function secondsText(seconds) {
	return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`;
}

/* The bound of the bucket under which 99% of the messages between two readings are, or null. */
function bound99(before, after, count) {
	for (const [name, number] of after) {
		if (name.startsWith(`${LAG}_bucket`) && number - before.get(name) >= 0.99 * count) {
			const bound = /le="([^"]+)"/.exec(name)[1];
			return bound === "+Inf" ? null : Number(bound);
		}
	}
	return null;
}

export class Status {
	constructor() {
		this.before = null;
		this.table = "measurement";
	}

	put(name, text, bad = false) {
		const element = document.getElementById(`status-${name}`);
		if (element.textContent !== text)
			element.textContent = text;
		element.classList.toggle("bad", bad);
	}

	/* Returns false if the server does not answer. */
	async refresh() {
		let after;
		try {
			after = await server.metrics();
		} catch {
			for (const name of ["rate", "lag", "buffer"])
				this.put(name, "–");
			this.put("database", "no answer", true);
			this.before = null;
			return false;
		}
		const at = performance.now();
		const value = name => after.get(`historiand_${name}`) ?? 0;
		const info = [...after.keys()].find(name => name.startsWith("historiand_info{"));
		if (info !== undefined)
			this.table = JSON.parse(/table=("(?:[^"\\]|\\.)*")/.exec(info)[1]);
		if (this.before !== null)
			this.putRates(after, (at - this.at) / 1000);
		const share = value("buffer_bytes") / Math.max(1, value("buffer_limit_bytes"));
		this.put("buffer", share > 0 && share < 0.01 ? "under 1%" : `${Math.round(share * 100)}%`, share > 0.8);
		const connected = value("database_connected") === 1;
		this.put("database", connected ? "connected" : "away", !connected);
		this.before = after;
		this.at = at;
		return true;
	}

	putRates(after, seconds) {
		const since = name => (after.get(name) ?? 0) - (this.before.get(name) ?? 0);
		const count = since(`${LAG}_count`);
		this.put("rate", rateText(Math.max(0, since("historiand_messages_received_total") / seconds)));
		if (count <= 0) {
			this.put("lag", "no message");
			return;
		}
		const bound = bound99(this.before, after, count);
		this.put("lag", `${secondsText(since(`${LAG}_sum`) / count)}, 99% ` +
			(bound === null ? "over 10 s" : `under ${secondsText(bound)}`), bound === null || bound > 2.5);
	}
}
