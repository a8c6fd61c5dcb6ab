.PHONY: check check-layers check-fast check-sanitized coverage hdr-check tests lint

## tests            build every test program
tests: $(TESTS)

## check            build everything and run every test suite (TEST_ONLY=word … for some)
check: all runner-static tests dashboard examples bench check-layers check-generated check-states
	$(PYTHON) tests/run.py --build $(BUILD) $(if $(TEST_ONLY),--only $(TEST_ONLY))

## check-fast       unit tests only
check-fast: all tests
	$(PYTHON) tests/run.py --build $(BUILD) --only unit/

## check-layers     no room includes one above it
check-layers:
	$(PYTHON) tests/layers.py

## hdr-check        each header compiles alone
HEADERS := $(foreach r,$(ROOMS),$(wildcard $(r)/*.h $(r)/*/*.h $(r)/*/*/*.h))
hdr-check:
	@for h in $(HEADERS); do \
	    echo '#include "'$$h'"' | $(CC) $(filter-out -MMD -MP,$(ASSAY_CFLAGS)) -Werror -fsyntax-only -x c - || exit 1; \
	done; echo "headers: fine"

# cppcheck takes what the queues' and hashes' macros set, and what a loop of n rounds sets, for
# never set: uninitvar is left to the compilers and valgrind.  objectIndex takes a struct's arrays
# for one value each.
## lint             cppcheck over the rooms
lint:
	cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr \
	    --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=uninitvar \
	    --suppress=objectIndex -I. $(ROOMS)

# The executor's own test is left out under TSan: it has one thread.
## check-sanitized  unit and API tests under ASan + UBSan (clang); under TSan those with threads
check-sanitized:
	$(MAKE) --no-print-directory BUILD=build/asan CC=clang SANITIZE=address,undefined DEVELOPER=1 \
	    OPTIMIZE=-O1 all tests >build.log 2>&1 || { tail -n 40 build.log; exit 1; }
	$(PYTHON) tests/run.py --build build/asan --only unit/ api
	$(MAKE) --no-print-directory BUILD=build/tsan CC=clang SANITIZE=thread DEVELOPER=1 \
	    OPTIMIZE=-O1 all tests >build.log 2>&1 || { tail -n 40 build.log; exit 1; }
	$(PYTHON) tests/run.py --build build/tsan --only unit/sql unit/controller/n unit/trial-runner

## coverage         lines the unit tests reach (needs gcovr)
coverage:
	@command -v gcovr >/dev/null || { echo "coverage needs gcovr: apt-get install gcovr" >&2; exit 2; }
	$(MAKE) --no-print-directory BUILD=build/coverage COVERAGE=1 OPTIMIZE=-O0 all tests
	$(PYTHON) tests/run.py --build build/coverage --only unit/
	gcovr --root . --object-directory build/coverage --exclude tests --exclude examples --print-summary
