/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/heap.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((uintptr_t)2 << 20)

enum {
    PAD = 128 << 10,        /* by so much more than is asked for the heap grows, as usual */
    STEP = 1 << 20,         /* what the heap, as small as it is now, has to grow for */
    MAPPED_FROM = 16 << 20, /* larger blocks do not come from the heap */
};

void heap_large_pages(size_t bytes)
{
#ifdef __GLIBC__
    /* What is free at the end is not given back: it would come back as small pages. */
    mallopt(M_TRIM_THRESHOLD, (int)bytes + STEP);
    mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
    mallopt(M_TOP_PAD, (int)bytes);
    void *grown = malloc(STEP);
    mallopt(M_TOP_PAD, PAD);
    uintptr_t end = (uintptr_t)sbrk(0) & -PAGE, from = ((uintptr_t)grown + PAGE - 1) & -PAGE;
    if (grown && from < end && end - from <= bytes + STEP)
        (void)madvise((void *)from, end - from, MADV_HUGEPAGE);
    free(grown);
#else
    (void)bytes;
#endif
}
