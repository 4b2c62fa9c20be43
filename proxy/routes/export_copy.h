/*
 * export_copy.h
 *	  The formats of exports that are made of what COPY writes.
 */
#ifndef HISTORIAND_EXPORT_COPY_H
#define HISTORIAND_EXPORT_COPY_H

#include "routes/export_format.h"

extern const ExportFormat export_copy_ndjson;
extern const ExportFormat export_copy_csv;
extern const ExportFormat export_copy_wide_csv; /* layout=wide */
extern const ExportFormat export_copy_binary;

#endif /* HISTORIAND_EXPORT_COPY_H */
