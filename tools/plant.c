/*
 * plant.c
 *	  The names of a plant's tags: site/area/unit/sensor.
 *
 * The number of a unit counts over the whole plant, so that a name tells the number of its tag.
 */
#include "plant.h"

#include <string.h>

#define LENGTH(array) ((uint32_t) (sizeof(array) / sizeof((array)[0])))

static const char *const sites[] = {"rotterdam", "antwerp", "gdansk",  "marseille",
									"bilbao",	 "trieste", "houston", "yokohama"};
static const char *const areas[] = {
	"crude-distillation", "catalytic-cracker", "hydrotreater",	   "alkylation", "steam-and-power",
	"water-treatment",	  "gas-recovery",	   "sulphur-recovery", "tank-farm",	 "loading"};
static const char *const units[] = {"pump", "exchanger", "column", "compressor",
									"drum", "reactor",	 "boiler", "separator"};
static const char *const sensors[] = {
	"flow",			"flow-set",	   "pressure-in",  "pressure-out", "temp-in", "temp-out",  "level",
	"level-set",	"vibration-x", "vibration-y",  "current",	   "speed",	  "power",	   "valve",
	"bearing-temp", "density",	   "conductivity", "differential", "oxygen",  "run-hours",
};

#define UNITS_OF_AREA 100
#define AREAS_OF_SITE LENGTH(areas)
#define UNIT_DIGITS	  5 /* or more */

static char *put_word(char *out, const char *word, char end);

size_t
plant_tag_name(uint32_t tag, char name[PLANT_NAME_BYTES])
{
	uint32_t unit = tag / LENGTH(sensors);
	uint32_t area = unit / UNITS_OF_AREA;
	char digits[10];
	uint32_t count = 0;
	char *out = name;

	out = put_word(out, sites[area / AREAS_OF_SITE % LENGTH(sites)], '/');
	out = put_word(out, areas[area % AREAS_OF_SITE], '/');
	out = put_word(out, units[unit % LENGTH(units)], '-');
	for (uint32_t left = unit; left > 0 || count < UNIT_DIGITS; left /= 10)
		digits[count++] = (char) ('0' + left % 10);
	while (count > 0)
		*out++ = digits[--count];
	*out++ = '/';
	out = put_word(out, sensors[tag % LENGTH(sensors)], '\0');
	return (size_t) (out - name) - 1;
}

uint32_t
plant_tag_number(const char *name, size_t length)
{
	char right[PLANT_NAME_BYTES];
	size_t sensor = length;
	uint64_t unit = 0, factor = 1;
	size_t digit;

	while (sensor > 0 && name[sensor - 1] != '/')
		sensor--;
	if (sensor == 0)
		return UINT32_MAX;
	for (digit = sensor - 1; digit > 0 && name[digit - 1] >= '0' && name[digit - 1] <= '9'; digit--)
	{
		if (factor > 100000000)
			return UINT32_MAX;
		unit += (uint64_t) (name[digit - 1] - '0') * factor;
		factor *= 10;
	}
	for (uint32_t i = 0; i < LENGTH(sensors); i++)
	{
		uint64_t tag = unit * LENGTH(sensors) + i;

		if (strlen(sensors[i]) == length - sensor &&
			memcmp(sensors[i], name + sensor, length - sensor) == 0 && tag < PLANT_MAX_TAGS &&
			plant_tag_name((uint32_t) tag, right) == length && memcmp(name, right, length) == 0)
			return (uint32_t) tag;
	}
	return UINT32_MAX;
}

/* Writes a word and a byte after it, and returns its end. */
static char *
put_word(char *out, const char *word, char end)
{
	size_t length = strlen(word);

	memcpy(out, word, length);
	out[length] = end;
	return out + length + 1;
}
