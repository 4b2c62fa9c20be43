/*
 * scale.js
 *	  Which scale suits lines that are drawn together.
 */

/* A line that fills less than this share of a common scale looks flat. */
const FLAT = 1 / 20;
const MOST_PLOTS = 24;

let decided = {lines: "", scale: "one"};

/* The lengths of what the lines go through, and that of all together; of constant lines nothing. */
function spans(series) {
	const ranges = series.map(({ys}) => ys.filter(Number.isFinite)).filter(ys => ys.length > 0)
		.map(ys => ys.reduce(([low, high], y) => [Math.min(low, y), Math.max(high, y)], [Infinity, -Infinity]));
	const [low, high] = ranges.reduce(([low, high], range) => [Math.min(low, range[0]), Math.max(high, range[1])],
		[Infinity, -Infinity]);
	return {each: ranges.map(range => range[1] - range[0]).filter(span => span > 0), all: high - low};
}

/*
 * The scale of the view.  "auto" is one scale for all lines, unless their units differ or one of
 * them would look flat: then each has its own plot.  It stays while the lines and the method do.
 */
export function suitingScale(view, series) {
	if (view.scale !== "auto")
		return view.scale;
	const lines = JSON.stringify([view.method, series.map(one => one.key)]);
	const {each, all} = spans(series);
	if (lines === decided.lines && (decided.sure || each.length === 0))
		return decided.scale;
	const units = new Set(series.map(one => one.unit).filter(Boolean));
	const apart = series.length > 1 && series.length <= MOST_PLOTS &&
		(units.size > 1 || each.some(span => span < all * FLAT));
	decided = {lines, scale: apart ? "apart" : "one", sure: each.length > 0};
	return decided.scale;
}
