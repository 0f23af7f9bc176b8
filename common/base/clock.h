/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GS_BASE_CLOCK_H
#define GS_BASE_CLOCK_H

#include <stdint.h>

/* Unix seconds, for records. */
double clock_now(void);
/* Microseconds on a clock that never jumps, for deadlines and latencies. */
uint64_t clock_mono_us(void);

#endif
