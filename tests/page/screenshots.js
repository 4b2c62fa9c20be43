#!/usr/bin/node
/*
 * screenshots.js URL
 *	  Makes docs/page.png and docs/page-390.png from a server that has the recordings of
 *	  ../shared/data.
 */
"use strict";
const path = require("node:path");
const {ROOT, launch} = require("./page.js");

/* The temperature, over two recordings that follow each other. */
const VIEW = "#tag=valve1/0&tag=valve1/1&values=5&method=plot" +
	"&start=1583748872000000000&end=1583751274000000000";

(async () => {
	const browser = await launch();
	for (const [name, width, height] of [["page", 1280, 900], ["page-390", 390, 844]]) {
		const page = await browser.newPage({viewport: {width, height}, timezoneId: "Europe/Berlin",
			isMobile: width < 500, hasTouch: width < 500});
		await page.goto(process.argv[2] + VIEW);
		await page.waitForSelector("#values tbody tr:nth-child(2)");
		/* Two readings of the metrics, so that there is a rate. */
		await page.waitForFunction(() => document.getElementById("status-rate").textContent !== "–");
		await page.screenshot({path: path.join(ROOT, "docs", name + ".png"), fullPage: width < 500});
		await page.close();
	}
	await browser.close();
})();
