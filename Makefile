# The steps of CI, one by one; `make ci` runs them as .ci/run does, on a machine that has what it needs.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: ci format vet staticcheck test race fuzz build chaos-ingest

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
	go test -race ./internal/bus ./internal/incident ./internal/record ./internal/clock ./internal/config ./internal/fault ./internal/directory \
		$$(go list ./ingest/... | grep -v /chaos) ./detectors/... ./internal/simulator/amqp ./internal/simulator/eventhubs ./internal/simulator/slack ./internal/simulator/partnercenter \
		./actions ./playbooks ./internal/console ./internal/simulator/stage

# A few seconds for each decoder of outside input.
fuzz:
	go test -run '^$$' -fuzz FuzzSplit -fuzztime 5s ./ingest/azuremonitor
	go test -run '^$$' -fuzz FuzzDecode -fuzztime 5s ./internal/record
	go test -run '^$$' -fuzz FuzzDecode -fuzztime 5s ./internal/simulator/amqp

# Kill what ingest stands on, as often as one likes: each of RUNS runs kills Cordon 100 times with its NATS embedded, 100
# times as two instances that steal from each other, and the leader of a cluster 10 times, while 200,000 records stream in.
# The last line has the figures.
RUNS = 1
chaos-ingest:
	@d=$$(mktemp -d) && go test -c -o $$d/chaos ./ingest/chaos && \
		TMPDIR=$$d CORDON_CHAOS_RUNS=$(RUNS) CORDON_CHAOS_KILLS=100 CORDON_CHAOS_LEADERS=10 CORDON_CHAOS_RECORDS=200000 \
		$$d/chaos -test.run TestChaos -test.timeout 0; e=$$?; rm -rf $$d; exit $$e
