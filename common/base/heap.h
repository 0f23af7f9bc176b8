/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where malloc() takes memory from. */
#ifndef GS_BASE_HEAP_H
#define GS_BASE_HEAP_H

#include <stddef.h>

/*
 * Has the main thread's next BYTES (at most 1 GiB) of malloc() come from pages of 2 MiB, where the
 * system has some: for who fills much memory in small pieces, which then costs fewer page faults
 * and walks through page tables.  They are address space until they are used.  Where that is not to
 * be had, nothing changes.  To be called once, before there are other threads.
 */
void heap_large_pages(size_t bytes);

#endif
