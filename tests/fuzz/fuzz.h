/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every fuzz target has: its entry, and how it tells that something does not hold. */
#ifndef GS_FUZZ_FUZZ_H
#define GS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Called by libFuzzer with each input; 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool ok)
{
    if (!ok)
        abort();
}

#endif
