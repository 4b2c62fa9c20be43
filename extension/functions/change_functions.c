/*
 * change_functions.c
 *	  historian.decode_changes(): published changes, whichever form they have in the WAL, as JSON.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "store/change_text.h"

PG_FUNCTION_INFO_V1(historian_decode_changes);

static void put_json(void *argument, const char *json, Size length);

/* historian.decode_changes(message bytea) returns setof json */
Datum
historian_decode_changes(PG_FUNCTION_ARGS)
{
	bytea	   *message = PG_GETARG_BYTEA_PP(0);

	const char *bytes = VARDATA_ANY(message);
	Size		length = VARSIZE_ANY_EXHDR(message);

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (length > 0 && bytes[0] == '{')
	{
		change_text_json_check(bytes, length);
		put_json(fcinfo->resultinfo, bytes, length);
	}
	else
		change_text_compact_read(bytes, length, put_json, fcinfo->resultinfo);
	return (Datum) 0;
}

static void
put_json(void *argument, const char *json, Size length)
{
	ReturnSetInfo *result = argument;
	Datum		value = PointerGetDatum(cstring_to_text_with_len(json, length));
	bool		isnull = false;

	tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
	pfree(DatumGetPointer(value));
}
