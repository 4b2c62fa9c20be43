# tests/fuzz/timestamp.mk: times as text, with libFuzzer.
#
#	make -f tests/fuzz/timestamp.mk				builds build/fuzz/timestamp (needs clang)
#	make -f tests/fuzz/timestamp.mk run SECONDS=60	and runs it

TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
OUT := $(TOP)/build/fuzz
SECONDS ?= 60
SOURCES := $(TOP)/tests/fuzz/fuzz_timestamp.c $(addprefix $(TOP)/proxy/base/,timestamp.c number.c memory.c log.c)

$(OUT)/timestamp: $(SOURCES) $(wildcard $(TOP)/proxy/*/*.h $(TOP)/tests/fuzz/*.h)
	@mkdir -p $(OUT)
	clang -std=gnu11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -I$(TOP)/proxy -o $@ $(SOURCES) -lm

run: $(OUT)/timestamp
	@mkdir -p $(OUT)/timestamp-corpus
	$< -max_total_time=$(SECONDS) -print_final_stats=1 \
		-artifact_prefix=$(OUT)/ \
		$(OUT)/timestamp-corpus $(TOP)/tests/fuzz/timestamp-seeds

.PHONY: run
