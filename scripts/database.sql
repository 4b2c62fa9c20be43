-- What historiand needs in its database; changes nothing that is there.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS historian;
CREATE TABLE IF NOT EXISTS measurement (time bigint, tag text, values float8[]) USING historian;
