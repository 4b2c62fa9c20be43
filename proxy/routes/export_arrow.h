/*
 * export_arrow.h
 *	  Exports as an Apache Arrow IPC stream.
 */
#ifndef HISTORIAND_EXPORT_ARROW_H
#define HISTORIAND_EXPORT_ARROW_H

#include "routes/export_format.h"

extern const ExportFormat export_arrow;

#endif /* HISTORIAND_EXPORT_ARROW_H */
