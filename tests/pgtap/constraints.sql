-- CHECK, NOT NULL, DEFAULT, generated columns, triggers, rules and views.
BEGIN;
SELECT plan(35);

-- constraints
CREATE TABLE m (
	time bigint NOT NULL DEFAULT 42 CHECK (time > 0),
	tag text DEFAULT 'none' CONSTRAINT short_tag CHECK (length(tag) < 10),
	values float8[] NOT NULL DEFAULT '{7}' CHECK (cardinality(values) < 4),
	CONSTRAINT across CHECK (tag <> 'a' OR time < 1000)) USING historian;
SELECT lives_ok('INSERT INTO m DEFAULT VALUES', 'DEFAULT VALUES');
SELECT results_eq('SELECT * FROM m', $$VALUES (42::bigint, 'none'::text, '{7}'::float8[])$$, 'the defaults');
SELECT lives_ok('INSERT INTO m (tag) VALUES (''b'')', 'defaults of the columns not named');
SELECT throws_ok($$INSERT INTO m VALUES (0, 'a', '{1}')$$, '23514', NULL, 'CHECK on time');
SELECT throws_ok($$INSERT INTO m VALUES (1, 'far too long', '{1}')$$, '23514',
	'new row for relation "m" violates check constraint "short_tag"', 'CHECK on tag');
SELECT throws_ok($$INSERT INTO m VALUES (1, 'a', '{1,2,3,4}')$$, '23514', NULL, 'CHECK on values');
SELECT throws_ok($$INSERT INTO m VALUES (1, 'a', NULL)$$, '23502', NULL, 'NOT NULL');
SELECT throws_ok($$INSERT INTO m VALUES (2000, 'a', '{1}')$$, '23514', NULL, 'CHECK of two columns');
SELECT throws_ok($$COPY m FROM PROGRAM 'printf "1\tc\t{1}\n0\tc\t{1}\n"'$$, '23514', NULL, 'CHECK in COPY');
SELECT throws_ok($$COPY m FROM PROGRAM 'printf "1\tc\t\\\\N\n"'$$, '23502', NULL, 'NOT NULL in COPY');
SELECT lives_ok($$COPY m (time, tag) FROM PROGRAM 'printf "1\tc\n"'$$, 'DEFAULT in COPY');
SELECT results_eq('SELECT tag FROM m ORDER BY tag', $$VALUES ('b'::text), ('c'), ('none')$$, 'only good rows');
SELECT throws_ok('ALTER TABLE m ADD CHECK (time < 42)', '23514', NULL, 'ADD CHECK checks the rows');
SELECT lives_ok('ALTER TABLE m ADD CHECK (time < 100) NOT VALID', 'ADD CHECK .. NOT VALID');
SELECT throws_ok($$INSERT INTO m VALUES (100, 'd', '{1}')$$, '23514', NULL, 'applies to new rows');
SELECT lives_ok('ALTER TABLE m ALTER values DROP NOT NULL', 'DROP NOT NULL');
SELECT lives_ok($$INSERT INTO m VALUES (9, 'd', NULL)$$, 'allows NULL');
SELECT throws_ok('ALTER TABLE m ALTER values SET NOT NULL', '23502', NULL, 'SET NOT NULL finds it');

-- generated columns, identity, domains
CREATE TABLE g (time bigint, tag text, values float8[] GENERATED ALWAYS AS (ARRAY[time::float8, length(tag)]) STORED) USING historian;
INSERT INTO g VALUES (5, 'abc');
SELECT lives_ok($$COPY g FROM PROGRAM 'printf "6\tabcd\n"'$$, 'COPY into a table with a generated column');
SELECT results_eq('SELECT values FROM g ORDER BY time', $$VALUES ('{5,3}'::float8[]), ('{6,4}')$$, 'generated values');
CREATE TABLE i (time bigint GENERATED ALWAYS AS IDENTITY, tag text, values float8[]) USING historian;
INSERT INTO i (tag, values) VALUES ('a', '{1}'), ('a', '{2}');
SELECT results_eq('SELECT time, values FROM i ORDER BY time', $$VALUES (1::bigint, '{1}'::float8[]), (2, '{2}')$$, 'an identity column');
CREATE TABLE s (time bigserial, tag text, values float8[]) USING historian;
INSERT INTO s (tag) SELECT 'a' FROM generate_series(1, 5);
SELECT results_eq('SELECT time FROM s ORDER BY time', 'SELECT generate_series(1, 5)::bigint', 'bigserial');
CREATE DOMAIN pg_temp.tag_name AS text CHECK (VALUE <> 'bad');
SELECT throws_ok('CREATE TABLE d (time bigint, tag pg_temp.tag_name, values float8[]) USING historian', '0A000', NULL, 'a domain is not text');

-- triggers
CREATE TABLE t (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE log (n serial, what text);
CREATE FUNCTION pg_temp.before_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.tag = 'skip' THEN RETURN NULL; END IF;
	NEW.tag := lower(NEW.tag);
	NEW.values := NEW.values || 1::float8;
	INSERT INTO log (what) VALUES (TG_WHEN || ' ' || TG_LEVEL || ' ' || NEW.tag);
	RETURN NEW;
END $$;
CREATE FUNCTION pg_temp.statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log (what) VALUES (TG_WHEN || ' ' || TG_LEVEL || ' ' || TG_OP || ' ' || (SELECT count(*) FROM t));
	RETURN NULL;
END $$;
CREATE FUNCTION pg_temp.transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log (what) SELECT 'new ' || count(*) || ' ' || min(tag) || ' ' || sum(values[1]) FROM new_rows;
	RETURN NULL;
END $$;
CREATE TRIGGER before_row BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION pg_temp.before_row();
CREATE TRIGGER before_statement BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.statement();
CREATE TRIGGER after_statement AFTER INSERT OR TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.statement();
CREATE TRIGGER transition AFTER INSERT ON t REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.transition();
INSERT INTO t VALUES (1, 'A', '{10}'), (2, 'skip', '{1}'), (3, 'B', '{20}');
SELECT results_eq('SELECT what FROM log ORDER BY n', $$VALUES ('BEFORE STATEMENT INSERT 0'), ('BEFORE ROW a'), ('BEFORE ROW b'),
	('AFTER STATEMENT INSERT 2'), ('new 2 a 30')$$, 'BEFORE ROW, statement triggers, transition table');
SELECT results_eq('SELECT * FROM t ORDER BY time', $$VALUES (1::bigint, 'a'::text, '{10,1}'::float8[]), (3, 'b', '{20,1}')$$,
	'a BEFORE trigger changes and skips rows');
TRUNCATE log;
COPY t FROM stdin;
4	C	{30}
5	skip	{30}
\.
SELECT results_eq('SELECT what FROM log ORDER BY n', $$VALUES ('BEFORE STATEMENT INSERT 2'), ('BEFORE ROW c'),
	('AFTER STATEMENT INSERT 3'), ('new 1 c 30')$$, 'triggers in COPY');
TRUNCATE log;
TRUNCATE t;
SELECT results_eq('SELECT what FROM log ORDER BY n', $$VALUES ('AFTER STATEMENT TRUNCATE 0')$$, 'a TRUNCATE trigger');
SELECT throws_ok('CREATE TRIGGER bad AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION pg_temp.statement()', '0A000',
	'historian tables do not support AFTER ... FOR EACH ROW triggers or foreign keys', 'AFTER ROW triggers');
SELECT throws_ok('CREATE CONSTRAINT TRIGGER bad AFTER INSERT ON t DEFERRABLE FOR EACH ROW EXECUTE FUNCTION pg_temp.statement()',
	'0A000', 'historian tables do not support AFTER ... FOR EACH ROW triggers or foreign keys', 'constraint triggers');

-- rules
CREATE TABLE r (time bigint, tag text, values float8[]) USING historian;
CREATE RULE also AS ON INSERT TO r WHERE NEW.tag = 'x' DO ALSO INSERT INTO t VALUES (NEW.time, 'from rule', NEW.values);
INSERT INTO r VALUES (1, 'x', '{1}'), (2, 'y', '{1}');
SELECT results_eq('SELECT tag, time FROM t', $$VALUES ('from rule'::text, 1::bigint)$$, 'a DO ALSO rule');

-- views
CREATE VIEW readable AS SELECT historian.to_timestamptz(time) AS at, tag, values[1] AS first FROM m;
SELECT results_eq($$SELECT at, first FROM readable WHERE tag = 'c'$$, $$VALUES ('1970-01-01 00:00:00 UTC'::timestamptz, 7::float8)$$, 'a view');
CREATE VIEW plain AS SELECT * FROM r WHERE tag <> 'z' WITH CHECK OPTION;
SELECT lives_ok($$INSERT INTO plain VALUES (5, 'v', '{1}')$$, 'an insert through a view');
SELECT throws_ok($$INSERT INTO plain VALUES (5, 'z', '{1}')$$, '44000', NULL, 'WITH CHECK OPTION');
SELECT results_eq($$SELECT tag FROM plain ORDER BY tag$$, $$VALUES ('v'::text), ('x'), ('y')$$, 'and its rows');
CREATE FUNCTION pg_temp.typed() RETURNS SETOF r LANGUAGE sql AS 'SELECT * FROM r ORDER BY time LIMIT 1';
SELECT results_eq('SELECT tag FROM pg_temp.typed()', $$VALUES ('x'::text)$$, 'a function of the row type');

SELECT * FROM finish();
ROLLBACK;
