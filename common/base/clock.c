/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/clock.h"

#include <time.h>

double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    long us = t.tv_nsec / 1000; /* whole ones, as records print them */
    return (double)t.tv_sec + (double)us / 1e6;
}

uint64_t clock_mono_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}
