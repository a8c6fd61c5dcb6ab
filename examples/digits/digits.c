/* The job of train.py in plain C: a perceptron with one hidden layer learns handwritten digits.
 *
 * Same arguments, same output lines, but a run takes milliseconds, so that a study of hundreds
 * of trials takes seconds.  Data: the CSV file that export_data.py writes.  Needs libm only.
 *
 * Compiled with DIGITS_NO_MAIN this file is what digits.cu shares and is checked against.
 *
 * All loops over hidden units run over neighbouring floats and carry no sum from one turn to the
 * next, so that the compiler can use vector instructions without changing any result. */
#include "digits.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROW_BYTES_MAX 512u /* a line of the data file */
#define PATH_BYTES_MAX 4096u
#define CHECKPOINT_MAGIC UINT64_C(0x3173746967696464)
#define DOT_LANES 16u

/* ---- options ---- */

static const char usage[] =
    "usage: digits [--lr X] [--units N] [--dropout X] [--batch N] [--optimizer sgd|adam]\n"
    "              [--momentum X] [--nesterov[=true|false]] [--epochs N] [--seed N]\n"
    "              [--data FILE] [--check]\n"
    "Trains a small network on handwritten digits and prints a line per epoch.\n"
    "Environment: ASSAY_BUDGET (epochs), ASSAY_CHECKPOINT_DIR, ASSAY_DIGITS_DATA.\n";

static int
parse_number(const char *name, const char *text, double min, double max, double *ret_value)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= min && value <= max)) {
        fprintf(stderr, "digits: --%s: '%s' is not a number from %g to %g\n", name, text, min, max);
        return -1;
    }
    *ret_value = value;
    return 0;
}

static int
parse_count(const char *name, const char *text, double min, double max, uint64_t *ret_value)
{
    double value;

    if (parse_number(name, text, min, max, &value) < 0)
        return -1;
    if (value != floor(value)) {
        fprintf(stderr, "digits: --%s: '%s' is not a whole number\n", name, text);
        return -1;
    }
    *ret_value = (uint64_t)value;
    return 0;
}

static int
parse_bool(const char *name, const char *text, bool *ret_value)
{
    static const char *const yes[] = {"true", "True", "yes", "1"};
    static const char *const no[] = {"false", "False", "no", "0"};

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *ret_value = strcmp(text, yes[i]) == 0;
            return 0;
        }
    }
    fprintf(stderr, "digits: --%s: '%s' is neither true nor false\n", name, text);
    return -1;
}

static int
set_option(struct digits_options *options, const struct option *option, const char *text)
{
    const double below_one = nextafter(1.0, 0.0);
    uint64_t count = 0;
    int rc = 0;

    switch (option->val) {
    case 'l':
        return parse_number(option->name, text, 1e-30, 1e30, &options->lr);
    case 'd':
        return parse_number(option->name, text, 0, below_one, &options->dropout);
    case 'm':
        return parse_number(option->name, text, 0, below_one, &options->momentum);
    case 'n':
        return parse_bool(option->name, text, &options->nesterov);
    case 'u':
        rc = parse_count(option->name, text, 1, DIGITS_UNITS_MAX, &count);
        options->units = (uint32_t)count;
        return rc;
    case 'b':
        rc = parse_count(option->name, text, 1, DIGITS_BATCH_MAX, &count);
        options->batch = (uint32_t)count;
        return rc;
    case 'e':
        rc = parse_count(option->name, text, 1, 1e6, &count);
        options->epochs = (uint32_t)count;
        return rc;
    case 's':
        return parse_count(option->name, text, 0, 9007199254740992.0, &options->seed);
    case 'D':
        options->data = text;
        return 0;
    default: /* 'o' */
        if (strcmp(text, "sgd") != 0 && strcmp(text, "adam") != 0) {
            fprintf(stderr, "digits: --optimizer: '%s' is neither sgd nor adam\n", text);
            return -1;
        }
        options->adam = strcmp(text, "adam") == 0;
        return 0;
    }
}

int
digits_options_parse(int argc, char **argv, struct digits_options *ret_options)
{
    static const struct option table[] = {
        {"lr", required_argument, NULL, 'l'},
        {"units", required_argument, NULL, 'u'},
        {"dropout", required_argument, NULL, 'd'},
        {"batch", required_argument, NULL, 'b'},
        {"optimizer", required_argument, NULL, 'o'},
        {"momentum", required_argument, NULL, 'm'},
        {"nesterov", optional_argument, NULL, 'n'},
        {"epochs", required_argument, NULL, 'e'},
        {"seed", required_argument, NULL, 's'},
        {"data", required_argument, NULL, 'D'},
        {"check", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct digits_options options = {
        .lr = 0.01, .units = 64, .batch = 32, .epochs = 20, .seed = 1, .adam = true};
    const char *budget = getenv("ASSAY_BUDGET");
    int letter, index = 0;

    options.data = getenv("ASSAY_DIGITS_DATA");
    while ((letter = getopt_long(argc, argv, "", table, &index)) != -1) {
        if (letter == '?')
            return -1;
        if (letter == 'h') {
            fputs(usage, stdout);
            return 1;
        }
        if (letter == 'c') {
            options.check = true;
            continue;
        }
        /* An empty value is what a parameter that doesn't apply to this trial leaves behind. */
        if (optarg != NULL && *optarg == '\0' && (letter == 'm' || letter == 'n'))
            continue;
        if (set_option(&options, &table[index], optarg != NULL ? optarg : "true") < 0)
            return -1;
    }
    if (optind < argc) {
        fprintf(stderr, "digits: '%s' is not an option\n%s", argv[optind], usage);
        return -1;
    }
    if (budget != NULL && *budget != '\0') {
        uint64_t count;

        if (parse_count("epochs (ASSAY_BUDGET)", budget, 1, 1e6, &count) < 0)
            return -1;
        options.epochs = (uint32_t)count;
    }
    *ret_options = options;
    return 0;
}

/* ---- data ---- */

static int
data_path(const struct digits_options *options, char *path, size_t size)
{
    static const char name[] = "digits.csv";
    ssize_t length;

    if (options->data != NULL && *options->data != '\0') {
        const size_t bytes = strlen(options->data) + 1;

        if (bytes > size) {
            fprintf(stderr, "digits: the data file's path is too long\n");
            return -1;
        }
        memcpy(path, options->data, bytes);
        return 0;
    }
    length = readlink("/proc/self/exe", path, size - sizeof name);
    if (length < 0) {
        fprintf(stderr,
                "digits: cannot find its own directory (%s): name the data file by --data\n",
                strerror(errno));
        return -1;
    }
    while (length > 0 && path[length - 1] != '/')
        length--;
    memcpy(path + length, name, sizeof name);
    return 0;
}

/* One line: "train" or "validation", the label, 64 pixels.  Returns 0, or -1 if it is no such. */
static int
parse_row(const char *line, bool *ret_train, uint8_t *ret_label, float *ret_pixels)
{
    const char *at = strchr(line, ',');
    char *end;

    if (at == NULL)
        return -1;
    *ret_train = strncmp(line, "train,", 6) == 0;
    if (!*ret_train && strncmp(line, "validation,", 11) != 0)
        return -1;
    for (size_t i = 0; i <= DIGITS_FEATURES; i++) {
        long value;

        if (*at != ',')
            return -1;
        value = strtol(at + 1, &end, 10);
        if (end == at + 1 || value < 0 || value > (i == 0 ? (long)DIGITS_CLASSES - 1 : 16))
            return -1;
        if (i == 0)
            *ret_label = (uint8_t)value;
        else
            ret_pixels[i - 1] = (float)value / 16.0f;
        at = end;
    }
    return *at == '\n' || *at == '\0' ? 0 : -1;
}

static int
read_rows(FILE *file, const char *path, struct digits_data *data)
{
    char line[ROW_BYTES_MAX];
    size_t capacity = 0;

    while (fgets(line, sizeof line, file) != NULL) {
        const size_t n = (size_t)data->n_train + data->n_val;
        bool train = false;

        if (n == capacity) {
            float *pixels;
            uint8_t *labels;

            capacity = capacity == 0 ? 2048 : capacity * 2;
            pixels = realloc(data->pixels, capacity * DIGITS_FEATURES * sizeof *pixels);
            if (pixels != NULL)
                data->pixels = pixels;
            labels = realloc(data->labels, capacity);
            if (labels != NULL)
                data->labels = labels;
            if (pixels == NULL || labels == NULL) {
                fprintf(stderr, "digits: no memory for the data\n");
                return -1;
            }
        }
        if (parse_row(line, &train, &data->labels[n], &data->pixels[n * DIGITS_FEATURES]) < 0 ||
            (train && data->n_val > 0)) {
            fprintf(stderr, "digits: %s: line %zu is not a row of the digits data\n", path, n + 1);
            return -1;
        }
        if (train)
            data->n_train++;
        else
            data->n_val++;
    }
    if (data->n_train == 0 || data->n_val == 0) {
        fprintf(stderr, "digits: %s holds %u training and %u validation rows; both are needed\n",
                path, data->n_train, data->n_val);
        return -1;
    }
    return 0;
}

int
digits_data_init(struct digits_data *ret_data, const struct digits_options *options)
{
    struct digits_data data = {0};
    char path[PATH_BYTES_MAX];
    FILE *file;
    int rc;

    if (data_path(options, path, sizeof path) < 0)
        return -1;
    file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "digits: cannot read %s (%s): make it by export_data.py\n", path,
                strerror(errno));
        return -1;
    }
    rc = read_rows(file, path, &data);
    fclose(file);
    if (rc < 0) {
        digits_data_done(&data);
        return -1;
    }
    *ret_data = data;
    return 0;
}

void
digits_data_done(struct digits_data *data)
{
    free(data->pixels);
    free(data->labels);
    *data = (struct digits_data){0};
}

/* ---- network and random streams ---- */

int
digits_net_init(struct digits_net *ret_net, const struct digits_options *options)
{
    const uint32_t units = options->units;
    const size_t n = digits_b2(units) + DIGITS_CLASSES;
    const float limit1 = sqrtf(6.0f / (float)DIGITS_FEATURES), limit2 = sqrtf(6.0f / (float)units);
    struct digits_net net = {.units = units, .n_params = n};

    net.weights = calloc(3 * n, sizeof *net.weights);
    if (net.weights == NULL) {
        fprintf(stderr, "digits: no memory for %u hidden units\n", units);
        return -1;
    }
    net.first = net.weights + n;
    net.second = net.first + n;
    for (size_t i = 0; i < n; i++) {
        const uint64_t random = digits_mix(digits_mix(options->seed) + i) >> 40;
        const float u = (float)random * 0x1p-23f - 1.0f; /* -1 <= u < 1 */

        if (i < digits_b1(units))
            net.weights[i] = limit1 * u;
        else if (i >= digits_w2(units) && i < digits_b2(units))
            net.weights[i] = limit2 * u;
    }
    *ret_net = net;
    return 0;
}

void
digits_net_done(struct digits_net *net)
{
    free(net->weights);
    *net = (struct digits_net){0};
}

void
digits_shuffle(uint64_t seed, uint32_t epoch, uint32_t n, uint32_t *ret_order)
{
    const uint64_t key = digits_mix(digits_mix(seed ^ UINT64_C(0x6f72646572)) + epoch);

    for (uint32_t i = 0; i < n; i++)
        ret_order[i] = i;
    for (uint32_t i = n; i > 1; i--) { /* Fisher and Yates */
        const uint32_t j = (uint32_t)(((digits_mix(key + i) >> 32) * i) >> 32);
        const uint32_t other = ret_order[j];

        ret_order[j] = ret_order[i - 1];
        ret_order[i - 1] = other;
    }
}

/* ---- checkpoints ---- */

struct checkpoint_head {
    uint64_t magic;
    uint64_t n_params;
    uint64_t n_steps;
    uint64_t epoch;
    double loss;
};

static int
checkpoint_path(char *path, size_t size, const char *suffix)
{
    const char *directory = getenv("ASSAY_CHECKPOINT_DIR");
    int length;

    if (directory == NULL || *directory == '\0')
        return -1;
    length = snprintf(path, size, "%s/digits.bin%s", directory, suffix);
    return length > 0 && (size_t)length < size ? 0 : -1;
}

/* Takes up what was saved.  Returns the epochs behind it; 0 if there is nothing that fits. */
static uint32_t
checkpoint_load(struct digits_net *net, double *ret_loss)
{
    struct checkpoint_head head;
    char path[PATH_BYTES_MAX];
    float *arrays;
    FILE *file;
    uint32_t epoch = 0;

    if (checkpoint_path(path, sizeof path, "") < 0 || (file = fopen(path, "rb")) == NULL)
        return 0;
    arrays = malloc(3 * net->n_params * sizeof *arrays);
    if (arrays != NULL && fread(&head, sizeof head, 1, file) == 1 &&
        head.magic == CHECKPOINT_MAGIC && head.n_params == net->n_params &&
        fread(arrays, sizeof *arrays, 3 * net->n_params, file) == 3 * net->n_params) {
        memcpy(net->weights, arrays, 3 * net->n_params * sizeof *arrays);
        net->n_steps = head.n_steps;
        epoch = (uint32_t)head.epoch;
        *ret_loss = head.loss;
    }
    free(arrays);
    fclose(file);
    return epoch;
}

/* A reader finds the old checkpoint or the new one, never a part. */
static int
checkpoint_save(const struct digits_net *net, uint32_t epoch, double loss)
{
    const struct checkpoint_head head = {CHECKPOINT_MAGIC, net->n_params, net->n_steps, epoch,
                                         loss};
    char path[PATH_BYTES_MAX], temporary[PATH_BYTES_MAX];
    FILE *file;
    bool written;

    if (checkpoint_path(path, sizeof path, "") < 0 ||
        checkpoint_path(temporary, sizeof temporary, ".tmp") < 0)
        return 0;
    file = fopen(temporary, "wb");
    written =
        file != NULL && fwrite(&head, sizeof head, 1, file) == 1 &&
        fwrite(net->weights, sizeof *net->weights, 3 * net->n_params, file) == 3 * net->n_params;
    if (file != NULL && fclose(file) != 0)
        written = false;
    if (!written || rename(temporary, path) < 0) {
        fprintf(stderr, "digits: cannot save %s: %s\n", path, strerror(errno));
        return -1;
    }
    return 0;
}

/* ---- the loop over epochs ---- */

static volatile sig_atomic_t stop_signal_seen;

static void
note_stop_signal(int number)
{
    (void)number;
    stop_signal_seen = 1;
}

bool
digits_told_to_stop(void)
{
    return stop_signal_seen != 0;
}

static int
tell(const struct digits_data *data, const struct digits_trainer *trainer, uint32_t epoch,
     double loss)
{
    uint32_t right;

    if (trainer->count_right(trainer->state, &right) < 0)
        return -1;
    printf("epoch=%u val_accuracy=%.4f loss=%.4f\n", epoch, (double)right / data->n_val, loss);
    fflush(stdout);
    return 0;
}

static int
run_epochs(const struct digits_options *options, const struct digits_data *data,
           struct digits_net *net, const struct digits_trainer *trainer, uint32_t *order)
{
    double loss = NAN;
    const uint32_t done = checkpoint_load(net, &loss);
    int rc;

    if (trainer->load != NULL && trainer->load(trainer->state) < 0)
        return -1;
    if (done > 0) { /* what was saved may not have been told before the interruption */
        printf("resuming after epoch %u\n", done);
        if (tell(data, trainer, done, loss) < 0)
            return -1;
    }
    for (uint32_t epoch = done + 1; epoch <= options->epochs; epoch++) {
        digits_shuffle(options->seed, epoch, data->n_train, order);
        rc = trainer->train_epoch(trainer->state, order, &loss);
        if (rc > 0)
            printf("told to stop during epoch %u\n", epoch);
        if (rc != 0)
            return rc;
        loss /= data->n_train;
        if (tell(data, trainer, epoch, loss) < 0)
            return -1;
        if (!isfinite(loss)) {
            printf(
                "the loss is no longer finite: the learning rate is too high for this network\n");
            return 0;
        }
        if (getenv("ASSAY_CHECKPOINT_DIR") != NULL &&
            ((trainer->fetch != NULL && trainer->fetch(trainer->state) < 0) ||
             checkpoint_save(net, epoch, loss) < 0))
            return -1;
    }
    return 0;
}

int
digits_run(const struct digits_options *options, const struct digits_data *data,
           struct digits_net *net, const struct digits_trainer *trainer)
{
    struct sigaction action = {.sa_handler = note_stop_signal};
    struct timespec began, ended;
    uint32_t *order = malloc(data->n_train * sizeof *order);
    int rc;

    if (order == NULL) {
        fprintf(stderr, "digits: no memory\n");
        return 1;
    }
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    clock_gettime(CLOCK_MONOTONIC, &began);
    rc = run_epochs(options, data, net, trainer, order);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    if (rc == 0)
        printf("trained for %.3f s\n", (double)(ended.tv_sec - began.tv_sec) +
                                           (double)(ended.tv_nsec - began.tv_nsec) * 1e-9);
    free(order);
    return rc < 0 ? 1 : 0;
}

/* ---- the mathematics on the CPU ---- */

struct digits_cpu {
    const struct digits_options *options;
    const struct digits_data *data;
    struct digits_net *net;
    float *gradient; /* n_params */
    float *hidden;   /* units: one row's hidden layer after ReLU and dropout */
    float *error;    /* units: the loss's derivative by the hidden layer's input */
};

struct digits_cpu *
digits_cpu_new(const struct digits_options *options, const struct digits_data *data,
               struct digits_net *net)
{
    struct digits_cpu *cpu = calloc(1, sizeof *cpu);
    float *memory = calloc(net->n_params + 2 * (size_t)net->units, sizeof *memory);

    if (cpu == NULL || memory == NULL) {
        fprintf(stderr, "digits: no memory for %u hidden units\n", net->units);
        free(cpu);
        free(memory);
        return NULL;
    }
    *cpu = (struct digits_cpu){
        options, data, net, memory, memory + net->n_params, memory + net->n_params + net->units};
    return cpu;
}

struct digits_cpu *
digits_cpu_free(struct digits_cpu *cpu)
{
    if (cpu != NULL)
        free(cpu->gradient);
    free(cpu);
    return NULL;
}

/* y += a x */
static void
add_scaled(float *restrict y, float a, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static float
dot(const float *restrict x, const float *restrict y, size_t n)
{
    float lanes[DOT_LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + DOT_LANES <= n; i += DOT_LANES)
        for (size_t k = 0; k < DOT_LANES; k++)
            lanes[k] += x[i + k] * y[i + k];
    for (; i < n; i++)
        sum += x[i] * y[i];
    for (size_t k = 0; k < DOT_LANES; k++)
        sum += lanes[k];
    return sum;
}

/* The hidden layer's output for one image, before dropout. */
static void
hidden_layer(const struct digits_net *net, const float *pixels, float *restrict hidden)
{
    const uint32_t units = net->units;

    memcpy(hidden, net->weights + digits_b1(units), units * sizeof *hidden);
    for (size_t i = 0; i < DIGITS_FEATURES; i++)
        if (pixels[i] != 0) /* half of all pixels are blank */
            add_scaled(hidden, pixels[i], net->weights + i * units, units);
    for (uint32_t h = 0; h < units; h++)
        hidden[h] = hidden[h] > 0 ? hidden[h] : 0;
}

static void
output_layer(const struct digits_net *net, const float *hidden, float scores[DIGITS_CLASSES])
{
    for (size_t k = 0; k < DIGITS_CLASSES; k++)
        scores[k] = net->weights[digits_b2(net->units) + k] +
                    dot(net->weights + digits_w2(net->units) + k * net->units, hidden, net->units);
}

/* Turns scores into probabilities; returns the cross-entropy. */
static float
softmax(float scores[DIGITS_CLASSES], uint8_t label)
{
    float max = scores[0], sum = 0, loss;

    for (size_t k = 1; k < DIGITS_CLASSES; k++)
        max = scores[k] > max ? scores[k] : max;
    loss = max - scores[label];
    for (size_t k = 0; k < DIGITS_CLASSES; k++) {
        scores[k] = expf(scores[k] - max);
        sum += scores[k];
    }
    for (size_t k = 0; k < DIGITS_CLASSES; k++)
        scores[k] /= sum;
    return loss + logf(sum);
}

/* Sets cpu->gradient to the derivative of the mean loss over the rows; returns the losses' sum. */
static double
compute_gradient(struct digits_cpu *cpu, const uint32_t *rows, uint32_t n)
{
    const struct digits_net *net = cpu->net;
    const uint32_t units = net->units;
    const uint32_t threshold = digits_dropout_threshold(cpu->options->dropout);
    const uint64_t key = digits_dropout_key(cpu->options->seed, net->n_steps);
    const float scale = (float)(1.0 / (1.0 - cpu->options->dropout));
    float *const b1 = cpu->gradient + digits_b1(units), *const w2 =
                                                            cpu->gradient + digits_w2(units);
    float *const b2 = cpu->gradient + digits_b2(units);
    double loss_sum = 0;

    memset(cpu->gradient, 0, net->n_params * sizeof *cpu->gradient);
    for (uint32_t r = 0; r < n; r++) {
        const float *pixels = cpu->data->pixels + (size_t)rows[r] * DIGITS_FEATURES;
        const uint8_t label = cpu->data->labels[rows[r]];
        float scores[DIGITS_CLASSES];

        hidden_layer(net, pixels, cpu->hidden);
        if (threshold > 0)
            for (uint32_t h = 0; h < units; h++)
                cpu->hidden[h] *= digits_keep(key, (uint64_t)r * units + h, threshold) ? scale : 0;
        output_layer(net, cpu->hidden, scores);
        loss_sum += (double)softmax(scores, label);

        scores[label] -= 1.0f;
        memset(cpu->error, 0, units * sizeof *cpu->error);
        for (size_t k = 0; k < DIGITS_CLASSES; k++) {
            scores[k] /= (float)n;
            b2[k] += scores[k];
            add_scaled(cpu->error, scores[k], net->weights + digits_w2(units) + k * units, units);
            add_scaled(w2 + k * units, scores[k], cpu->hidden, units);
        }
        for (uint32_t h = 0; h < units; h++) /* a unit that is off passes nothing back */
            cpu->error[h] = cpu->hidden[h] > 0 ? cpu->error[h] * scale : 0;
        add_scaled(b1, 1.0f, cpu->error, units);
        for (size_t i = 0; i < DIGITS_FEATURES; i++)
            if (pixels[i] != 0)
                add_scaled(cpu->gradient + i * units, pixels[i], cpu->error, units);
    }
    return loss_sum;
}

static void
update_sgd(struct digits_net *net, const struct digits_options *options, const float *gradient)
{
    const float rate = (float)options->lr, momentum = (float)options->momentum;
    float *restrict weights = net->weights, *restrict first = net->first;

    for (size_t i = 0; i < net->n_params; i++) {
        first[i] = momentum * first[i] + gradient[i];
        weights[i] -= rate * (options->nesterov ? gradient[i] + momentum * first[i] : first[i]);
    }
}

/* Kingma and Ba (2015), with both bias corrections. */
static void
update_adam(struct digits_net *net, const struct digits_options *options, const float *gradient)
{
    const double step = (double)net->n_steps;
    const float correction1 = (float)(1.0 / (1.0 - pow((double)DIGITS_ADAM_BETA1, step)));
    const float correction2 = (float)(1.0 / (1.0 - pow((double)DIGITS_ADAM_BETA2, step)));
    const float rate = (float)options->lr;
    float *restrict weights = net->weights, *restrict first = net->first;
    float *restrict second = net->second;

    for (size_t i = 0; i < net->n_params; i++) {
        const float g = gradient[i];

        first[i] += (1.0f - DIGITS_ADAM_BETA1) * (g - first[i]);
        second[i] += (1.0f - DIGITS_ADAM_BETA2) * (g * g - second[i]);
        weights[i] -= rate * (first[i] * correction1) /
                      (sqrtf(second[i] * correction2) + DIGITS_ADAM_EPSILON);
    }
}

double
digits_cpu_step(struct digits_cpu *cpu, const uint32_t *rows, uint32_t n)
{
    const double loss_sum = compute_gradient(cpu, rows, n);

    cpu->net->n_steps++;
    if (cpu->options->adam)
        update_adam(cpu->net, cpu->options, cpu->gradient);
    else
        update_sgd(cpu->net, cpu->options, cpu->gradient);
    return loss_sum;
}

#ifndef DIGITS_NO_MAIN

static int
cpu_train_epoch(void *state, const uint32_t *order, double *ret_loss_sum)
{
    struct digits_cpu *cpu = state;
    const uint32_t n_train = cpu->data->n_train, batch = cpu->options->batch;
    double loss_sum = 0;

    for (uint32_t start = 0; start < n_train; start += batch) {
        const uint32_t rest = n_train - start;

        if (digits_told_to_stop())
            return 1;
        loss_sum += digits_cpu_step(cpu, order + start, rest < batch ? rest : batch);
    }
    *ret_loss_sum = loss_sum;
    return 0;
}

static int
cpu_count_right(void *state, uint32_t *ret_right)
{
    struct digits_cpu *cpu = state;
    uint32_t right = 0;

    for (uint32_t row = cpu->data->n_train; row < cpu->data->n_train + cpu->data->n_val; row++) {
        float scores[DIGITS_CLASSES];
        size_t best = 0;
        bool finite = true;

        hidden_layer(cpu->net, cpu->data->pixels + (size_t)row * DIGITS_FEATURES, cpu->hidden);
        output_layer(cpu->net, cpu->hidden, scores);
        for (size_t k = 0; k < DIGITS_CLASSES; k++) {
            finite = finite && isfinite(scores[k]);
            best = scores[k] > scores[best] ? k : best;
        }
        right += finite && best == cpu->data->labels[row];
    }
    *ret_right = right;
    return 0;
}

/* Along the gradient of each group of parameters, the loss must rise by the gradient's length:
 * compares with the difference between two points. */
static int
check_gradient(struct digits_cpu *cpu)
{
    const uint32_t units = cpu->net->units, batch = cpu->options->batch;
    const uint32_t n = batch < cpu->data->n_train ? batch : cpu->data->n_train;
    const size_t bounds[] = {0, digits_b1(units), digits_w2(units), digits_b2(units),
                             cpu->net->n_params};
    static const char *const names[] = {"w1", "b1", "w2", "b2"};
    float *weights = malloc(2 * cpu->net->n_params * sizeof *weights), *gradient;
    uint32_t *order = malloc(cpu->data->n_train * sizeof *order);
    int rc = 0;

    if (weights == NULL || order == NULL) {
        fprintf(stderr, "digits: no memory\n");
        rc = 1;
        goto out;
    }
    gradient = weights + cpu->net->n_params;
    digits_shuffle(cpu->options->seed, 1, cpu->data->n_train, order);
    compute_gradient(cpu, order, n);
    memcpy(weights, cpu->net->weights, cpu->net->n_params * sizeof *weights);
    memcpy(gradient, cpu->gradient, cpu->net->n_params * sizeof *gradient);

    for (size_t group = 0; group < 4; group++) {
        double losses[2], length = 0, slope;

        for (size_t i = bounds[group]; i < bounds[group + 1]; i++)
            length += (double)gradient[i] * (double)gradient[i];
        length = sqrt(length);
        for (int side = 0; side < 2; side++) {
            const double step = (side == 0 ? -0.003 : 0.003) / length;

            memcpy(cpu->net->weights, weights, cpu->net->n_params * sizeof *weights);
            for (size_t i = bounds[group]; i < bounds[group + 1]; i++)
                cpu->net->weights[i] += (float)(step * (double)gradient[i]);
            losses[side] = compute_gradient(cpu, order, n) / n;
        }
        slope = (losses[1] - losses[0]) / 0.006;
        printf("check group=%s gradient=%.6f difference=%.6f\n", names[group], length, slope);
        if (!(fabs(slope - length) <= 0.01 * length))
            rc = 1;
    }
    puts(rc == 0 ? "check passed"
                 : "check failed: gradient and difference are further apart than 1 %");
out:
    free(weights);
    free(order);
    return rc;
}

int
main(int argc, char **argv)
{
    struct digits_options options;
    struct digits_data data;
    struct digits_net net;
    struct digits_cpu *cpu;
    int rc = digits_options_parse(argc, argv, &options);

    if (rc != 0)
        return rc < 0 ? 2 : 0;
    if (digits_data_init(&data, &options) < 0)
        return 1;
    if (digits_net_init(&net, &options) < 0) {
        digits_data_done(&data);
        return 1;
    }
    rc = 1;
    cpu = digits_cpu_new(&options, &data, &net);
    if (cpu != NULL) {
        const struct digits_trainer trainer = {
            .state = cpu, .train_epoch = cpu_train_epoch, .count_right = cpu_count_right};

        rc = options.check ? check_gradient(cpu) : digits_run(&options, &data, &net, &trainer);
    }
    digits_cpu_free(cpu);
    digits_net_done(&net);
    digits_data_done(&data);
    return rc;
}

#endif
