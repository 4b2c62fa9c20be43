/*
 * numbers.js
 *	  Numbers as text: values with all their digits, and the labels of an axis of values.
 */

const MOST_TICKS = 50;

/* A value as the shortest text that reads back as the same double; a dash for none. */
export function numberText(value) {
	return value === null || value === undefined ? "–" : String(value).replace("e+", "e");
}

/*
 * The power of ten in which values of such a size are drawn: 0, except where they are huge or tiny,
 * so that the axis and its length are always numbers that arithmetic serves well.
 */
export function axisExponent(size) {
	return size > 0 && (size >= 1e12 || size < 1e-9) ? Math.max(-307, Math.floor(Math.log10(size))) : 0;
}

/*
 * The least and greatest value that an axis shows for values from least to greatest.  Equal ones
 * are in the middle, and the axis of no value at all is that of 0 to 1.
 */
export function axisRange(least, greatest) {
	if (!(least <= greatest))
		return [0, 1];
	const size = Math.max(Math.abs(least), Math.abs(greatest)) || 1;
	/* Differences in the last digits of doubles are not worth an axis of their own. */
	const half = least === greatest ? size : Math.max((greatest - least) / 2, size * 1e-14);
	const middle = (least + greatest) / 2;
	return [middle - half * 1.1, middle + half * 1.1];
}

/* Round numbers from low to high, at most count and one; only the value of a constant line. */
export function axisTicks(low, high, count, only = null) {
	if (only !== null)
		return [only];
	const wanted = (high - low) / Math.max(1, count);
	const power = 10 ** Math.floor(Math.log10(wanted));
	const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= wanted * 0.999);
	const ticks = [];
	for (let number = Math.ceil(low / step); number * step <= high && ticks.length < MOST_TICKS; number++)
		ticks.push(number * step || 0);
	return ticks;
}

/*
 * The labels of ticks in a power of ten: as many digits as tell one from the next.  The label of a
 * constant line has all its digits.
 */
export function axisLabels(ticks, exponent) {
	const power = exponent === 0 ? "" : `e${exponent}`;
	if (ticks.length < 2)
		return ticks.map(tick => numberText(tick) + (tick === 0 ? "" : power));
	const step = ticks[1] - ticks[0];
	const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
	return ticks.map(tick => {
		const text = Math.abs(tick) < step / 2 ? "0" : tick.toFixed(Math.min(20, digits));
		return text === "0" ? text : text + power;
	});
}
