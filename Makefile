# The steps of CI, one by one; `make ci` runs them as .ci/run does, on a machine that has what it needs.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: ci format vet staticcheck test race fuzz build

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
	go test -race ./internal/bus ./internal/incident ./internal/record ./internal/clock ./internal/config ./internal/fault ./internal/directory ./internal/sources ./internal/telemetry \
		./ingest/... ./detectors/... ./internal/simulator/amqp ./internal/simulator/eventhubs ./internal/simulator/slack ./internal/simulator/partnercenter \
		./actions ./playbooks ./internal/console ./internal/simulator/stage

# A few seconds for each decoder of outside input.
fuzz:
	go test -run '^$$' -fuzz FuzzSplit -fuzztime 5s ./ingest/azuremonitor
	go test -run '^$$' -fuzz FuzzResume -fuzztime 5s ./ingest/azuremonitor
	go test -run '^$$' -fuzz FuzzParseID -fuzztime 5s ./internal/letter
	go test -run '^$$' -fuzz FuzzDecode -fuzztime 5s ./internal/record
	go test -run '^$$' -fuzz FuzzDecode -fuzztime 5s ./internal/simulator/amqp
