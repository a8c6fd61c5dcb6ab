/* What the CPU trainer (digits.c) and the CUDA trainer (digits.cu) share: options, data, the
 * network's parameters with their random streams, checkpoints and the loop over epochs.
 * Not for anything else: the mathematics of a step is in the two files.
 *
 * Functions that can fail say why on stderr and return -1.  One thread. */
#ifndef DIGITS_H
#define DIGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define DIGITS_HOST_DEVICE __host__ __device__
#else
#define DIGITS_HOST_DEVICE
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define DIGITS_FEATURES 64u /* pixels of an image */
#define DIGITS_CLASSES 10u
#define DIGITS_UNITS_MAX 4096u
#define DIGITS_BATCH_MAX 4096u

#define DIGITS_ADAM_BETA1 0.9f
#define DIGITS_ADAM_BETA2 0.999f
#define DIGITS_ADAM_EPSILON 1e-8f

struct digits_options {
    double lr;       /* > 0 */
    double dropout;  /* share of hidden units dropped, 0 <= dropout < 1 */
    double momentum; /* 0 <= momentum < 1; sgd only */
    uint32_t units;  /* 1 .. DIGITS_UNITS_MAX */
    uint32_t batch;  /* 1 .. DIGITS_BATCH_MAX */
    uint32_t epochs; /* >= 1 */
    uint64_t seed;
    bool adam;
    bool nesterov;
    bool check;       /* compare results instead of training */
    const char *data; /* path of the CSV file, borrowed; NULL: digits.csv beside the program */
};

/* Images, the training rows first. */
struct digits_data {
    uint32_t n_train;
    uint32_t n_val;
    float *pixels;   /* (n_train + n_val) x DIGITS_FEATURES, each 0 .. 1 */
    uint8_t *labels; /* n_train + n_val, each < DIGITS_CLASSES */
};

/* All parameters lie in one array: w1 [feature][unit], b1 [unit], w2 [class][unit], b2 [class].
 * The optimiser's state has the same shape: `first` is the velocity (sgd) or the mean of the
 * gradient (adam), `second` the mean of its square (adam). */
struct digits_net {
    uint32_t units;
    size_t n_params;
    float *weights;
    float *first;
    float *second;
    uint64_t n_steps; /* minibatches learned so far */
};

DIGITS_HOST_DEVICE static inline size_t
digits_b1(uint32_t units)
{
    return (size_t)DIGITS_FEATURES * units;
}

DIGITS_HOST_DEVICE static inline size_t
digits_w2(uint32_t units)
{
    return digits_b1(units) + units;
}

DIGITS_HOST_DEVICE static inline size_t
digits_b2(uint32_t units)
{
    return digits_w2(units) + (size_t)DIGITS_CLASSES * units;
}

/* The mixing function of SplitMix64 (Steele, Lea, Flood 2014): a random number for a counter. */
DIGITS_HOST_DEVICE static inline uint64_t
digits_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* What one step's dropout decisions derive from. */
static inline uint64_t
digits_dropout_key(uint64_t seed, uint64_t step)
{
    return digits_mix(digits_mix(seed ^ UINT64_C(0x64726f70)) + step);
}

/* Is hidden unit number `index` (row in the minibatch x units + unit) kept in this step? */
DIGITS_HOST_DEVICE static inline bool
digits_keep(uint64_t key, uint64_t index, uint32_t threshold)
{
    return (uint32_t)(digits_mix(key + index) >> 32) >= threshold;
}

/* The threshold for digits_keep(); 0 keeps everything. */
static inline uint32_t
digits_dropout_threshold(double dropout)
{
    return (uint32_t)(dropout * 4294967296.0);
}

/* Reads the command line and the environment.  Returns 0 to go on, 1 when all is done (--help),
 * -1 after saying what is wrong. */
int digits_options_parse(int argc, char **argv, struct digits_options *ret_options);

/* Reads the data file of `options`.  The caller frees with digits_data_done(). */
int digits_data_init(struct digits_data *ret_data, const struct digits_options *options);
void digits_data_done(struct digits_data *data);

/* Makes a network as `options` say it starts.  The caller frees with digits_net_done(). */
int digits_net_init(struct digits_net *ret_net, const struct digits_options *options);
void digits_net_done(struct digits_net *net);

/* Writes the order of the training rows in this epoch (numbered from 1): n row numbers. */
void digits_shuffle(uint64_t seed, uint32_t epoch, uint32_t n, uint32_t *ret_order);

/* Has SIGTERM come?  False until digits_run() was called. */
bool digits_told_to_stop(void);

/* A way to carry out the mathematics.  Each returns 0, or -1 after saying why. */
struct digits_trainer {
    void *state;
    /* Learns one epoch in the order given; the sum of the rows' losses.  Returns 1 as soon as
     * digits_told_to_stop(). */
    int (*train_epoch)(void *state, const uint32_t *order, double *ret_loss_sum);
    /* How many validation rows are told right. */
    int (*count_right)(void *state, uint32_t *ret_right);
    /* Copies the network to and from where the mathematics happens; NULL: it is there. */
    int (*load)(void *state);
    int (*fetch)(void *state);
};

/* The job: resumes from a checkpoint if there is one, trains, prints a line per epoch, saves.
 * Returns the exit status of the program. */
int digits_run(const struct digits_options *options, const struct digits_data *data,
               struct digits_net *net, const struct digits_trainer *trainer);

/* The CPU's mathematics, which is also the reference for others.  The caller frees with
 * digits_cpu_free(), which accepts NULL.  Everything given is borrowed until then. */
struct digits_cpu;
struct digits_cpu *digits_cpu_new(const struct digits_options *options,
                                  const struct digits_data *data, struct digits_net *net);
struct digits_cpu *digits_cpu_free(struct digits_cpu *cpu);

/* Learns from one minibatch of n rows (n <= options->batch); returns the sum of their losses. */
double digits_cpu_step(struct digits_cpu *cpu, const uint32_t *rows, uint32_t n);

#ifdef __cplusplus
}
#endif

#endif
