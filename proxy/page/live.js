/*
 * live.js
 *	  The committed samples of some tags as they come, by one request to /stream for all of them.
 *
 * A stream that is lost is asked for again from its last event on, without a gap.  One that is refused
 * is left alone for a while; meanwhile, and wherever else nothing comes, the page asks for samples.
 */
import {EventReader} from "./events.js";
import * as server from "./server.js";

const AGAIN_MS = 1000; /* after a stream was lost; twice as long after each further time */
const LONGEST_AGAIN_MS = 10000;
const REFUSED_MS = 30000;
/* The server sends a comment every 15 s.  A proxy that keeps answers back until they end lets none through. */
const SILENT_MS = 40000;

export class Live {
	/* onSamples([{tag, time, values}]) is told of samples, onState() of another state. */
	constructor({onSamples, onState}) {
		this.onSamples = onSamples;
		this.onState = onState;
		this.state = "off"; /* or "opening", "open", "lost", "refused" */
		this.tags = [];
		this.lastId = "";
		this.controller = null;
		this.timer = 0;
		this.losses = 0;
	}

	/* Are the samples of these tags followed, or will they be? */
	follows(tags) {
		return this.state !== "off" && tags.length === this.tags.length && tags.every((tag, index) => tag === this.tags[index]);
	}

	/* Follows tags; times are those after which samples are wanted of each. */
	follow(tags, times) {
		this.close();
		this.tags = [...tags];
		this.lastId = times.join(",");
		this.losses = 0;
		this.open();
	}

	close() {
		clearTimeout(this.timer);
		this.controller?.abort();
		this.controller = null;
		this.enter("off");
	}

	enter(state) {
		if (this.state === state)
			return;
		this.state = state;
		this.onState();
	}

	async open() {
		const controller = new AbortController();
		this.controller = controller;
		if (this.state === "off")
			this.enter("opening");
		let wait = 0;
		try {
			await this.read(controller);
		} catch (error) {
			wait = error.status === undefined ? 0 : REFUSED_MS;
		}
		controller.abort();
		if (this.controller !== controller)
			return; /* another one has taken its place, or none is wanted */
		if (wait === 0)
			wait = Math.min(LONGEST_AGAIN_MS, AGAIN_MS * 2 ** this.losses++);
		this.timer = setTimeout(() => this.open(), wait);
		this.enter(wait === REFUSED_MS ? "refused" : "lost");
	}

	/* Reads a stream to its end. */
	async read(controller) {
		let silent = setTimeout(() => controller.abort(), SILENT_MS);
		try {
			const response = await server.stream(this.tags, this.lastId, controller.signal);
			const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
			const events = new EventReader();
			for (;;) {
				const {done, value} = await pieces.read();
				if (done || this.controller !== controller)
					return;
				clearTimeout(silent);
				silent = setTimeout(() => controller.abort(), SILENT_MS);
				this.losses = 0;
				/* The first comment comes at once, unless something between us keeps it back. */
				this.enter("open");
				this.take(events.read(value));
			}
		} finally {
			clearTimeout(silent);
		}
	}

	take(events) {
		const samples = [];
		for (const {type, id, data} of events) {
			const row = JSON.parse(data);
			if (type === "error")
				throw Object.assign(new Error(row.detail), {status: 500});
			this.lastId = id;
			samples.push({tag: row.tag, time: BigInt(row.time), values: row.values ?? []});
		}
		if (samples.length > 0)
			this.onSamples(samples);
	}
}
