/*
 * samples.js
 *	  The samples that the tests of the chart and of the words around it post and look for.
 */
"use strict";

const START = 1583748872000000000n; /* 2020-03-09 10:14:32 UTC */
const SECOND = 1000000000n;
const at = second => START + BigInt(Math.round(second * 1000)) * SECOND / 1000n;
const WINDOW = `start=${START}&end=${at(600)}`;

const messages = [];
const put = (tag, from, to, step, values) => {
	for (let i = from; i <= to; i += step)
		messages.push([at(i), tag, values(i)]);
};
put("ended", 1, 300, 1, i => [20 + i / 100]);
put("gap", 1, 200, 1, i => [20 + i / 100, i]);
put("gap", 381, 600, 1, i => [20 + i / 100, i]);
put("short", 1, 60, 1, i => [21]);
put("valve", 10, 250, 60, i => [i / 10 % 2]);
put("precise", 1, 600, 1, i => [1000000.0016]);
put("minutes", 60, 600, 60, i => [i]);
put("peak", 1, 600, 0.25, i => [i % 7, i === 333.5 ? 1e6 : i % 5]);
put("rig", 1, 600, 2, i => [0.02 + i % 7 / 1000, 230 + i % 3, 1]);
put("null", 1, 600, 10, i => [null, i]);
put("huge", 1, 600, 1, i => [1e300 * (1 + (i - 1) / 599)]);
put("tiny", 1, 600, 1, i => [1e-300 * (1 + (i - 1) / 599)]);
put("t10", 1, 600, 60, i => [10]);
put("t2", 1, 600, 60, i => [2]);
put("t1", 1, 600, 60, i => [1]);
for (let i = 1; i <= 15; i++)
	put(`plant/area-1/a-very-long-name-of-a-pump-${i}`, 1, 600, 60, j => [i]);

module.exports = {SECOND, START, WINDOW, at, messages};
