/*
 * events.js
 *	  Reads Server-Sent Events, which come in pieces of any length.
 *
 * EventSource would do so, too, but cannot send a token.  The rules are those of the HTML standard (9.2.6).
 */

/* The end of a line; a carriage return at the end of a piece may be followed by its line feed. */
const LINE_END = /\r\n|\n|\r(?!$)/;

export class EventReader {
	constructor() {
		this.rest = ""; /* of the last piece, without the end of its line */
		this.id = "";
		this.begin();
	}

	begin() {
		this.type = "";
		this.data = [];
	}

	/* Returns the events [{type, id, data}] that a piece completes. */
	read(piece) {
		const events = [];
		let end;
		this.rest += piece;
		while ((end = LINE_END.exec(this.rest)) !== null) {
			const line = this.rest.slice(0, end.index);
			this.rest = this.rest.slice(end.index + end[0].length);
			if (line !== "")
				this.take(line);
			else {
				if (this.data.length > 0)
					events.push({type: this.type || "message", id: this.id, data: this.data.join("\n")});
				this.begin();
			}
		}
		return events;
	}

	/* A line is a field, or a comment, which begins with a colon. */
	take(line) {
		const colon = line.indexOf(":");
		const name = colon < 0 ? line : line.slice(0, colon);
		const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
		if (name === "data")
			this.data.push(value);
		else if (name === "event")
			this.type = value;
		else if (name === "id" && !value.includes("\0"))
			this.id = value;
	}
}
