#!/usr/bin/node
/*
 * test_openapi.js
 *	  proxy/routes/openapi.json is valid OpenAPI 3.1, and answers are what it says.
 */
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const {MODULES, ROOT, Server, missing, run, sql} = require("./page.js");

const why = missing("@seriousme/openapi-schema-validator");
if (why !== null) {
	console.log(`1..0 # SKIP ${why}`);
	process.exit(0);
}

const api = JSON.parse(fs.readFileSync(path.join(ROOT, "proxy/routes/openapi.json")));
let server;
let ajv;

/* A part of the description, or the one that it refers to. */
const resolved = part => part.$ref ? part.$ref.slice(2).split("/").reduce((place, name) => place[name], api) : part;

/* The description of the answer that a request got. */
function described(method, route, response) {
	const answer = api.paths[route][method].responses[response.status];
	assert(answer !== undefined, `${method} ${route} answers ${response.status}, which is not described`);
	return resolved(answer);
}

async function check(method, target, status, options = {}) {
	const response = await fetch(new URL(target, server.url), {method, ...options});
	const route = target.split("?")[0].replace(/^\/tags\/.+?(\/rename)?$/, "/tags/{tag}$1");
	assert.strictEqual(response.status, status, `${target}: ${response.status}`);
	const answer = described(method.toLowerCase(), route, response);
	const type = response.headers.get("content-type");
	if (type === null) {
		assert(answer.content === undefined, `${target} has a body in the description`);
		return;
	}
	const kinds = Object.keys(answer.content);
	assert(kinds.includes(type) || kinds.includes(type.split(";")[0]), `${target}: ${type} is not in ${kinds}`);
	for (const [name, header] of Object.entries(answer.headers ?? {})) {
		if (resolved(header).required !== false)
			assert(response.headers.has(name), `${target} has no ${name}`);
	}
	const {schema} = answer.content[type] ?? answer.content[type.split(";")[0]];
	if (!type.includes("json") || type.includes("x-ndjson"))
		return;
	const validate = ajv.compile({$id: `answer${Math.random()}`, components: api.components, ...schema});
	assert(validate(await response.json()), `${target}: ${JSON.stringify(validate.errors)}`);
}

const ndjson = body => ({body, headers: {"Content-Type": "application/x-ndjson"}});

const tests = [
	["openapi.json is valid OpenAPI 3.1", async () => {
		const {Validator} = await import(path.join(MODULES, "@seriousme/openapi-schema-validator/index.js"));
		const validator = new Validator();
		const result = await validator.validate(structuredClone(api));
		assert(result.valid, JSON.stringify(result.errors));
		assert.strictEqual(validator.version, "3.1");
		const broken = structuredClone(api);
		delete broken.paths["/api"].get.responses;
		broken.paths["/api"].get.parameters.push({name: "x"});
		assert(!(await new Validator().validate(broken)).valid, "the validator finds nothing wrong");
	}],

	["every answer has the status, type, headers and form described", async () => {
		const good = "{\"time\":5,\"tag\":\"a\",\"values\":[1,2.5]}\n";
		await check("POST", "/save", 202, ndjson(good));
		await check("POST", "/save?ack=committed", 204, ndjson(good + good.replace('"a"', '"b"')));
		await check("POST", "/save?partial=true", 207, ndjson(good + "nonsense\n"));
		await check("POST", "/save", 400, ndjson("{\"time\":5}\n"));
		await check("POST", "/save?precision=ms", 202, ndjson(good));
		await check("POST", "/save", 202, ndjson(good.replace("5", "\"2020-03-09T10:14:33.5Z\"")));
		for (const target of ["/save?unknown=1", "/save?precision=m"])
			await check("POST", target, 400, ndjson(good));
		await check("POST", "/save", 400, ndjson(good.replace("5", "1583748873")));
		await check("POST", "/save", 415, {body: good, headers: {"Content-Type": "text/xml"}});
		await check("POST", "/save?ack=committed", 422, ndjson("{\"time\":-1,\"tag\":\"a\",\"values\":[]}\n"));
		await check("POST", "/save", 413, ndjson(good.repeat(2000)));
		const points = "m,k=v f=1 5\n";
		for (const target of ["/write", "/api/v2/write?bucket=b&org=o"])
			await check("POST", target, 204, {body: points});
		await check("POST", "/write?ack=received&db=d", 202, {body: points});
		await check("POST", "/write", 400, {body: points + "nonsense\n"});
		await check("POST", "/write?precision=x", 400, {body: points});
		await check("POST", "/write", 422, {body: "m f=1 -5\n"});
		await check("GET", "/ping", 204);
		await check("POST", "/query?q=CREATE%20DATABASE%20x", 200);
		await check("POST", "/query?q=SELECT%201", 400);
		await check("GET", "/api?tag=a&start=0&end=9&samples=3", 200);
		await check("GET", "/api?tag=a&start=0&end=9&samples=3&time=string", 200);
		await check("GET", "/api?tag=a&start=0&end=9&samples=3&time=rfc3339", 200);
		await check("GET", "/api?tag=a&start=now-1h30m&end=-15m&precision=ms", 200);
		await check("GET", "/api?tag=a", 200);
		await check("GET", "/api?tag=a&step=1m&align=true", 200);
		await check("GET", "/api?tag=a&step=1m&samples=5", 400);
		await check("GET", "/api?tag=a&tag=b&start=0&end=9&samples=3", 200);
		await check("GET", "/api?tag=none&start=0&end=9", 404);
		for (const target of ["/api?tag=a&end=1583748873", "/api?tag=a&start=0&end=9&method=nonsense", "/api?tag=a&start=0&end=9&precision=ns&method=max&value=1", "/tags?x=1", "/latest?tag=",
			"/export?tag=a&format=xml"])
			await check("GET", target, 400);
		for (const target of ["/tags", "/tags?prefix=a&time=string", "/latest", "/latest?tag=a&time=string",
			"/latest?time=rfc3339&precision=s", "/stale", "/stale?prefix=a&time=rfc3339", "/tags?time=rfc3339",
			"/export?tag=a", "/export?tag=a&format=csv", "/export?tag=a&format=csv&layout=wide", "/api?tag=a&start=0&end=9&precision=ns&format=csv", "/export?tag=a&format=binary", "/metrics", "/livez",
			"/healthz", "/readyz", "/openapi.json", "/"])
			await check("GET", target, 200);
		const named = {body: "{\"names\": [\"x\", null], \"high\": [1.5], \"max_silence\": 60}", headers: {"Content-Type": "application/json"}};
		await check("PUT", "/tags/a", 204, named);
		await check("PUT", "/tags/new%2Ftag", 204, named);
		await check("PUT", "/tags/a", 400, {...named, body: "{}}"});
		await check("PUT", "/tags/a", 413, {...named, body: " ".repeat(262145)});
		await check("PUT", "/tags/a", 415, {body: "{}", headers: {"Content-Type": "text/xml"}});
		for (const target of ["/tags", "/stale", "/tags/a?time=string", "/tags/new/tag", "/tags/b"])
			await check("GET", target, 200);
		await check("GET", "/tags/none", 404);
		await check("GET", "/tags/a?x=1", 400);
		for (const target of ["/summary?tag=a&start=0&end=9", "/summary?tag=a&start=0&end=9&quantiles=0.5&time=string", "/summary?tag=a"])
			await check("GET", target, 200);
		await check("GET", "/summary?tag=none", 404);
		await check("GET", "/summary", 400);
		const range = "/samples?tag=a&start=0&end=9";
		await check("PUT", range, 200, ndjson("{\"time\":5,\"values\":[1,2.5]}\n" + good));
		await check("PUT", range, 400, ndjson(good.replace("5", "9")));
		await check("PUT", range, 413, ndjson(good.repeat(2000)));
		await check("PUT", range, 415, {body: good, headers: {"Content-Type": "text/xml"}});
		await check("PUT", range.replace("start=0", "start=-9"), 422, ndjson(good.replace("5", "-5")));
		const to = name => ({body: JSON.stringify({to: name}), headers: {"Content-Type": "application/json"}});
		await check("POST", "/tags/a/rename", 409, to("b"));
		await check("POST", "/tags/none/rename", 404, to("c"));
		await check("POST", "/tags/a/rename", 400, to(""));
		await check("POST", "/tags/a/rename", 413, to("x".repeat(5000)));
		await check("POST", "/tags/a/rename", 415, {body: "{}", headers: {"Content-Type": "text/xml"}});
		await check("POST", "/tags/a/rename", 200, to("c"));
		await check("DELETE", range.replace("tag=a", "tag=c"), 200);
		await check("DELETE", "/samples?tag=c", 400);
		await check("DELETE", "/tags/c", 200);
		const etag = (await fetch(server.url + "tags")).headers.get("etag");
		await check("GET", "/tags", 304, {headers: {"If-None-Match": etag, "Accept-Encoding": "identity"}});
		for (const [method, target] of [["GET", "/tags"], ["PUT", "/tags/a"], ["POST", "/save"], ["POST", "/write"], ["GET", "/livez"], ["PUT", range], ["DELETE", range], ["DELETE", "/tags/a"],
			["POST", "/tags/a/rename"]])
			await check(method, target, 403, {headers: {Origin: "https://other.example"}});
	}],
];

(async () => {
	const {default: Ajv} = await import(path.join(MODULES, "ajv/dist/2020.js"));
	ajv = new Ajv.default({strict: false, validateFormats: false});
	const table = `openapi_${process.pid}`;
	sql(`CREATE TABLE ${table} (time bigint CHECK (time >= 0), tag text, values float8[]) USING historian`);
	server = await new Server(table, 0, ["--max-body-bytes", "64KiB"]).ready();
	await run(tests, async () => {
		await server.stop();
		sql(`DROP TABLE ${table}`);
	});
})();
