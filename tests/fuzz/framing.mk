# tests/fuzz/framing.mk: where HTTP requests end, with libFuzzer.
#
#	make -f tests/fuzz/framing.mk				builds build/fuzz/framing (needs clang)
#	make -f tests/fuzz/framing.mk run SECONDS=60	and runs it

TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
OUT := $(TOP)/build/fuzz
SECONDS ?= 60
SOURCES := $(TOP)/tests/fuzz/fuzz_framing.c $(TOP)/proxy/http/http_framing.c

# As proxy/Makefile finds it.
LLHTTP_SOURCES ?= /usr/share/llhttp
LLHTTP_INCLUDE ?= /usr/share/include/llhttp
ifneq ($(wildcard /usr/include/llhttp.h),)
LLHTTP = -lllhttp
else
LLHTTP = -w -isystem $(LLHTTP_INCLUDE) $(addprefix $(LLHTTP_SOURCES)/,llhttp.c http.c api.c)
endif

$(OUT)/framing: $(SOURCES) $(TOP)/proxy/http/http_framing.h
	@mkdir -p $(OUT)
	clang -std=gnu11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -I$(TOP)/proxy -o $@ $(SOURCES) $(LLHTTP)

run: $(OUT)/framing
	@mkdir -p $(OUT)/framing-corpus
	$< -max_total_time=$(SECONDS) -print_final_stats=1 -max_len=2048 \
		-dict=$(TOP)/tests/fuzz/framing.dict -artifact_prefix=$(OUT)/ \
		$(OUT)/framing-corpus $(TOP)/tests/fuzz/framing-seeds

.PHONY: run
