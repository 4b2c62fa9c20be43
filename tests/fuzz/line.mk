# tests/fuzz/line.mk: line protocol, with libFuzzer.
#
#	make -f tests/fuzz/line.mk				builds build/fuzz/line (needs clang)
#	make -f tests/fuzz/line.mk run SECONDS=60	and runs it

TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
OUT := $(TOP)/build/fuzz
SECONDS ?= 60
SOURCES := $(addprefix $(TOP)/tests/fuzz/,fuzz_line.c) \
	$(addprefix $(TOP)/proxy/,$(addprefix ingest/,body_decoder.c line_scan.c point_merge.c field_places.c message_scan.c message_json.c) \
	$(addprefix base/,assert.c number.c timestamp.c memory.c log.c))

$(OUT)/line: $(SOURCES) $(wildcard $(TOP)/proxy/*/*.h $(TOP)/tests/fuzz/*.h)
	@mkdir -p $(OUT)
	clang -std=gnu11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -I$(TOP)/proxy -o $@ $(SOURCES) -ljson-c -lm

run: $(OUT)/line
	@mkdir -p $(OUT)/line-corpus
	$< -max_total_time=$(SECONDS) -print_final_stats=1 \
		-artifact_prefix=$(OUT)/ \
		$(OUT)/line-corpus $(TOP)/tests/fuzz/line-seeds

.PHONY: run
