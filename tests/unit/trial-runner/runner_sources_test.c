/* What the runner fetches: code, checkpoints, metrics of other places than stdout. */
#include "tests/unit/free_port.h"
#include "tests/unit/trial-runner/runner_support.h"

static void
code_comes_from_git(void **state)
{
    assay_auto_free char *script = assay_format(
        "cd %s && git init -q -b main repo && cd repo && git config user.email t@example.org && "
        "git config user.name t && printf '#!/bin/sh\\necho loss=$1\\n' >train.sh && "
        "chmod +x train.sh && git add . && git commit -qm one && git tag one && "
        "printf '#!/bin/sh\\necho loss=2\\n' >train.sh && git commit -qam two",
        data_dir);
    static const struct {
        const char *revision;
        double loss;
    } cases[] = {{"one", 5}, {"main", 2}, {"HEAD", 2}, {"one", 5}};
    struct run run;

    (void)state;
    assert_int_equal(run_shell(script), 0);
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        assay_auto_free char *more =
            assay_format("{\"git\":{\"url\":\"%s/repo\",\"revision\":\"%s\"},"
                         "\"command\":[\"./train.sh\",\"5\"]}",
                         data_dir, cases[i].revision);

        prepare(&run, "", more);
        run_all(&run);
        if (strcmp(text_of(run.told, "state"), "succeeded") != 0)
            fail_msg("%s: %s", cases[i].revision, text_of(run.told, "message"));
        assert_true(json_number_value(json_object_get(json_object_get(run.told, "metrics"),
                                                      "loss")) == cases[i].loss);
        done(&run);
    }
}

/* The copy is there before the command; a checkpoint of its own is not overwritten. */
static void
checkpoint_comes_from_a_parent(void **state)
{
    assay_auto_free char *parent = assay_format("%s/trials/1/900/checkpoint", data_dir);
    assay_auto_free char *more = assay_format("{\"checkpoint_from\":\"%s\"}", parent);
    assay_auto_free char *script =
        assay_format("mkdir -p %s/deep && echo 7 >%s/deep/epoch", parent, parent);
    struct run run;

    (void)state;
    assert_int_equal(run_shell(script), 0);
    prepare(&run, "echo loss=$(cat $ASSAY_CHECKPOINT_DIR/deep/epoch)", more);
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    assert_true(json_number_value(
                    json_object_get(json_object_get(run.told, "metrics"), "loss")) == 7.0);
    done(&run);

    prepare(&run, "echo loss=$(cat $ASSAY_CHECKPOINT_DIR/own)", more);
    {
        assay_auto_free char *write =
            assay_format("echo 9 >%s/../checkpoint/own", run.folder);

        assert_int_equal(run_shell(write), 0);
    }
    run_all(&run);
    assert_true(json_number_value(
                    json_object_get(json_object_get(run.told, "metrics"), "loss")) == 9.0);
    done(&run);

    prepare(&run, "echo loss=1", "{\"checkpoint_from\":\"/nowhere/checkpoint\"}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "reason"), "start_failed");
    assert_non_null(strstr(text_of(run.told, "message"), "/nowhere/checkpoint to go on from is gone"));
    done(&run);
}

static void
code_that_can_not_be_had_is_a_failed_start(void **state)
{
    assay_auto_free char *nowhere =
        assay_format("{\"git\":{\"url\":\"%s/nowhere\",\"revision\":\"main\"}}", data_dir);
    assay_auto_free char *nothing =
        assay_format("{\"git\":{\"url\":\"%s/repo\",\"revision\":\"nothing\"}}", data_dir);
    const char *const cases[] = {nowhere, nothing,
                                 "{\"git\":{\"url\":\"--upload-pack=touch x\",\"revision\":\"m\"}}",
                                 "{\"git\":{\"url\":\"ext::sh -c true\",\"revision\":\"m\"}}"};
    const char *const messages[] = {"nowhere' does not appear to be a git repository",
                                    "there is no revision \"nothing\"", "can not begin with",
                                    "transport 'ext' not allowed"};

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct run run;
        assay_auto_free char *path = NULL;
        assay_auto_free char *output = NULL;

        prepare(&run, "echo loss=1", cases[i]);
        run_all(&run);
        assert_string_equal(text_of(run.told, "reason"), "start_failed");
        path = in_folder(&run, "output.log");
        output = read_file(path);
        if (strstr(output, messages[i]) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", messages[i], output);
        done(&run);
    }
}

static void
a_file_is_followed(void **state)
{
    struct run run;
    json_t *curve;

    (void)state;
    /* What is moved away or cut off was read before. */
    prepare(&run,
            "sleep 0.3; echo loss=1 >log.txt; " WAIT_FOR("1")
            "printf 'loss=2\\nloss=' >>log.txt; " WAIT_FOR("2")
            "echo 3 >>log.txt; " WAIT_FOR("3")
            "mv log.txt log.old; echo loss=4 >log.txt; " WAIT_FOR("4")
            "echo s=5 >log.txt; echo loss=5 >log.txt; sleep 0.3; "
            "printf loss=6 >>log.txt; echo loss=99",
            "{\"metrics\":{\"from\":\"file\",\"path\":\"log.txt\",\"filter\":null,"
            "\"objectives\":[\"loss\"],\"constraints\":[]}}");
    fake_start(&run.daemon, data_dir);
    begin(&run);
    for (int i = 1; i <= 4; i++) {
        assay_auto_free char *text = assay_format("\"step\":%d,", i);
        assay_auto_free char *name = assay_format("%d", i);

        wait_until_heard(&run, text);
        go(&run, name);
    }
    finish(&run);
    end(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    curve = fake_curve(&run.daemon, "loss");
    /* The truncation to a file of the same length can not be seen: 5 may be missing. */
    assert_true(value_at(curve, "1") == 1);
    assert_true(value_at(curve, "2") == 2);
    assert_true(value_at(curve, "3") == 3);
    assert_true(value_at(curve, "4") == 4);
    assert_true(json_number_value(json_object_get(json_object_get(run.told, "metrics"), "loss")) ==
                6);
    json_decref(curve);
    done(&run);
}

/* Writes event files as TensorBoard's own writer does. */
static const char tensorboard_writer[] =
    "import os, struct, sys, time\n"
    "def crc(data):\n"
    "    c = 0xffffffff\n"
    "    for b in data:\n"
    "        c ^= b\n"
    "        for _ in range(8): c = (c >> 1) ^ (0x82f63b78 if c & 1 else 0)\n"
    "    c ^= 0xffffffff\n"
    "    return struct.pack('<I', (((c >> 15) | (c << 17)) + 0xa282ead8) & 0xffffffff)\n"
    "def varint(n):\n"
    "    out = b''\n"
    "    while n > 127: out += bytes([n & 127 | 128]); n >>= 7\n"
    "    return out + bytes([n])\n"
    "def field(n, data): return varint(n << 3 | 2) + varint(len(data)) + data\n"
    "def record(data):\n"
    "    n = struct.pack('<Q', len(data))\n"
    "    return n + crc(n) + data + crc(data)\n"
    "def event(step, value):\n"
    "    return record(b'\\x09' + struct.pack('<d', time.time()) + b'\\x10' + varint(step)\n"
    "                  + field(5, field(1, value)))\n"
    "def simple(tag, x): return field(1, tag) + b'\\x15' + struct.pack('<f', x)\n"
    "def tensor(tag, x): return (field(1, tag) + field(8, b'\\x08\\x01' +\n"
    "                            field(4, struct.pack('<f', x))))\n"
    "def double(tag, x): return (field(1, tag) + field(8, b'\\x08\\x02' +\n"
    "                            field(6, struct.pack('<d', x))))\n"
    "os.makedirs('logs/train'); os.makedirs('logs/version_0')\n"
    "f = open('logs/train/events.out.tfevents.1', 'wb', buffering=0)\n"
    "f.write(record(b'\\x1a\\x0dbrain.Event:2'))\n"
    "f.write(event(1, simple(b'acc', 0.5)))\n"
    "f.write(event(2, field(1, b'picture') + field(4, b'x' * 3000000)))\n"
    "whole = event(2, simple(b'acc', 0.75)); f.write(whole[:20]); time.sleep(0.5)\n"
    "f.write(whole[20:])\n"
    "g = open('logs/version_0/events.out.tfevents.2', 'wb', buffering=0)\n"
    "g.write(event(300, tensor(b'loss', 0.25)) + event(301, double(b'loss', 0.125)))\n";

static void
tensorboard_files_are_read(void **state)
{
    struct run run;
    json_t *loss, *acc;

    (void)state;
    prepare(&run, "",
            "{\"metrics\":{\"from\":\"tensorboard\",\"path\":\"logs\",\"filter\":null,"
            "\"objectives\":[\"loss\"],\"constraints\":[]}}");
    json_object_set_new(run.job, "command",
                        json_pack("[s,s,s]", "/usr/bin/python3", "-c", tensorboard_writer));
    run_all(&run);
    if (strcmp(text_of(run.told, "state"), "succeeded") != 0)
        fail_msg("%s", text_of(run.told, "message"));
    loss = fake_curve(&run.daemon, "loss");
    acc = fake_curve(&run.daemon, "train/acc");
    assert_int_equal(json_object_size(loss), 2);
    assert_true(value_at(loss, "300") == 0.25);
    assert_true(value_at(loss, "301") == 0.125);
    assert_int_equal(json_object_size(acc), 2);
    assert_true(value_at(acc, "1") == 0.5);
    assert_true(value_at(acc, "2") == 0.75);
    json_decref(loss);
    json_decref(acc);
    done(&run);
}

static void
a_prometheus_endpoint_is_asked(void **state)
{
    static const char server[] =
        "import http.server, os, sys, threading, time\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        assert 'Authorization' not in self.headers\n"
        "        n = int(time.time() - start) + 1\n"
        "        body = (f'# HELP loss x\\nother 3\\nstep {n}\\nloss{{a=\"}} 9\"}} {1/n} 123\\n'\n"
        "                f'loss{{a=\"2\"}} 99\\n').encode()\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(body)\n"
        "        asked.append(n)\n"
        "    def log_message(self, *a): pass\n"
        "start, asked = time.time(), []\n"
        "s = http.server.HTTPServer(('127.0.0.1', %d), H)\n"
        "threading.Thread(target=s.serve_forever, daemon=True).start()\n"
        "time.sleep(5)\n"
        "while not os.path.exists(os.environ['ASSAY_OUTPUT_DIR'] + '/go'): time.sleep(0.02)\n"
        "sys.exit(len(asked) > (time.time() - start) / 2 + 2)\n"; /* every two seconds */
    struct run run;
    int port = free_port();
    assay_auto_free char *script = assay_format(server, port);
    assay_auto_free char *more = NULL;
    json_t *curve;

    (void)state;
    more = assay_format("{\"metrics\":{\"from\":\"prometheus\",\"path\":\"http://127.0.0.1:%d/"
                        "metrics\",\"filter\":null,\"objectives\":[\"loss\"],\"constraints\":[]}}",
                        port);
    prepare(&run, "", more);
    json_object_set_new(run.job, "command", json_pack("[s,s,s]", "/usr/bin/python3", "-c", script));
    fake_start(&run.daemon, data_dir);
    begin(&run);
    wait_until_heard(&run, "\"loss\":");
    go(&run, "go");
    finish(&run);
    end(&run);
    if (strcmp(text_of(run.told, "state"), "succeeded") != 0)
        fail_msg("%s", text_of(run.told, "message"));
    curve = fake_curve(&run.daemon, "loss");
    assert_true(json_object_size(curve) > 0);
    json_decref(curve);
    done(&run);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_comes_from_git),
        cmocka_unit_test(checkpoint_comes_from_a_parent),
        cmocka_unit_test(code_that_can_not_be_had_is_a_failed_start),
        cmocka_unit_test(a_file_is_followed),
        cmocka_unit_test(tensorboard_files_are_read),
        cmocka_unit_test(a_prometheus_endpoint_is_asked),
    };

    return cmocka_run_group_tests_name("runner and sources", tests, set_up, tear_down);
}
