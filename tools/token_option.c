/*
 * token_option.c
 *	  The option --token-file, and the variable HISTORIAN_TOKEN: by which token a program is known.
 *
 * There is no option for the token itself: every user of a machine sees command lines.
 */
#define _GNU_SOURCE
#include "token_option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
token_option_header(const char *file, char *header, size_t size)
{
	char line[512] = "";
	const char *token = getenv("HISTORIAN_TOKEN");
	FILE *stream;

	header[0] = '\0';
	if (file != NULL)
	{
		stream = fopen(file, "re");
		if (stream == NULL || fgets(line, sizeof(line), stream) == NULL)
		{
			if (stream != NULL)
				fclose(stream);
			return "--token-file: the file cannot be read, or is empty";
		}
		fclose(stream);
		line[strcspn(line, "\r\n")] = '\0';
		token = line;
	}
	if (token == NULL || token[0] == '\0')
		return file != NULL ? "--token-file: its first line is empty" : NULL;
	for (const char *c = token; *c != '\0'; c++)
	{
		if (*c <= ' ' || *c > '~')
			return "the token has a character that no token has";
	}
	if ((size_t) snprintf(header, size, "Authorization: Bearer %s\r\n", token) >= size)
	{
		header[0] = '\0';
		return "the token is too long";
	}
	return NULL;
}
