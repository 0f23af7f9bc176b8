/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The planner's calendar: what it takes, and when it is open. */
#include <errno.h>
#include <math.h>

#include "common/plan/calendar.h"
#include "tests/unit/tap.h"

static const double hour = 3600, day = 86400;
/* 2026-03-01T00:00:00Z, as date(1) has it. */
static const double march = 1772323200;

static void test_refused(void)
{
    static const char *const times[][2] = {
        {"22:00", "22:00"}, {"24:00", "06:00"}, {"2:00", "03:00"},  {"22:00", "24:01"},
        {"22:60", "23:00"}, {"", "06:00"},      {"22:00", "06:00x"}};
    static const char *const dates[][2] = {
        {"2026-02-29", "2026-03-01"}, {"2026-12-24", "2026-12-23"}, {"1969-12-31", "1970-01-01"},
        {"2026-13-01", "2026-13-01"}, {"2026-1-01", "2026-01-02"},  {"2026-01-01", "2026-01-00"}};
    struct plan_calendar c = {0};
    test_begin("what is no time or date is refused");
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
        CHECK(plan_calendar_window(&c, times[i][0], times[i][1]) == -EINVAL);
    for (size_t i = 0; i < sizeof(dates) / sizeof(*dates); i++)
        CHECK(plan_calendar_blackout(&c, dates[i][0], dates[i][1]) == -EINVAL);
    CHECK(plan_calendar_open(&c, march));
    CHECK(plan_calendar_next(&c, march + .5) == march + .5);
    plan_calendar_release(&c);
}

static void test_windows(void)
{
    struct plan_calendar c = {0};
    test_begin("daily windows, one past midnight");
    CHECK(plan_calendar_window(&c, "22:30", "05:00") == 0);
    CHECK(plan_calendar_window(&c, "12:00", "13:00") == 0);
    CHECK(plan_calendar_open(&c, march));
    CHECK(plan_calendar_open(&c, march + 5 * hour - 1));
    CHECK(!plan_calendar_open(&c, march + 5 * hour));
    CHECK(plan_calendar_next(&c, march + 5 * hour) == march + 12 * hour);
    CHECK(plan_calendar_next(&c, march + 13 * hour) == march + 22.5 * hour);
    CHECK(plan_calendar_next(&c, march + 23 * hour) == march + 23 * hour);
    plan_calendar_release(&c);
}

static void test_blackouts(void)
{
    struct plan_calendar c = {0};
    test_begin("blackouts, and windows after them");
    CHECK(plan_calendar_blackout(&c, "2026-03-01", "2026-03-02") == 0);
    CHECK(plan_calendar_open(&c, march - 1));
    CHECK(plan_calendar_next(&c, march) == march + 2 * day);
    CHECK(plan_calendar_window(&c, "20:00", "24:00") == 0);
    CHECK(plan_calendar_next(&c, march) == march + 2 * day + 20 * hour);
    CHECK(plan_calendar_blackout(&c, "2026-03-03", "2026-03-03") == 0);
    CHECK(plan_calendar_next(&c, march) == march + 3 * day + 20 * hour);
    CHECK(plan_calendar_blackout(&c, "2000-02-29", "9999-12-31") == 0);
    CHECK(isinf(plan_calendar_next(&c, march)));
    plan_calendar_release(&c);
}

int main(void)
{
    test_refused();
    test_windows();
    test_blackouts();
    test_begin("plan_calendar");
    return test_done();
}
