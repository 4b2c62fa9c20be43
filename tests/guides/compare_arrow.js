// compare_arrow.js READER ARROWS COPY NAME..: compares what a reader makes of an Arrow stream with the rows of a COPY BINARY of (time, tag, values),
// bit for bit. READER is apache-arrow, or parquet-wasm, which has DuckDB read the Parquet file that it writes. The NAMEs are those of the columns
// of values.
const fs = require("node:fs");

const [reader, arrows, copy, ...names] = process.argv.slice(2);
const nanoseconds = { "apache-arrow": "Timestamp<NANOSECOND, UTC>", "parquet-wasm": "BIGINT" };

function differs(what) {
    throw new Error(`differs: ${what}`);
}

function sameNames(found, types) {
    const expected = ["time", "tag", ...names];
    if (JSON.stringify(found) !== JSON.stringify(expected))
        differs(`columns ${found}`);
    if (types[0] !== nanoseconds[reader])
        differs(`time is ${types[0]}`);
}

// The rows of COPY. next() reads one into time, tag, present, and bits, which has the high and the low half of each value; false: there is none.
class Copied {
    constructor(path) {
        this.data = fs.readFileSync(path);
        this.view = new DataView(this.data.buffer, this.data.byteOffset, this.data.byteLength);
        this.at = 19;
        this.present = new Uint8Array(names.length);
        this.bits = new Uint32Array(2 * names.length);
    }

    length() {
        this.at += 4;
        return this.view.getInt32(this.at - 4);
    }

    next() {
        if (this.view.getInt16(this.at) === -1)
            return false;
        this.at += 2 + 4;
        this.time = this.view.getBigInt64(this.at);
        this.at += 8;
        const tagLength = this.length();
        this.tag = this.data.toString("utf8", this.at, this.at + tagLength);
        this.at += tagLength;
        this.present.fill(0);
        if (this.length() !== -1) {
            const dimensions = this.view.getInt32(this.at);
            this.at += 12;
            const count = dimensions === 0 ? 0 : this.view.getInt32(this.at);
            this.at += 8 * dimensions;
            for (let i = 0; i < count; i++) {
                if (this.length() === -1)
                    continue;
                this.present[i] = 1;
                this.bits[2 * i] = this.view.getUint32(this.at);
                this.bits[2 * i + 1] = this.view.getUint32(this.at + 4);
                this.at += 8;
            }
        }
        return true;
    }
}

const number = new Float64Array(1);
const halves = new Uint32Array(number.buffer);      // the low one comes first where this runs

function sameValue(copied, i, value) {
    if (value === null || copied.present[i] === 0)
        return value === null && copied.present[i] === 0;
    number[0] = value;
    return halves[1] === copied.bits[2 * i] && halves[0] === copied.bits[2 * i + 1];
}

let rows = 0;

function compare(copied, time, tag, values) {
    if (!copied.next())
        differs("more rows than COPY has");
    if (copied.time !== time || copied.tag !== tag)
        differs(`row ${rows}: ${time} ${tag}`);
    for (let i = 0; i < names.length; i++)
        if (!sameValue(copied, i, values(i)))
            differs(`row ${rows}, value ${i}: ${values(i)}`);
    rows++;
}

async function byApacheArrow(copied) {
    const { RecordBatchReader } = require("apache-arrow");
    const stream = await RecordBatchReader.from(fs.createReadStream(arrows));
    for await (const batch of stream) {
        sameNames(batch.schema.fields.map((field) => field.name), batch.schema.fields.map((field) => String(field.type)));
        const times = batch.getChildAt(0).data[0].values;   // get() would make milliseconds of them
        const tags = batch.getChildAt(1);
        const columns = names.map((_, i) => batch.getChildAt(2 + i));
        for (let row = 0; row < batch.numRows; row++)
            compare(copied, times[row], tags.get(row), (i) => columns[i].get(row));
    }
}

async function byParquet(copied) {
    const { Table, WriterPropertiesBuilder, writeParquet } = require("parquet-wasm");
    const { DuckDBInstance } = require("@duckdb/node-api");
    const properties = new WriterPropertiesBuilder().setDictionaryEnabled(false).build();
    fs.writeFileSync("rows.parquet", writeParquet(Table.fromIPCStream(fs.readFileSync(arrows)), properties));
    const connection = await (await DuckDBInstance.create()).connect();
    const result = await connection.stream("SELECT * FROM 'rows.parquet'");
    sameNames(result.columnNames(), result.columnTypes().map(String));
    for (;;) {
        const chunk = await result.fetchChunk();
        if (!chunk || chunk.rowCount === 0)
            break;
        const columns = [];
        for (let i = 0; i < chunk.columnCount; i++)
            columns.push(chunk.getColumnValues(i));
        for (let row = 0; row < chunk.rowCount; row++)
            compare(copied, columns[0][row], columns[1][row], (i) => columns[2 + i][row]);
    }
}

async function main() {
    const copied = new Copied(copy);
    await (reader === "apache-arrow" ? byApacheArrow : byParquet)(copied);
    if (copied.next())
        differs(`only ${rows} rows`);
    console.log(`${rows} rows are the same`);
}
main().catch((error) => {
    console.error(String(error));
    process.exit(1);
});
