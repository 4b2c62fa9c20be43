# tests/fuzz/shared_segment.mk: hostile shared segments as readers use them, with libFuzzer; see codec.mk.
#
#	make -f tests/fuzz/shared_segment.mk				builds build/fuzz/shared_segment (needs clang)
#	make -f tests/fuzz/shared_segment.mk run SECONDS=60	and runs it so long

TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
OUT := $(TOP)/build/fuzz
SECONDS ?= 60
PG_CONFIG ?= pg_config
SOURCES := $(TOP)/tests/fuzz/fuzz_shared_segment.c $(wildcard $(TOP)/extension/codec/*.c) \
	$(addprefix $(TOP)/extension/,store/segment.c store/shared_segment.c)

$(OUT)/shared_segment: $(SOURCES) $(wildcard $(TOP)/extension/*.h $(TOP)/extension/*/*.h)
	@mkdir -p $(OUT)
	clang -std=gnu11 -g -O1 -w -ffp-contract=off -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -fno-sanitize=alignment -I$(TOP)/extension \
		-I$$($(PG_CONFIG) --includedir-server) -o $@ $(SOURCES) \
		-L$$($(PG_CONFIG) --libdir) -L$$($(PG_CONFIG) --pkglibdir) -lpgcommon -lpgport -lm

run: $(OUT)/shared_segment
	$(MAKE) -f $(TOP)/tests/fuzz/codec.mk $(OUT)/codec-decode-seeds
	@mkdir -p $(OUT)/shared_segment-seeds $(OUT)/shared_segment-corpus
	python3 $(TOP)/tests/fuzz/shared_segment_seeds.py $(OUT)/codec-decode-seeds $(OUT)/shared_segment-seeds
	$< -max_total_time=$(SECONDS) -max_len=8192 -print_final_stats=1 \
		-artifact_prefix=$(OUT)/ $(OUT)/shared_segment-corpus $(OUT)/shared_segment-seeds

.PHONY: run
