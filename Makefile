# SPDX-License-Identifier: GPL-3.0-or-later
# gateshift: the whole build.
#
# targets:  all         every command, into build/bin
#           check       lint-free quick tests: unit tests, then bats (knob T=tests/x.bats …)
#           check-san   the same, built with ASan and UBSan (clang)
#           lint        static checks, zero warnings
#           fuzz        every fuzz target for FUZZ_SECONDS each (clang)
#           bench       speed, as ratios against peers
#           demo        a predicted, invisible migration on this machine
#           install     into DESTDIR/PREFIX; uninstall takes it back
#           dist        gateshift-VERSION.tar.gz of what git tracks
#           clean
#
# knobs:    CC, CFLAGS, BUILD (objects' folder), PREFIX, DESTDIR, WERROR=1, T, FUZZ_SECONDS
#
# A command is a folder cmd/NAME with its *.c; it is found by itself.  So are unit tests
# (tests/unit/*.c) and fuzz targets (tests/fuzz/*.c).  Libraries that only one command needs stand
# in cmd/NAME/libs (a line of linker flags).

VERSION := 0.1.0
BUILD   ?= build
PREFIX  ?= /usr/local
FUZZ_SECONDS ?= 60
CFLAGS  ?= -O2 -g
WERROR  ?=
T       ?= $(wildcard tests/*.bats)

cppflags := -D_GNU_SOURCE -DGS_VERSION='"$(VERSION)"' -I. $(CPPFLAGS)
warnings := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wpointer-arith -Wvla -Wformat=2 -Wundef $(if $(WERROR),-Werror)
cflags   := -std=gnu11 -pthread $(warnings) $(CFLAGS)
libs     := -lcsv -llz4 -lnbd -lxxhash -lm $(LIBS)

commands   := $(notdir $(wildcard cmd/*))
common_src := $(wildcard common/*/*.c)
common_obj := $(common_src:%.c=$(BUILD)/%.o)
unit_tests := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*.c))
fuzzers    := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*.c))
bins       := $(commands:%=$(BUILD)/bin/%)

all: $(bins)

# A command's objects, without the one with main(), are also what its unit tests and fuzzers link:
# a test that needs them names the command in its first line: "/* links: cmd/NAME */".
define command
$(BUILD)/bin/$(1): $(patsubst %.c,$(BUILD)/%.o,$(wildcard cmd/$(1)/*.c)) $(BUILD)/libcommon.a
	@mkdir -p $$(@D)
	$$(CC) $$(cflags) $$(LDFLAGS) -o $$@ $$^ $$(shell cat cmd/$(1)/libs 2>/dev/null) $$(libs)
endef
$(foreach c,$(commands),$(eval $(call command,$(c))))

$(BUILD)/libcommon.a: $(common_obj)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(cppflags) $(cflags) -MMD -MP -c -o $@ $<

# Objects of the commands that a test file names in its "links:" line, less NAME/NAME.c.
linked = $(foreach n,$(shell sed -n '1s|^/\* links: \(.*\) \*/$$|\1|p' $(1)),\
         $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(n)/$(notdir $(n)).c,$(wildcard $(n)/*.c))))

define unit
$(BUILD)/unit/$(1): $(BUILD)/tests/unit/$(1).o $(call linked,tests/unit/$(1).c) $(BUILD)/libcommon.a
	@mkdir -p $$(@D)
	$$(CC) $$(cflags) $$(LDFLAGS) -o $$@ $$^ $$(libs)
endef
$(foreach t,$(notdir $(unit_tests)),$(eval $(call unit,$(t))))

define fuzzer
$(BUILD)/fuzz/$(1): $(BUILD)/tests/fuzz/$(1).o $(call linked,tests/fuzz/$(1).c) $(BUILD)/libcommon.a
	@mkdir -p $$(@D)
	$$(CC) $$(cflags) $$(LDFLAGS) -fsanitize=fuzzer -o $$@ $$^ $$(libs)
endef
$(foreach t,$(notdir $(fuzzers)),$(eval $(call fuzzer,$(t))))

unit: $(unit_tests)
	@for t in $(unit_tests); do echo "$$t"; $$t || exit 1; done

check: all unit
	BUILD=$(abspath $(BUILD)) bats $(T)

san := CC=clang CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
       -fno-sanitize-recover=undefined"
check-san:
	$(MAKE) BUILD=$(BUILD)-san $(san) check

fuzz:
	$(MAKE) BUILD=$(BUILD)-fuzz CC=clang CFLAGS="-O1 -g -fsanitize=address,undefined,fuzzer-no-link \
	    -fno-sanitize-recover=undefined" run-fuzz

run-fuzz: $(fuzzers)
	@for f in $(fuzzers); do mkdir -p $$f.corpus; \
	    echo "$$f: $(FUZZ_SECONDS) s"; \
	    $$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -verbosity=0 $$f.corpus \
	        $$(ls -d tests/fuzz/corpus/$$(basename $$f) 2>/dev/null) || exit 1; done

lint:
	sh tests/lint/run $(BUILD)

bench: all
	BUILD=$(abspath $(BUILD)) sh tests/bench/run

demo: all
	BUILD=$(abspath $(BUILD)) bash examples/demo.sh

clean:
	rm -rf $(BUILD) $(BUILD)-san $(BUILD)-fuzz $(BUILD)-lint-*

.PHONY: all unit check check-san fuzz run-fuzz lint bench demo install uninstall dist clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
