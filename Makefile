EMULATORS := go run ./internal/cmd/emulators
GOLANGCI  := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
VERSION   := $(or $(shell git describe --tags --always --dirty 2>/dev/null),dev)
STAMP     := -X boathook/internal/boathook.Release=$(VERSION)
# Not with the race detector: what does one thing after another and takes several times as
# long, and what has SQLite, whose C was translated to Go and takes minutes to compile.
UNRACED    = $(shell go list ./... | grep -e /testing/simulation$$ -e /store/dynamo$$ -e /functions/manage$$ -e /sqlite$$ -e /internal/database$$ -e /cmd/boathook$$)
# What has a table of how often its hot paths allocate.
HOT        = ./internal/intake ./internal/preset ./internal/delivery ./internal/dialect ./internal/queue ./internal/store/dynamo ./internal/store/sqlite
RACED      = $(filter-out $(UNRACED),$(shell go list ./...))
RACE      := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

.PHONY: help smoke switch-table adopt screenshots kill retention build test test-stack test-sam lint verify-template race sim isolation bench bench-load bench-hot benchmarks allocations run env-vars cost capacity bench-cold translate

help: ## list the targets
	@sed -n 's/^\([a-z%-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## compile everything, for this machine
	go build ./...

test: ## run all tests, those of the AWS adapters on emulators, which it installs below the checkout, as it does others' clients
	$(if $(RACE),,@echo 'There is no C compiler: the tests run without the race detector.')
	$(EMULATORS) -- go test $(RACE) -timeout 30m $(RACED)
	$(EMULATORS) -- go test -timeout 30m $(UNRACED)
	go test -tags otel ./functions/internal/boot
	go test -run '^TestAllocations$$' $(HOT)

screenshots: ## look at every page of the console in both themes and both widths, and save what is seen in .tools/screenshots; PAGES=runs takes those whose path matches
	$(EMULATORS) -- go test -count=1 -timeout 30m -run '^TestConsolePages$$' ./internal/cmd/boathook -screenshots=$(CURDIR)/.tools/screenshots -pages='$(PAGES)'

race: ## run the tests that need no emulator, with the race detector
	go test -race $(RACED)

lint: ## check the format and the code
	@! gofmt -l . | grep . && go vet ./... && $(GOLANGCI) run

verify-template: ## lint the templates, build by the SAM CLI, create the stack in an emulator, check what is made
	$(EMULATORS) -tool -- checkov --file template.yaml infra/monitoring.yaml --framework cloudformation --skip-download --compact --quiet
	$(EMULATORS) -tool -- python -W ignore -m unittest discover -s infra/verify

test-stack: translate ## run the functions' real binaries as the template deploys them, and kill some
	BOATHOOK_TEST_TEMPLATE=$(TEMPLATE) $(EMULATORS) -- go test -count=1 -timeout 30m -parallel=12 -run TestTheStack ./internal/testing/localaws

test-sam: translate ## run the functions by sam local, in containers: as root, with Debian's podman, which it installs
	BOATHOOK_TEST_TEMPLATE=$(TEMPLATE) $(EMULATORS) -containers -- go test -count=1 -timeout 20m -v ./internal/testing/samlocal/...

sim: ## simulate 10,000 seeds of trouble, half of them fresh, or as many as SEEDS says; make sim FIRST=… SEEDS=… repeats some
	go test -count=1 -timeout 6h -v -run '^TestSimulation$$' ./internal/testing/simulation -first=$(or $(FIRST),0) -seeds=$(or $(SEEDS),10000)

isolation: ## print what healthy webhooks wait for, in simulated time, while other endpoints hang
	go test -count=1 -v -run '^TestIsolation$$' ./internal/testing/simulation -all-incidents

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

allocations: ## hold how often hot paths allocate to the tables in testdata; make allocations UPDATE=1 writes them
	@$(if $(UPDATE),BOATHOOK_UPDATE_ALLOCATIONS=1) go test -count=1 -run '^TestAllocations$$' $(HOT)

bench-hot: ## run the benchmarks of hot paths, in the format that benchstat reads
	@go test -run '^$$' -bench '^Benchmark(Verify|Write|Messages|Items|Trigger|Road)$$' -benchtime $(or $(BENCHTIME),100ms) -count $(or $(COUNT),6) -timeout 1h $(HOT)

bench-load: ## put the program under each load of which something is claimed, five times, beside the floor; make bench-load LOAD='-floor -rate 50' is one load
	@go build -buildvcs=false -ldflags "$(STAMP)" -o .tools/boathook ./internal/cmd/boathook
	@go build -buildvcs=false -ldflags "$(STAMP)" -o .tools/bench ./internal/cmd/bench
	@.tools/bench -serve .tools/boathook $(or $(LOAD),-scenarios all -rounds 5)

benchmarks: ## measure all that infra/docs/benchmarks.md shows, and write it there; half an hour on a quiet machine
	$(MAKE) -s bench-load LOAD='-scenarios all,million -rounds 5 -json infra/docs/benchmarks/load.json'
	$(MAKE) -s bench-hot > infra/docs/benchmarks/hot.txt
	go test -count=1 ./internal/cmd/bench -run Document -update

run: ## serve everything on this machine, with its data in .data
	@go build -buildvcs=false -ldflags "$(STAMP)" -o .tools/boathook ./internal/cmd/boathook # a checkout that another user owns has no version that git would tell
	@exec .tools/boathook serve --dev

kill: ## kill the program under load, 20 times or as often as KILLS says, and see that nothing is lost
	go test -count=1 -timeout 1h -v -run '^TestKilledAtAnyInstant$$' ./internal/cmd/boathook -kills=$(or $(KILLS),20)

retention: ## deliver two million events, or as many as DELIVERIES says, under a retention of minutes, and see that the file stays bounded
	go test -count=1 -timeout 6h -v -run '^TestTheFileStaysBounded$$' ./internal/cmd/boathook -deliveries=$(or $(DELIVERIES),2000000)

smoke: ## prove that a deployed stack works: make smoke URL=… TOKEN=…, of the outputs ApiUrl and AdminTokenCommand
	@BOATHOOK_URL='$(URL)' BOATHOOK_TOKEN='$(TOKEN)' go run -ldflags "$(STAMP)" ./internal/cmd/boathook smoke $(if $(RECEIVER),--receiver '$(RECEIVER)')

invoke-%: $(if $(CASE),translate) ## invoke a function with an event: make invoke-intake CASE=trigger-accepted; without CASE, list them
	@$(if $(CASE),$(EMULATORS) --) go run ./internal/cmd/invoke -template $(TEMPLATE) $* $(CASE)

env-vars: ## print a deployed stack's variables for sam local invoke: make env-vars STACK=boathook > env.json
	@$(EMULATORS) -tool -- python infra/env_vars.py $(STACK)

switch-table: ## have a deployed stack use another table: make switch-table STACK=boathook TABLE=ConfigTable TO=… BUCKET=…
	@$(EMULATORS) -tool -- python infra/tables.py switch $(STACK) $(TABLE) $(TO) --bucket $(BUCKET)

adopt: ## make a stack of what a deleted one left: make adopt STACK=boathook CONFIG=… RECORDS=… KEY=… BUCKET=…
	@$(EMULATORS) -tool -- python infra/tables.py adopt $(STACK) --bucket $(BUCKET) $(if $(ENCRYPTION_KEY),--encryption-key $(ENCRYPTION_KEY)) \
		ConfigTable=$(CONFIG) RecordsTable=$(RECORDS) Key=$(KEY)

cost: ## count what a trigger, a run, an event and a delivery use of AWS, and say what it costs; RATE=… says it of a month; WRITE=1 writes infra/counts.json
ifdef RATE
	@go run ./internal/cmd/cost -rate $(RATE) $(filter-out RATE=%,$(LOAD))
else
	@$(MAKE) -s translate
	@$(EMULATORS) -- go run ./internal/cmd/cost -template $(TEMPLATE) $(if $(WRITE),-write)
endif

capacity: ## say what AWS has to give at a load, and which limit is met: make capacity RATE=1000 FANOUT=3; without RATE, list what else there is
	@go run ./internal/cmd/capacity $(LOAD)

# What is given to make capacity.
LOAD = $(foreach name,RATE FANOUT PUBLISH BATCH SIZE LATENCY FAILING ATTEMPTS SLOW SLOW_LATENCY WEBHOOKS WORKSPACES TRIGGERS START \
	RUN_SECONDS RUN_PRINTS WATCHERS FRAMES PAGES RETENTION_DAYS ACCOUNT \
	RequestRate RunConcurrency DeliveryConcurrency RetryConcurrency IntakeConcurrency,$(if $($(name)),$(name)=$($(name))))

bench-cold: translate ## measure how fast each function starts, beside a program that does nothing
	@$(EMULATORS) -- go run ./internal/cmd/coldstart -template $(TEMPLATE)

TEMPLATE := $(CURDIR)/.tools/template.json
translate:
	@mkdir -p $(dir $(TEMPLATE))
	@$(EMULATORS) -tool -- python infra/translate.py > $(TEMPLATE).new && mv $(TEMPLATE).new $(TEMPLATE)

# sam build calls build-<LogicalId> for each function: IntakeFunction is functions/intake.
# TRACES=1 sam build links what records the steps of traces. ARCH=amd64 sam build is for
# the parameter Architecture=x86_64.
ARCH ?= arm64
TAGS := lambda.norpc$(if $(TRACES), otel)
build-%Function:
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build -trimpath -tags '$(TAGS)' -ldflags '-s -w $(STAMP)' \
		-o $(ARTIFACTS_DIR)/bootstrap ./functions/$(shell echo $* | tr A-Z a-z)
