-- historian.import_progress: who sees and changes it, and what becomes of its rows.
BEGIN;
SELECT plan(6);
SET LOCAL client_min_messages = warning;

CREATE SCHEMA plant;
CREATE TABLE plant.m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE plant.other (LIKE plant.m) USING historian;
CREATE ROLE pgtap_importer;
GRANT USAGE ON SCHEMA plant TO pgtap_importer;
GRANT INSERT ON plant.m TO pgtap_importer;
GRANT SELECT ON plant.other TO pgtap_importer;
INSERT INTO historian.import_progress (relid, source, options, head) VALUES ('plant.other', 'a.csv', '', '');
SET LOCAL ROLE pgtap_importer;
SELECT lives_ok($$INSERT INTO historian.import_progress (relid, source, options, head) VALUES ('plant.m', 'a.csv', '', '')$$, 'a role that may INSERT into the table keeps the place of an import');
SELECT lives_ok($$UPDATE historian.import_progress SET bytes = 5 WHERE source = 'a.csv'$$, 'and moves it');
SELECT results_eq('SELECT relid::text, bytes FROM historian.import_progress', $$VALUES ('plant.m', 5::bigint)$$, 'and does not see those of a table that it may only read');
SELECT throws_ok($$INSERT INTO historian.import_progress (relid, source, options, head) VALUES ('plant.other', 'b.csv', '', '')$$, '42501', NULL, 'nor adds to them');
RESET ROLE;
DROP TABLE plant.m;
SELECT results_eq('SELECT relid::text FROM historian.import_progress', $$VALUES ('plant.other')$$, 'rows go with the table');
SELECT has_table('historian'::name, 'import_progress'::name);

SELECT * FROM finish();
ROLLBACK;
