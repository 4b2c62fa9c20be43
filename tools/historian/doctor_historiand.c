/*
 * doctor_historiand.c
 *	  What the doctor looks at in historiand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor_checks.h"
#include "http_get.h"

/* Date has no fractions of a second. */
#define DATE_STEP_S 1.0

static void
check_date(Report *report, const HttpAnswer *answer, const DoctorLimits *limits)
{
	double difference = (double) answer->date - (double) time(NULL);

	if (answer->date == 0)
		report_unseen(report, "clock", "historiand sends no Date");
	else if ((difference < 0 ? -difference : difference) > limits->clock_s + DATE_STEP_S)
		report_finding(
			report, "clock", "run a time service (chrony, systemd-timesyncd) on both machines",
			"historiand's clock is %.0f s %s that of this machine",
			difference < 0 ? -difference : difference, difference > 0 ? "ahead of" : "behind");
	else
		report_good(report, "clock", "historiand's differs by %.0f s or less",
					(difference < 0 ? -difference : difference) + DATE_STEP_S);
}

void
doctor_check_historiand(Report *report, const char *url, const char *headers, const TlsClient *tls,
						const DoctorLimits *limits)
{
	HttpAnswer answer;
	const char *detail;
	const char *end;

	if (!http_get(&answer, url, "/readyz", headers, tls))
	{
		report_finding(report, "historiand",
					   answer.distrusted
						   ? "mend the certificate, or give what it needs by --url, --ca-file, "
							 "--certificate and --key"
						   : "start it (systemctl start historiand, or make run), or give its "
							 "address by --url",
					   "%s", answer.wrong);
		return;
	}
	/* The body is application/problem+json; its strings have no quotes unless something is odd. */
	detail = strstr(answer.body, "\"detail\":\"");
	detail = detail != NULL ? detail + strlen("\"detail\":\"") : answer.body;
	end = strstr(detail, "\"}");
	if (end == NULL)
		end = detail + strcspn(detail, "\n");
	if (answer.status == 200)
		report_good(report, "historiand", "%s is ready", url);
	else
		report_finding(report, "historiand", "mend what it says; its log tells more",
					   "%s is not ready (%d): %.*s", url, answer.status, (int) (end - detail),
					   detail);
	check_date(report, &answer, limits);
}
