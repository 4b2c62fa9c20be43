# tests/fuzz/bundle.mk: hostile bundles, with libFuzzer; see codec.mk.
#
#	make -f tests/fuzz/bundle.mk				builds build/fuzz/bundle (needs clang)
#	make -f tests/fuzz/bundle.mk run SECONDS=60	and runs it so long

TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
OUT := $(TOP)/build/fuzz
SECONDS ?= 60
PG_CONFIG ?= pg_config
SOURCES := $(TOP)/tests/fuzz/fuzz_bundle.c $(TOP)/extension/write/bundle.c

$(OUT)/bundle: $(SOURCES) $(wildcard $(TOP)/extension/*.h $(TOP)/extension/*/*.h)
	@mkdir -p $(OUT)
	clang -std=gnu11 -g -O1 -w -ffp-contract=off -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -fno-sanitize=alignment -I$(TOP)/extension \
		-I$$($(PG_CONFIG) --includedir-server) -o $@ $(SOURCES) \
		-L$$($(PG_CONFIG) --libdir) -L$$($(PG_CONFIG) --pkglibdir) -lpgcommon -lpgport -lm

run: $(OUT)/bundle
	@mkdir -p $(OUT)/bundle-seeds $(OUT)/bundle-corpus
	python3 $(TOP)/tests/fuzz/bundle_seeds.py $(OUT)/bundle-seeds
	$< -max_total_time=$(SECONDS) -max_len=2048 -print_final_stats=1 \
		-artifact_prefix=$(OUT)/ $(OUT)/bundle-corpus $(OUT)/bundle-seeds

.PHONY: run
