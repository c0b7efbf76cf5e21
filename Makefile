# The steps of CI, one by one; `make ci` runs them as .ci/run does, on a machine that has what it needs.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: ci format vet staticcheck test race fuzz fuzz-long bench build chaos-ingest chaos-detectors

ci: format vet staticcheck build test race fuzz

format:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "these files want gofmt"; exit 1; }

vet:
	go vet ./...

staticcheck:
	go run $(STATICCHECK) ./...

build:
	go build ./cmd/cordon

test:
	go test ./...

# The packages that start goroutines of their own; the rest would only compile Microsoft's models once more.
race:
	go test -race ./internal/bus ./internal/incident ./internal/record ./internal/clock ./internal/crew ./internal/canary ./internal/letter ./internal/sources ./internal/telemetry ./internal/tape ./internal/heap ./internal/config ./internal/fault ./internal/directory \
		$$(go list ./ingest/... ./detectors/... | grep -v /chaos) ./internal/simulator/amqp ./internal/simulator/eventhubs ./internal/simulator/slack ./internal/simulator/partnercenter ./internal/simulator/office365 \
		./actions ./playbooks ./internal/console ./internal/simulator/stage

# Every decoder of outside input: where it is, and its fuzz target.
FUZZ = ./internal/tape:FuzzParse ./internal/tape:FuzzTrusted ./internal/record:FuzzDecode ./internal/record:FuzzStored ./internal/difference:FuzzCheck ./internal/record:FuzzUnified ./ingest/azuremonitor:FuzzSplit \
	./ingest/graphlogs:FuzzDecodePage ./ingest/office365:FuzzListing ./ingest/office365:FuzzBlob ./ingest/office365:FuzzNotified \
	./ingest/export:FuzzRead ./ingest/export:FuzzCSV ./internal/letter:FuzzParseID ./detectors:FuzzLoad ./detectors/packed:FuzzCut ./detectors/sigma:FuzzParse ./detectors/fields:FuzzTable ./detectors/vocabulary:FuzzRead ./internal/simulator/amqp:FuzzDecode

# A few seconds for each.
fuzz:
	@for f in $(FUZZ); do go test -run '^$$' -fuzz "^$${f##*:}$$" -fuzztime 3s "$${f%%:*}" || exit 1; done

# As long as one likes: `make fuzz-long EXECS=2000000` runs each target so many times and keeps what it learns in Go's cache.
EXECS ?= 800000
fuzz-long:
	@for f in $(FUZZ); do go test -run '^$$' -fuzz "^$${f##*:}$$" -fuzztime $(EXECS)x -fuzzminimizetime 10x "$${f%%:*}" || exit 1; done

# Figures to compare as ratios in one run: machines are noisy.
bench:
	go test -run '^$$' -bench BenchmarkDecode -benchtime 3s ./internal/record
	go test -run '^$$' -bench BenchmarkRules -benchtime 10x ./detectors
	go test -run '^$$' -bench BenchmarkPrincipals -benchtime 1x ./detectors
	go test -run '^$$' -bench 'BenchmarkHubToLogs|BenchmarkIngestLatency' -benchtime 3x ./ingest/eventhubs

# Kill what ingest stands on, as often as one likes: each of RUNS runs kills Cordon 100 times with its NATS embedded, 100
# times as two instances that steal from each other, and the leader of a cluster 10 times, while 200,000 records stream in.
# The last line has the figures.
RUNS = 1
chaos-ingest:
	@d=$$(mktemp -d) && go test -c -o $$d/chaos ./ingest/chaos && \
		TMPDIR=$$d CORDON_CHAOS_RUNS=$(RUNS) CORDON_CHAOS_KILLS=100 CORDON_CHAOS_LEADERS=10 CORDON_CHAOS_RECORDS=200000 \
		$$d/chaos -test.run TestChaos -test.timeout 0; e=$$?; rm -rf $$d; exit $$e

# Kill detectors: in each of RUNS runs three instances die 100 times while 20,000 records stream in, and one of ten dies,
# whose shards the others must have taken over within ten seconds. The last line has the figures.
chaos-detectors:
	@d=$$(mktemp -d) && go test -c -o $$d/chaos ./detectors/chaos && \
		TMPDIR=$$d CORDON_CHAOS_RUNS=$(RUNS) CORDON_CHAOS_KILLS=100 CORDON_CHAOS_RECORDS=20000 CORDON_CHAOS_STRICT=1 \
		$$d/chaos -test.timeout 0; e=$$?; rm -rf $$d; exit $$e
