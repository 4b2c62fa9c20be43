// duckdb.js: runs the statements of its standard input in DuckDB, in a database in memory.
const { readFileSync } = require("node:fs");
const { DuckDBInstance } = require("@duckdb/node-api");

async function main() {
    const connection = await (await DuckDBInstance.create()).connect();
    await connection.run(readFileSync(0, "utf8"));
}
main().catch((error) => {
    console.error(String(error));
    process.exit(1);
});
