/*
 * plant.h
 *	  The names of a plant's tags: site/area/unit/sensor.
 *
 * Names have at most PLANT_NAME_BYTES - 1 bytes, of a-z, 0-9, "-" and "/".  Those of tags that are
 * near to each other begin alike: 20 tags are of one unit, 2,000 of one area, 20,000 of one site.
 */
#ifndef PLANT_H
#define PLANT_H

#include <stddef.h>
#include <stdint.h>

#define PLANT_NAME_BYTES 61
#define PLANT_MAX_TAGS	 10000000

/* Writes the name of a tag below PLANT_MAX_TAGS and a zero byte; returns the length without it. */
extern size_t plant_tag_name(uint32_t tag, char name[PLANT_NAME_BYTES]);
/* The tag that has the name; UINT32_MAX: none has. */
extern uint32_t plant_tag_number(const char *name, size_t length);

#endif
