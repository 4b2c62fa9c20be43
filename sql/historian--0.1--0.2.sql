-- historian 0.1 to 0.2; also run by CREATE EXTENSION, after historian--0.1.sql
\echo Use "ALTER EXTENSION historian UPDATE TO '0.2'" to load this file. \quit
