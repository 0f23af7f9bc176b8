# SPDX-License-Identifier: GPL-3.0-or-later
# gateshift: the whole build.
#
# targets:  all         every command, into build/bin
#           check       the tests: unit tests, then bats (knob T); ends in "N passed, N failed"
#           check-san   the same, built with ASan, LSan and UBSan (clang)
#           check-tsan  those of threads, built with TSan (clang)
#           check-report  the page of share/report in headless Chromium; skipped where there is none
#           lint        static checks, zero warnings
#           fuzz        every fuzz target for FUZZ_SECONDS each (clang)
#           soak        random requests and failing gateways for SOAK_SECONDS, checked by a model
#           bench       speed, as ratios against peers
#           demo        a predicted, invisible migration on this machine
#           install     into DESTDIR and PREFIX; uninstall takes it back
#           dist        build/gateshift-VERSION.tar.gz of what git tracks
#           deb         build-deb/gateshift_VERSION_ARCH.deb, a Debian package
#           check-package  two such packages are equal; one, in a Debian of its own, installs, runs the
#                       tour of gateshift(7) and is removed without a trace (root, debootstrap, network)
#           clean       everything built
#
# knobs:    CC, CPPFLAGS, CFLAGS, LDFLAGS, LIBS; WERROR=1 makes warnings errors; V=1 shows commands
#           BUILD=DIR           the objects' folder (build)
#           PREFIX, DESTDIR     where install goes (/usr/local, empty)
#           T="tests/x.bats …"  which bats files (all)
#           JOBS                how many of them at once (2)
#           RETRY               unless empty, what failed beside others is run once more alone (1)
#           FUZZ_SECONDS        a fuzz target's time (60)
#           SOAK_SECONDS, SOAK  how long (600), and further options, as "--seed 7" (see --help)
#
# A command is a folder cmd/NAME with NAME.c and further *.c; it is found by itself.  So are unit
# tests (tests/unit/*.c) and fuzz targets (tests/fuzz/*.c).  Libraries that only one command needs
# stand in cmd/NAME/libs (a line of linker flags).

VERSION := 0.1.0
BUILD   ?= build
# One spelling: objects and their .d files would not know each other by another.
override BUILD := $(subst $(CURDIR)/,,$(abspath $(BUILD)))
PREFIX  ?= /usr/local
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600
JOBS    ?= 2
RETRY   ?= 1
CFLAGS  ?= -O2 -g
WERROR  ?=
T       ?= $(wildcard tests/*.bats)

cppflags := -D_GNU_SOURCE -I. $(CPPFLAGS)
warnings := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wpointer-arith -Wvla -Wformat=2 -Wundef $(if $(WERROR),-Werror)
# With SOURCE_DATE_EPOCH, for builds that are to be equal, no path of this tree stays in the objects.
cflags   := -std=gnu11 -pthread $(warnings) $(CFLAGS) $(if $(SOURCE_DATE_EPOCH),-ffile-prefix-map=$(CURDIR)=.)
libs     := -lcsv -llz4 -lnbd -lxxhash -lm $(LIBS)
sharedir := $(PREFIX)/share/gateshift

commands   := $(foreach d,$(wildcard cmd/*),$(if $(wildcard $(d)/$(notdir $(d)).c),$(notdir $(d))))
common_src := $(wildcard common/*/*.c)
common_obj := $(common_src:%.c=$(BUILD)/%.o)
unit_tests := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*.c))
fuzzers    := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*.c))
bins       := $(commands:%=$(BUILD)/bin/%)

all: $(bins)

# $(call say,WORD) stands before a recipe's command: the command, or WORD and the target.
say = $(if $(V),,@$(if $(findstring s,$(firstword -$(MAKEFLAGS))),,printf '  %-4s %s\n' '$(1)' '$@';))

# ---- compiling ----

$(BUILD)/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(cppflags) $(cflags) -MMD -MP -c -o $@ $<

# Only this object knows version and paths, so that another PREFIX recompiles nothing else.
$(BUILD)/common/base/opts.o: cppflags += $(place)
$(BUILD)/common/base/opts.o: $(BUILD)/.place
place = -DGS_VERSION='"$(VERSION)"' -DGS_SHAREDIR='"$(sharedir)"'

# gcc's analyzer takes the sums of such loops for uninitialised, and is run without.
SIMD := -fopenmp-simd
# Loops over numbers that are never NaN, to be turned into vector instructions.
relaxed := adam gates logs loss sample
$(relaxed:%=$(BUILD)/common/forecast/%.o): cflags += $(SIMD) -ffast-math
# … or that may be anything, but added in any order.
summed := days mixture series
$(summed:%=$(BUILD)/common/forecast/%.o): cflags += $(SIMD)

# Numbers that are used one by one are not to be packed into a vector first.
unpacked := common/record/marks common/record/accesses cmd/affinity-profile/count
$(unpacked:%=$(BUILD)/%.o): cflags += -fno-tree-slp-vectorize

# Stamps that are touched when what they hold changes.
stamp = @mkdir -p $(@D); printf '%s\n' $(1) | cmp -s - $@ || printf '%s\n' $(1) >$@
$(BUILD)/.flags: FORCE
	$(call stamp,'$(subst ','\'',$(CC) $(cppflags) $(cflags) $(LDFLAGS) $(libs))')
$(BUILD)/.place: FORCE
	$(call stamp,'$(VERSION) $(sharedir)')
FORCE:

$(BUILD)/libcommon.a: $(common_obj)
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

# ---- linking ----

libs_of = $(shell cat $(1:%=%/libs) /dev/null 2>/dev/null) $(libs)

# A command's objects, without the one with main(), are also what its unit tests and fuzzers link:
# a test that needs them names the commands in its first line: "/* links: cmd/NAME */".
links_of = $(shell sed -n '1s|^/\* links: \(.*\) \*/$$|\1|p' $(1))
linked   = $(foreach n,$(links_of),\
           $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(n)/$(notdir $(n)).c,$(wildcard $(n)/*.c))))

# $(call program,RESULT,OBJECTS,LIBRARIES,FLAGS)
define program
$(BUILD)/$(1): $(2) $(BUILD)/libcommon.a
	@mkdir -p $$(@D)
	$$(call say,LINK)$$(CC) $$(cflags) $$(LDFLAGS) $(4) -o $$@ $$^ $(3)
endef
$(foreach c,$(commands),$(eval $(call program,bin/$(c),$(patsubst %.c,$(BUILD)/%.o,\
    $(wildcard cmd/$(c)/*.c)),$(call libs_of,cmd/$(c)))))
$(foreach t,$(notdir $(unit_tests)),$(eval $(call program,unit/$(t),$(BUILD)/tests/unit/$(t).o \
    $(call linked,tests/unit/$(t).c),$(call libs_of,$(call links_of,tests/unit/$(t).c)))))
$(foreach t,$(notdir $(fuzzers)),$(eval $(call program,fuzz/$(t),$(BUILD)/tests/fuzz/$(t).o \
    $(call linked,tests/fuzz/$(t).c),$(call libs_of,$(call links_of,tests/fuzz/$(t).c)),\
    -fsanitize=fuzzer)))
soak := $(BUILD)/soak/soak
$(eval $(call program,soak/soak,$(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/soak/*.c)),$(libs)))

# ---- testing ----

# What the programs under test get to know of this tree.
tree_env := BUILD=$(abspath $(BUILD)) GATESHIFT_SHARE=$(CURDIR)/share

# Everything that can be compiled, run by nobody: for lint.
programs: all $(unit_tests) $(soak)
fuzzers: $(fuzzers)

unit: $(unit_tests)
	$(tree_env) tests/run --unit

check: all $(unit_tests) $(soak)
	$(tree_env) JOBS=$(JOBS) RETRY=$(RETRY) tests/run $(T)

# A finding ends a program with 99, which no test expects.
san_env := ASAN_OPTIONS=detect_leaks=1:exitcode=99 \
           UBSAN_OPTIONS=print_stacktrace=1:exitcode=99 LSAN_OPTIONS=exitcode=99
san     := CC=clang CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
           -fno-sanitize-recover=undefined"
check-san:
	$(san_env) $(MAKE) BUILD=$(BUILD)-san $(san) RETRY= check

tsan := CC=clang CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=thread"
check-tsan:
	TSAN_OPTIONS=exitcode=99:halt_on_error=1 $(MAKE) BUILD=$(BUILD)-tsan $(tsan) check-threads

check-threads: all $(BUILD)/unit/loop
	$(tree_env) tests/run tests/director-threads.bats

check-report: all
	$(tree_env) tests/check-report

fuzz:
	$(MAKE) BUILD=$(BUILD)-fuzz CC=clang CFLAGS="-O1 -g -fsanitize=address,undefined,fuzzer-no-link \
	    -fno-sanitize-recover=undefined" run-fuzz

# A target's corpus grows in the build folder; what is kept with the source seeds it.
run-fuzz: $(fuzzers)
	@for f in $(fuzzers); do mkdir -p $$f.corpus; \
	    echo "$$f: $(FUZZ_SECONDS) s"; \
	    $$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -verbosity=0 $$f.corpus \
	        $$(ls -d tests/fuzz/corpus/$$(basename $$f) 2>/dev/null) || exit 1; done

soak: all $(soak)
	$(tree_env) GATESHIFT_HOOKS=$(CURDIR)/share/hooks PATH="$(abspath $(BUILD))/bin:$$PATH" $(soak) --seconds $(SOAK_SECONDS) $(SOAK)

lint:
	BUILD=$(BUILD) tests/lint/run

bench: all
	$(tree_env) tests/bench/run

demo: all
	$(tree_env) bash examples/demo.sh

# ---- installing ----

completion_dir := $(PREFIX)/share/bash-completion/completions
fish_dir       := $(PREFIX)/share/fish/vendor_completions.d
zsh_dir        := $(PREFIX)/share/zsh/site-functions
man_pages      := $(wildcard man/*.[1578])
share_files    := $(shell find share -type f ! -name install-deps ! -path 'share/packaging/*')
# Every installed path, below DESTDIR.
installed := $(commands:%=$(PREFIX)/bin/%) $(share_files:share/%=$(sharedir)/%) \
             $(foreach p,$(man_pages),$(PREFIX)/share/man/man$(subst .,,$(suffix $(p)))/$(notdir $(p))) \
             $(completion_dir)/gateshift.bash $(commands:%=$(completion_dir)/%) \
             $(fish_dir)/gateshift.fish $(commands:%=$(fish_dir)/%.fish) $(zsh_dir)/_gateshift

# Pages, units and crontab name the installed paths: those of PREFIX.
placed = sed -e 's|/usr/local/bin|$(PREFIX)/bin|g' -e 's|/usr/local/share/gateshift|$(sharedir)|g'

install: all
	install -d $(addprefix $(DESTDIR),$(sort $(dir $(installed))))
	install $(bins) $(DESTDIR)$(PREFIX)/bin
	for p in $(man_pages); do \
	    $(placed) $$p | install -m 644 /dev/stdin \
	        $(DESTDIR)$(PREFIX)/share/man/man$${p##*.}/$${p##*/} || exit 1; done
	for f in $(share_files:share/%=%); do m=644; test ! -x share/$$f || m=755; \
	    $(placed) share/$$f | install -m $$m /dev/stdin $(DESTDIR)$(sharedir)/$$f || exit 1; done
	install -m 644 completions/gateshift.bash $(DESTDIR)$(completion_dir)/
	install -m 644 completions/gateshift.fish $(DESTDIR)$(fish_dir)/
	install -m 644 completions/_gateshift $(DESTDIR)$(zsh_dir)/
	for c in $(commands); do \
	    ln -sf gateshift.bash $(DESTDIR)$(completion_dir)/$$c && \
	    ln -sf gateshift.fish $(DESTDIR)$(fish_dir)/$$c.fish || exit 1; done

uninstall:
	rm -f $(addprefix $(DESTDIR),$(installed))
	test ! -d $(DESTDIR)$(sharedir) || find $(DESTDIR)$(sharedir) -depth -type d -empty -delete

tarball := $(BUILD)/gateshift-$(VERSION).tar.gz
dist:
	@mkdir -p $(BUILD)
	git archive --prefix=gateshift-$(VERSION)/ -o $(tarball) HEAD || { rm -f $(tarball); exit 1; }

deb:
	share/packaging/build-deb $(BUILD)-deb $(VERSION)

check-package:
	tests/package/run $(BUILD)-package $(VERSION)

clean:
	rm -rf $(BUILD) $(BUILD)-san $(BUILD)-tsan $(BUILD)-fuzz $(BUILD)-lint-* $(BUILD)-deb $(BUILD)-package

.PHONY: all programs fuzzers unit check check-san check-tsan check-threads check-report check-package fuzz run-fuzz soak lint bench demo install uninstall dist deb clean FORCE
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
