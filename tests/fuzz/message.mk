# tests/fuzz/message.mk: the message scanner against json-c, with libFuzzer.
#
#	make -f tests/fuzz/message.mk				builds build/fuzz/message (needs clang)
#	make -f tests/fuzz/message.mk run SECONDS=60	and runs it

TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
OUT := $(TOP)/build/fuzz
SECONDS ?= 60
SOURCES := $(addprefix $(TOP)/tests/fuzz/,fuzz_message.c message_oracle.c) \
	$(addprefix $(TOP)/proxy/,ingest/message_scan.c ingest/message_json.c base/number.c base/timestamp.c base/memory.c base/log.c)

$(OUT)/message: $(SOURCES) $(wildcard $(TOP)/proxy/*/*.h $(TOP)/tests/fuzz/*.h)
	@mkdir -p $(OUT)
	clang -std=gnu11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -I$(TOP)/proxy -o $@ $(SOURCES) -ljson-c -lm

run: $(OUT)/message
	@mkdir -p $(OUT)/message-corpus
	$< -max_total_time=$(SECONDS) -dict=$(TOP)/tests/fuzz/message.dict -print_final_stats=1 \
		-artifact_prefix=$(OUT)/ \
		$(OUT)/message-corpus $(TOP)/tests/fuzz/message-seeds

.PHONY: run
