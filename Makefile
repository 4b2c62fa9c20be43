# Only forwards: to extension/, proxy/, tools/ and tests/ for the building, to scripts/ for the rest.

MAKEFLAGS += --no-print-directory

PORT ?= 8080
DATADIR ?= .data
PG_CONFIG ?= $(shell scripts/pg-config)
PREFIX ?= /usr/local
SUITE ?=
BENCH ?= http
SECONDS ?= 60
export PORT DATADIR PG_CONFIG BENCH SUITE

all: product
	@$(MAKE) -C tests/load

# What is installed.
product:
	@$(MAKE) -C extension PG_CONFIG=$(PG_CONFIG)
	@$(MAKE) -C proxy
	@$(MAKE) -C tools

install: product
	@$(MAKE) -C extension install PG_CONFIG=$(PG_CONFIG)
	@$(MAKE) install-programs

# What is built in build/, without the extension: also for the Debian package.
install-programs:
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin \
		build/historiand build/historian build/historian-producer build/historian-client
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 docs/man/historiand.8
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 \
		docs/man/historian.1 docs/man/historian-producer.1 docs/man/historian-client.1
	install -D -m 644 tools/historian/completion.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/historian

uninstall:
	@$(MAKE) -C extension uninstall PG_CONFIG=$(PG_CONFIG)
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,historiand historian historian-producer historian-client)
	rm -f $(DESTDIR)$(PREFIX)/share/man/man8/historiand.8
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/man/man1/,historian.1 historian-producer.1 historian-client.1)
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/historian

deb:
	@scripts/install-packages deb
	@scripts/deb/build

test-deb:
	@tests/deb/run

dist:
	@scripts/dist

.PHONY: product install-programs uninstall deb test-deb dist man
man: all
	@scripts/man

run: ready-to-run
	@scripts/run

demo: ready-to-run
	@scripts/with-server scripts/demo

bench: ready-to-run
	@scripts/bench

test:
	@tests/run --check $(SUITE)
	@scripts/install-packages test
	@scripts/install-npm-packages
	@$(MAKE) -s all
	@scripts/install-extension
	@tests/run $(SUITE)

fuzz:
	@scripts/install-packages fuzz
	@$(MAKE) -C tests/fuzz run SECONDS=$(SECONDS)

# Hostile handshakes, HANDSHAKES of them (a minute for some 10,000).
fuzz-tls:
	@SUITE=http scripts/install-packages test
	@$(MAKE) -s all
	@scripts/install-extension
	@HANDSHAKES=$(or $(HANDSHAKES),10000) TIME_LIMIT=3600 ONLY=test_tls.py tests/run http

test-matrix:
	@scripts/test-matrix $(SUITE)

test-assert:
	@scripts/test-assert $(SUITE)

test-sanitizers test-sanitizers-quick:
	@SUITE=http scripts/install-packages test
	@$(MAKE) -s all
	@scripts/install-extension
	@scripts/test-sanitizers $(if $(filter %-quick,$@),--quick)

analyze:
	@scripts/install-packages analyze
	@scripts/analyze/run

valgrind:
	@SUITE=pgtap scripts/install-packages valgrind
	@$(MAKE) -s all
	@scripts/install-extension
	@tests/endurance/valgrind

sqlsmith:
	@scripts/install-packages sqlsmith
	@$(MAKE) -s all
	@scripts/install-extension
	@tests/endurance/sqlsmith $(SECONDS)

torture:
	@SUITE=tap scripts/install-packages test
	@$(MAKE) -s all
	@scripts/install-extension
	@tests/endurance/torture

test-compose:
	@tests/compose/run

test-ha:
	@scripts/install-packages ha
	@$(MAKE) -s all
	@scripts/install-extension
	@tests/ha/run

test-ha-steps:
	@scripts/install-packages ha
	@$(MAKE) -s all
	@scripts/install-extension
	@HA_PROGRAM=test_steps.py tests/ha/run

test-hour:
	@scripts/install-packages hour
	@$(MAKE) ready-to-run
	@scripts/with-server tests/endurance/hour

ready-to-run:
	@scripts/install-packages run
	@[ -e build/historiand ] || echo "Building the extension and the programs, which takes a minute or two" >&2
	@$(MAKE) -s all
	@scripts/install-extension

pictures: ready-to-run
	@SUITE=page scripts/install-packages test
	@SUITE=page scripts/install-npm-packages
	@scripts/with-server node tests/page/screenshots.js

conninfo:
	@scripts/conninfo

format:
	@scripts/install-packages format
	@scripts/format

format-check:
	@scripts/install-packages format
	@scripts/format --check

clean:
	$(MAKE) -C extension clean PG_CONFIG=$(PG_CONFIG)
	$(MAKE) -C proxy clean
	$(MAKE) -C tests/load clean
	$(MAKE) -C tools clean
	rm -rf build

help:
	@echo 'make run       install what is missing, build, start PostgreSQL and historiand'
	@echo 'make test      the same, then every test; SUITE=name runs one suite of tests/run'
	@echo 'make test-matrix  every test on PostgreSQL 17 and 18, in systems made with debootstrap'
	@echo 'make test-assert  pgtap, isolation and tap on PostgreSQL built with assertions; VERSIONS="15 17"'
	@echo 'make analyze   what cppcheck and the analyzer of gcc find in the C sources'
	@echo 'make valgrind  pgTAP files with PostgreSQL under memcheck; ONLY=PATTERN for others'
	@echo 'make sqlsmith  random statements on historian tables for SECONDS=60: no crash, no internal error'
	@echo 'make test-sanitizers  the suite http under ASan and UBSan, then under TSan; KINDS=thread, ONLY=PATTERN for less'
	@echo 'make test-sanitizers-quick  some files of it, both builds at the same time, as CI does'
	@echo 'make torture   kills the postmaster 200 times amid everything; KILLS=n for less'
	@echo 'make test-compose  docker-compose.yml: load, crashes, promotion, dashboards; SECONDS_LONG=60 for the long form'
	@echo 'make test-ha   Patroni, etcd and two historiand under load and 40 faults; FAULTS=n SEED=n RATE=n, head of tests/ha/run'
	@echo 'make test-ha-steps  what docs/ha.md says of one node more, upgrades, a backup and the restore of the cluster; STEPS="node upgrade backup major"'
	@echo 'make test-hour  an hour at 10,000 messages/s: sizes, memory, autovacuum; SECONDS_LONG=n for less'
	@echo 'make demo      60 s of load at 10,000 messages/s with 10 readers, and a report; WORKLOAD=plant: 100,000 tags once a second'
	@echo 'make fuzz      the long form of the tests: hostile blocks and messages, SECONDS=60 for each target'
	@echo 'make fuzz-tls  hostile TLS handshakes, HANDSHAKES=10000 of them'
	@echo 'make bench     how fast this machine takes and reads messages; BENCH=name runs one of tests/bench'
	@echo 'make all       build only;  make install  install the extension and historiand; make uninstall  remove them'
	@echo 'make deb       Debian packages in build/deb;  make test-deb  try them in a fresh root'
	@echo 'make dist      a zip of the sources for PGXN;  make man  --help into the man pages'
	@echo 'make pictures  docs/page.png and docs/page-390.png anew, from the recordings of ../shared/data'
	@echo 'make conninfo  print the conninfo string of the cluster in DATADIR'
	@echo 'make format    format the C sources (scripts/format);  make clean  remove what was built (not the data)'
	@echo
	@echo 'PORT=$(PORT)  DATADIR=$(DATADIR)  PG_CONFIG=$(PG_CONFIG)'

.PHONY: fuzz-tls all install run demo bench test test-compose test-matrix test-assert analyze valgrind sqlsmith test-sanitizers test-sanitizers-quick torture test-hour fuzz ready-to-run pictures conninfo format format-check clean help
