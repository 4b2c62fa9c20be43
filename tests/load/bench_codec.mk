# build/bench-codec: the codec's size and speed, without a server (make bench BENCH=codec).
# Needs libzstd-dev, liblz4-dev and zlib1g-dev.
#
#	make -C tests/load -f bench_codec.mk && build/bench-codec [skab-valves.ndjson]

BUILD = ../../build
EXTENSION = ../../extension
OBJECTS = $(BUILD)/bench_codec

# gcc 12 vectorises from -O3 on; no -march: what is measured runs anywhere
CFLAGS ?= -O3 -falign-functions=64 -falign-loops=32 -g
override CFLAGS += -std=gnu11 -Wall -Wextra -Werror -ffp-contract=off -MMD -MP

CODEC = $(patsubst $(EXTENSION)/%.c,$(OBJECTS)/%.o,$(wildcard $(EXTENSION)/codec/*.c))

$(BUILD)/bench-codec: $(addprefix $(OBJECTS)/,bench_codec.o bench_data.o bench_peers.o bench_timing.o) $(CODEC)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lzstd -llz4 -lz -lm

$(OBJECTS)/%.o: %.c | $(OBJECTS)
	$(CC) -I$(EXTENSION) $(CFLAGS) -c -o $@ $<

$(OBJECTS)/%.o: $(EXTENSION)/%.c | $(OBJECTS)
	$(CC) -I$(EXTENSION) $(CFLAGS) -c -o $@ $<

$(OBJECTS):
	mkdir -p $@/codec

-include $(wildcard $(OBJECTS)/*.d)
# a source that was moved, or is gone: a .d made before still names its old place
%.c: ;
