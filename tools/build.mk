# tools/build.mk: rules that make programs of the files of tools/, here and in tests/load.  The
# Makefile that includes it sets TOP, the path to the top of the checkout.

BUILD = $(TOP)/build
OBJECTS = $(BUILD)/tools

CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -Wall -Wextra -Werror -ffp-contract=off -MMD -MP
PACKAGES = libuv json-c zlib libpq libssl libcrypto
override CPPFLAGS += $(shell pkg-config --cflags $(PACKAGES)) -I/usr/share/include/llhttp -I$(TOP)/tools
LDLIBS = $(shell pkg-config --libs $(PACKAGES)) -lm

# llhttp is a library in Debian 13; Debian 12 ships its sources with node-llhttp.
ifneq ($(wildcard /usr/share/llhttp/llhttp.c),)
LLHTTP = $(addprefix $(OBJECTS)/llhttp_,llhttp.o api.o http.o)
else
LDLIBS += -lllhttp
endif

vpath %.c . $(TOP)/tools

$(OBJECTS)/options.o: override CFLAGS += -DTOOLS_VERSION='"$(shell $(TOP)/scripts/version)"'

all:

$(BUILD)/%:
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(OBJECTS)/%.o: %.c | $(OBJECTS)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(OBJECTS)/llhttp_%.o: /usr/share/llhttp/%.c | $(OBJECTS)
	$(CC) $(CPPFLAGS) $(CFLAGS) -w -c -o $@ $<

$(OBJECTS):
	mkdir -p $@

-include $(wildcard $(OBJECTS)/*.d $(OBJECTS)/*/*.d)
# A .d that was made before a source was moved or removed still names the old file.
%.c: ;
