# tests/fuzz/codec.mk: hostile blocks, and round trips of any rows, with libFuzzer.
#
#	make -f tests/fuzz/codec.mk				builds build/fuzz/codec-{decode,round-trip} (needs clang)
#	make -f tests/fuzz/codec.mk run SECONDS=60	and runs each so long

TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
OUT := $(TOP)/build/fuzz
SECONDS ?= 60
SOURCES := $(wildcard $(TOP)/extension/codec/*.c) \
	$(addprefix $(TOP)/tests/unit/,codec_check.c codec_rows.c)
HEADERS := $(wildcard $(TOP)/extension/codec/*.h $(TOP)/tests/unit/codec*.h)
TARGETS := $(OUT)/codec-decode $(OUT)/codec-round-trip

all: $(TARGETS)

$(OUT)/codec-decode: $(TOP)/tests/fuzz/fuzz_codec_decode.c
$(OUT)/codec-round-trip: $(TOP)/tests/fuzz/fuzz_codec_round_trip.c

$(TARGETS): $(SOURCES) $(HEADERS)
	@mkdir -p $(OUT)
	clang -std=gnu11 -g -O1 -ffp-contract=off -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -I$(TOP)/extension -I$(TOP)/tests/unit \
		-o $@ $(filter %.c,$^) -lm

# Blocks to begin with, of every kind: what the unit tests encode.
$(OUT)/codec-decode-seeds: $(TOP)/tests/fuzz/codec_seeds.py
	$(MAKE) -s -C $(TOP)/tests/unit ../../build/unit-objects/encode_rows
	@mkdir -p $@
	python3 $< $(TOP)/build/unit-objects/encode_rows $@

run: all $(OUT)/codec-decode-seeds
	@mkdir -p $(OUT)/codec-decode-corpus $(OUT)/codec-round-trip-corpus
	$(OUT)/codec-decode -max_total_time=$(SECONDS) -max_len=4096 -print_final_stats=1 \
		-artifact_prefix=$(OUT)/ $(OUT)/codec-decode-corpus $(OUT)/codec-decode-seeds
	$(OUT)/codec-round-trip -max_total_time=$(SECONDS) -max_len=2048 -print_final_stats=1 \
		-artifact_prefix=$(OUT)/ $(OUT)/codec-round-trip-corpus

.PHONY: all run
