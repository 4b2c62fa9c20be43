/*
 * time.js
 *	  Times in nanoseconds as BigInt: text, parsing, and the ticks of a time axis.
 *
 * A JavaScript number holds nanoseconds since 1970 only to about 256 ns.  Therefore a time is a
 * BigInt everywhere, and a chart draws numbers that count from the start of its data.
 */

export const SECOND = 1_000_000_000n;
const MILLISECOND = 1_000_000n;
const MINUTE = 60n * SECOND;
const HOUR = 60n * MINUTE;
const DAY = 24n * HOUR;
const MIN_TIME = -(2n ** 63n);
const MAX_TIME = 2n ** 63n - 1n;

export function clampTime(ns) {
	return ns < MIN_TIME ? MIN_TIME : ns > MAX_TIME ? MAX_TIME : ns;
}

function floorDivide(a, b) {
	const quotient = a / b;
	return a % b < 0n ? quotient - 1n : quotient;
}

/* The Date of the millisecond that ns lies in, and the nanoseconds within its second. */
function split(ns) {
	const milliseconds = floorDivide(ns, MILLISECOND);
	const second = floorDivide(ns, SECOND);
	return {date: new Date(Number(milliseconds)), nanos: Number(ns - second * SECOND)};
}

const pad = (number, length = 2) => String(number).padStart(length, "0");

function fields(date, utc) {
	return utc
		? [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(),
			date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
		: [date.getFullYear(), date.getMonth(), date.getDate(),
			date.getHours(), date.getMinutes(), date.getSeconds()];
}

const dayText = ([year, month, day]) => `${pad(year, 4)}-${pad(month + 1)}-${pad(day)}`;

/* The digits after the second: 0, 3, 6 or 9, as many as are needed. */
function fractionText(nanos) {
	if (nanos === 0)
		return "";
	return "." + pad(nanos, 9).replace(/(000){1,2}$/, "");
}

/* A time as 2020-03-09 10:14:33.500, with a Z if it is UTC. */
export function timeText(ns, utc) {
	const {date, nanos} = split(ns);
	const parts = fields(date, utc);
	return `${dayText(parts)} ${pad(parts[3])}:${pad(parts[4])}:${pad(parts[5])}` +
		fractionText(nanos) + (utc ? "Z" : "");
}

/* "+02:00": how far local time was ahead of UTC at that time. */
export function offsetText(ns) {
	const minutes = -split(ns).date.getTimezoneOffset();
	const size = Math.abs(minutes);
	return `${minutes < 0 ? "−" : "+"}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

/* Reads whole nanoseconds, or a date with as much of a time as is given; throws what is wrong. */
export function parseTime(text, utc) {
	const whole = text.trim();
	let ns;
	if (/^-?\d{5,}$/.test(whole))
		ns = BigInt(whole);
	else {
		const match = /^(\d{4})-(\d\d)-(\d\d)(?:[T ]+(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d\d:\d\d)?$/i
			.exec(whole);
		if (match === null)
			throw new Error(`“${whole}” is not a time such as 2020-03-09 10:14:33, nor nanoseconds since 1970`);
		const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", zone] = match;
		const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
		const date = new Date(iso + (zone ? zone.toUpperCase() : utc ? "Z" : ""));
		/* Date takes the 30th of February; as UTC it must read back as it was written. */
		const check = new Date(iso + "Z");
		if (Number.isNaN(date.getTime()) || Number.isNaN(check.getTime()) ||
			check.toISOString().slice(0, 19) !== iso)
			throw new Error(`“${whole}” is not in the calendar`);
		ns = BigInt(date.getTime()) * MILLISECOND + BigInt(fraction.padEnd(9, "0"));
	}
	if (ns !== clampTime(ns))
		throw new Error(`“${whole}” is outside of what 64 bits of nanoseconds hold (1677 to 2262)`);
	return ns;
}

const UNITS = {ns: 1n, us: 1000n, ms: MILLISECOND, s: SECOND, m: MINUTE, h: HOUR, d: DAY, w: 7n * DAY};

/* Reads a length of time such as 90s, 1.5h or 1h30m as nanoseconds; throws what is wrong. */
export function parseDuration(text) {
	let whole = 0n;
	let rest = text.trim();
	do {
		const match = /^(\d{1,12})(?:\.(\d{1,9}))?\s*(ns|us|ms|s|m|h|d|w)\s*/.exec(rest);
		if (match === null)
			throw new Error(`“${text}” is not a length of time such as 90s or 1h30m`);
		const [all, number, fraction = "", unit] = match;
		whole += UNITS[unit] * BigInt(number + fraction) / 10n ** BigInt(fraction.length);
		rest = rest.slice(all.length);
	} while (rest !== "");
	return clampTime(whole);
}

/* A duration as "3 s", "5 min", "2 h" or "12 d". */
export function durationText(ns) {
	const seconds = Number(ns) / 1e9;
	if (seconds < 1e-3)
		return `${+(seconds * 1e6).toPrecision(3)} µs`;
	if (seconds < 1)
		return `${+(seconds * 1e3).toPrecision(3)} ms`;
	for (const [limit, unit, size] of [[120, "s", 1], [7200, "min", 60], [172800, "h", 3600]]) {
		if (seconds < limit)
			return `${Math.round(seconds / size)} ${unit}`;
	}
	const days = Math.round(seconds / 86400);
	return days < 730 ? `${days} d` : `${(days / 365.25).toFixed(1)} years`;
}

/* Steps that divide an hour, so that there are ticks on full hours in every time zone. */
const EVEN_STEPS = (() => {
	const steps = [];
	for (let unit = 1n; unit < SECOND; unit *= 10n)
		steps.push(unit, 2n * unit, 5n * unit);
	for (const unit of [SECOND, MINUTE])
		steps.push(unit, 2n * unit, 5n * unit, 10n * unit, 15n * unit, 30n * unit);
	return steps;
})();

/*
 * Steps of the calendar: which of fields() is increased, by how many, and about how long that is.
 */
const CALENDAR_STEPS = [
	[3, 1, HOUR], [3, 2, 2n * HOUR], [3, 3, 3n * HOUR], [3, 6, 6n * HOUR], [3, 12, 12n * HOUR],
	[2, 1, DAY], [2, 2, 2n * DAY], [2, 7, 7n * DAY], [1, 1, 30n * DAY], [1, 3, 91n * DAY],
	[1, 6, 182n * DAY], [0, 1, 365n * DAY], [0, 2, 730n * DAY], [0, 5, 1826n * DAY],
	[0, 10, 3652n * DAY], [0, 50, 18262n * DAY], [0, 100, 36525n * DAY],
];

function dateOf(parts, utc) {
	const date = utc ? new Date(0) : new Date(2000, 0, 1);
	if (utc) {
		date.setUTCFullYear(parts[0], parts[1], parts[2]);
		date.setUTCHours(parts[3], 0, 0, 0);
	} else {
		date.setFullYear(parts[0], parts[1], parts[2]);
		date.setHours(parts[3], 0, 0, 0);
	}
	return BigInt(date.getTime()) * MILLISECOND;
}

/* At most count times on round numbers of the clock or the calendar, and the step's field. */
export function ticks(start, end, count, utc) {
	const wanted = (end - start) / BigInt(Math.max(1, count));
	const times = [];
	const even = EVEN_STEPS.find(step => step >= wanted);
	if (even !== undefined) {
		for (let time = floorDivide(start + even - 1n, even) * even; time <= end; time += even)
			times.push(time);
		return times;
	}
	const [field, step] = CALENDAR_STEPS.find(entry => entry[2] >= wanted) ?? CALENDAR_STEPS.at(-1);
	const parts = fields(split(start).date, utc);
	parts[field] = field === 2 ? (step === 1 ? parts[2] : 1) : Math.floor(parts[field] / step) * step;
	for (let later = field + 1; later < 6; later++)
		parts[later] = later === 2 ? 1 : 0;
	for (let time = dateOf(parts, utc); time <= end;) {
		if (time >= start && (times.length === 0 || time > times.at(-1)))
			times.push(time);
		parts[field] += step;
		/* Weeks and pairs of days begin again with each month. */
		if (field === 2 && step > 1 && parts[2] + step / 2 > daysIn(parts[0], parts[1])) {
			parts[1]++;
			parts[2] = 1;
		}
		time = dateOf(parts, utc);
	}
	return times;
}

function daysIn(year, month) {
	return new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
}

/*
 * The labels of ticks: the time, and below it the day if it differs from that of the label before.
 * A label of which fits(its place, text) says no is left out.
 */
export function tickLabels(times, utc, fits = () => true) {
	let previous = "";
	const midnight = times.map(time => {
		const parts = fields(split(time).date, utc);
		return parts[3] === 0 && parts[4] === 0 && parts[5] === 0 && split(time).nanos === 0;
	});
	const days = times.length > 0 && midnight.every(Boolean);
	const seconds = times.some(time => floorDivide(time, SECOND) * SECOND % MINUTE !== 0n ||
		split(time).nanos !== 0);
	const digits = Math.max(0, ...times.map(time => fractionText(split(time).nanos).length));
	return times.map((time, place) => {
		const {date, nanos} = split(time);
		const parts = fields(date, utc);
		const day = dayText(parts);
		let label = `${pad(parts[3])}:${pad(parts[4])}`;
		if (seconds)
			label += ":" + pad(parts[5]);
		if (digits > 0)
			label += ("." + pad(nanos, 9)).slice(0, digits);
		if (days)
			label = day;
		else if (day !== previous)
			label += "\n" + day;
		if (!fits(place, label))
			return "";
		previous = day;
		return label;
	});
}
