/* The job of digits.c on a GPU: same arguments, same output lines, same random streams.
 *
 * Four kernels make a step: hidden layer, output layer with softmax and loss, the error of the
 * hidden layer, gradients with the update of the parameters.  No kernel adds floats from several
 * threads in an order that could change, so a run is deterministic.
 *
 * `--check` takes the first steps with several optimisers on the GPU and on the CPU side by side
 * and compares.  Exit status: 3 when there is no GPU to be used. */
#include "digits.h"

#include <cuda_runtime.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace
{

constexpr unsigned THREADS = 128;
constexpr unsigned WARP = 32;
constexpr unsigned WARPS = THREADS / WARP; /* rows that a block of output_layer() takes */
constexpr uint32_t CHECK_STEPS = 25;
constexpr double CHECK_TOLERANCE = 1e-3; /* relative; rounding differs by about 1e-6 a step */

/* Says what went wrong; returns false unless `code` is cudaSuccess. */
bool
succeeded(cudaError_t code, const char *what)
{
    if (code == cudaSuccess)
        return true;
    std::fprintf(stderr, "digits: %s: %s\n", what, cudaGetErrorString(code));
    return false;
}

/* Arrays on the GPU; the layout of weights, first and second is that of struct digits_net. */
struct gpu_arrays {
    float *pixels;
    uint8_t *labels;
    uint32_t *order; /* n_train row numbers */
    float *weights;
    float *first;
    float *second;
    float *hidden;       /* rows x units: the hidden layer after ReLU and dropout */
    float *hidden_error; /* batch x units: the loss's derivative by the hidden layer's input */
    float *error;        /* batch x classes: the loss's derivative by the scores */
    float *losses;       /* n_train: of the row at the same place in `order` */
    uint32_t *right;     /* one counter */
};

/* What one minibatch's kernels need to know; passed by value. */
struct step_arguments {
    struct gpu_arrays arrays;
    uint32_t units;
    uint32_t start; /* place of the minibatch's first row in `order` */
    uint32_t n;     /* rows in the minibatch */
    uint64_t dropout_key;
    uint32_t dropout_threshold;
    float dropout_scale;
    bool adam;
    bool nesterov;
    float rate;
    float momentum;
    float correction1; /* adam's bias corrections */
    float correction2;
};

/* The hidden layer of one row (blockIdx.y), one unit a thread.  Validation (order NULL) takes
 * the rows from first_row on and drops nothing (threshold 0). */
__global__ void
hidden_layer(const float *__restrict__ pixels, const uint32_t *__restrict__ order,
             uint32_t first_row, const float *__restrict__ weights, uint32_t units,
             uint64_t dropout_key, uint32_t dropout_threshold, float dropout_scale,
             float *__restrict__ ret_hidden)
{
    __shared__ float row[DIGITS_FEATURES];
    const uint32_t r = blockIdx.y;
    const uint32_t h = blockIdx.x * blockDim.x + threadIdx.x;

    if (threadIdx.x < DIGITS_FEATURES) {
        const size_t image = order != nullptr ? order[first_row + r] : first_row + r;
        row[threadIdx.x] = pixels[image * DIGITS_FEATURES + threadIdx.x];
    }
    __syncthreads();
    if (h >= units)
        return;

    float sum = weights[digits_b1(units) + h];
    for (uint32_t i = 0; i < DIGITS_FEATURES; i++)
        sum += row[i] * weights[(size_t)i * units + h];
    sum = sum > 0 ? sum : 0;
    const uint64_t index = (uint64_t)r * units + h;
    if (dropout_threshold > 0)
        sum *= digits_keep(dropout_key, index, dropout_threshold) ? dropout_scale : 0.0f;
    ret_hidden[index] = sum;
}

/* One row's scores; a warp works on them together and each of its threads has them all. */
__device__ void
compute_scores(const float *__restrict__ weights, const float *__restrict__ hidden, uint32_t units,
               unsigned lane, float (&ret_scores)[DIGITS_CLASSES])
{
    for (uint32_t k = 0; k < DIGITS_CLASSES; k++) {
        const float *w2 = weights + digits_w2(units) + (size_t)k * units;
        float sum = 0;
        for (uint32_t h = lane; h < units; h += WARP)
            sum += w2[h] * hidden[h];
        for (unsigned distance = WARP / 2; distance > 0; distance /= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, distance);
        ret_scores[k] = sum + weights[digits_b2(units) + k];
    }
}

/* Scores, softmax, loss and its derivative by the scores; a warp for each row. */
__global__ void
output_layer(struct step_arguments step)
{
    const uint32_t r = blockIdx.x * WARPS + threadIdx.x / WARP;
    const unsigned lane = threadIdx.x % WARP;
    float scores[DIGITS_CLASSES];

    if (r >= step.n)
        return; /* the whole warp leaves */
    compute_scores(step.arrays.weights, step.arrays.hidden + (size_t)r * step.units, step.units,
                   lane, scores);
    if (lane > 0)
        return;

    const uint8_t label = step.arrays.labels[step.arrays.order[step.start + r]];
    float max = scores[0], sum = 0, own = 0;
    for (uint32_t k = 1; k < DIGITS_CLASSES; k++)
        max = scores[k] > max ? scores[k] : max;
    for (uint32_t k = 0; k < DIGITS_CLASSES; k++) {
        own = k == label ? max - scores[k] : own;
        scores[k] = expf(scores[k] - max);
        sum += scores[k];
    }
    step.arrays.losses[step.start + r] = own + logf(sum);
    for (uint32_t k = 0; k < DIGITS_CLASSES; k++)
        step.arrays.error[(size_t)r * DIGITS_CLASSES + k] =
            (scores[k] / sum - (k == label ? 1.0f : 0.0f)) / (float)step.n;
}

/* How many of the rows from first_row on are told right; a warp for each row. */
__global__ void
count_right(struct gpu_arrays arrays, uint32_t units, uint32_t first_row, uint32_t n)
{
    const uint32_t r = blockIdx.x * WARPS + threadIdx.x / WARP;
    const unsigned lane = threadIdx.x % WARP;
    float scores[DIGITS_CLASSES];

    if (r >= n)
        return;
    compute_scores(arrays.weights, arrays.hidden + (size_t)r * units, units, lane, scores);
    if (lane > 0)
        return;

    float max = scores[0];
    uint32_t best = 0;
    bool finite = isfinite(scores[0]);
    for (uint32_t k = 1; k < DIGITS_CLASSES; k++) {
        finite = finite && isfinite(scores[k]);
        if (scores[k] > max) {
            max = scores[k];
            best = k;
        }
    }
    if (finite && best == arrays.labels[first_row + r])
        atomicAdd(arrays.right, 1u);
}

/* The loss's derivative by the hidden layer's input; one row (blockIdx.y), one unit a thread. */
__global__ void
hidden_error(struct step_arguments step)
{
    const uint32_t r = blockIdx.y;
    const uint32_t h = blockIdx.x * blockDim.x + threadIdx.x;

    if (h >= step.units)
        return;
    const size_t index = (size_t)r * step.units + h;
    float sum = 0;
    for (uint32_t k = 0; k < DIGITS_CLASSES; k++)
        sum += step.arrays.error[(size_t)r * DIGITS_CLASSES + k] *
               step.arrays.weights[digits_w2(step.units) + (size_t)k * step.units + h];
    /* a unit that is off passes nothing back */
    step.arrays.hidden_error[index] =
        step.arrays.hidden[index] > 0 ? sum * step.dropout_scale : 0.0f;
}

/* The derivative of the minibatch's mean loss by parameter number j. */
__device__ float
gradient_of(const struct step_arguments &step, size_t j)
{
    const uint32_t units = step.units;
    const uint32_t *rows = step.arrays.order + step.start;
    float sum = 0;

    if (j < digits_b1(units)) {
        const uint32_t i = (uint32_t)(j / units), h = (uint32_t)(j % units);
        for (uint32_t r = 0; r < step.n; r++)
            sum += step.arrays.pixels[(size_t)rows[r] * DIGITS_FEATURES + i] *
                   step.arrays.hidden_error[(size_t)r * units + h];
    } else if (j < digits_w2(units)) {
        for (uint32_t r = 0; r < step.n; r++)
            sum += step.arrays.hidden_error[(size_t)r * units + (j - digits_b1(units))];
    } else if (j < digits_b2(units)) {
        const size_t at = j - digits_w2(units);
        const uint32_t k = (uint32_t)(at / units), h = (uint32_t)(at % units);
        for (uint32_t r = 0; r < step.n; r++)
            sum += step.arrays.error[(size_t)r * DIGITS_CLASSES + k] *
                   step.arrays.hidden[(size_t)r * units + h];
    } else {
        for (uint32_t r = 0; r < step.n; r++)
            sum += step.arrays.error[(size_t)r * DIGITS_CLASSES + (j - digits_b2(units))];
    }
    return sum;
}

/* One parameter a thread: its gradient, then the optimiser's step. */
__global__ void
update(struct step_arguments step)
{
    const size_t j = (size_t)blockIdx.x * blockDim.x + threadIdx.x;

    if (j >= digits_b2(step.units) + DIGITS_CLASSES)
        return;
    const float g = gradient_of(step, j);
    if (step.adam) {
        const float first =
            step.arrays.first[j] + (1.0f - DIGITS_ADAM_BETA1) * (g - step.arrays.first[j]);
        const float second =
            step.arrays.second[j] + (1.0f - DIGITS_ADAM_BETA2) * (g * g - step.arrays.second[j]);
        step.arrays.first[j] = first;
        step.arrays.second[j] = second;
        step.arrays.weights[j] -= step.rate * (first * step.correction1) /
                                  (sqrtf(second * step.correction2) + DIGITS_ADAM_EPSILON);
    } else {
        const float first = step.momentum * step.arrays.first[j] + g;
        step.arrays.first[j] = first;
        step.arrays.weights[j] -= step.rate * (step.nesterov ? g + step.momentum * first : first);
    }
}

unsigned
blocks(size_t n, size_t per_block)
{
    return (unsigned)((n + per_block - 1) / per_block);
}

/* The trainer: the network of `net_` lives on the GPU between load() and fetch(). */
class Gpu
{
  public:
    Gpu(const digits_options &options, const digits_data &data, digits_net &net)
        : options_(options), data_(data), net_(net)
    {
    }

    Gpu(const Gpu &) = delete;
    Gpu &operator=(const Gpu &) = delete;

    ~Gpu()
    {
        for (void *memory : allocated_)
            cudaFree(memory);
    }

    bool
    start()
    {
        const size_t n = (size_t)data_.n_train + data_.n_val, units = net_.units;
        const size_t hidden_rows = data_.n_val > options_.batch ? data_.n_val : options_.batch;

        return allocate(arrays_.pixels, n * DIGITS_FEATURES) && allocate(arrays_.labels, n) &&
               allocate(arrays_.order, data_.n_train) && allocate(arrays_.weights, net_.n_params) &&
               allocate(arrays_.first, net_.n_params) && allocate(arrays_.second, net_.n_params) &&
               allocate(arrays_.hidden, hidden_rows * units) &&
               allocate(arrays_.hidden_error, options_.batch * units) &&
               allocate(arrays_.error, (size_t)options_.batch * DIGITS_CLASSES) &&
               allocate(arrays_.losses, data_.n_train) && allocate(arrays_.right, 1) &&
               to_gpu(arrays_.pixels, data_.pixels, n * DIGITS_FEATURES) &&
               to_gpu(arrays_.labels, data_.labels, n);
    }

    bool
    load()
    {
        return to_gpu(arrays_.weights, net_.weights, net_.n_params) &&
               to_gpu(arrays_.first, net_.first, net_.n_params) &&
               to_gpu(arrays_.second, net_.second, net_.n_params);
    }

    bool
    fetch()
    {
        return from_gpu(net_.weights, arrays_.weights, net_.n_params) &&
               from_gpu(net_.first, arrays_.first, net_.n_params) &&
               from_gpu(net_.second, arrays_.second, net_.n_params);
    }

    bool
    set_order(const uint32_t *order)
    {
        return to_gpu(arrays_.order, order, data_.n_train);
    }

    /* Starts the work on the n rows from place `start` of the order; does not wait for it. */
    bool
    step(uint32_t start, uint32_t n)
    {
        const step_arguments step = arguments(start, n);
        const dim3 grid(blocks(net_.units, THREADS), n);

        hidden_layer<<<grid, THREADS>>>(arrays_.pixels, arrays_.order, start, arrays_.weights,
                                        net_.units, step.dropout_key, step.dropout_threshold,
                                        step.dropout_scale, arrays_.hidden);
        output_layer<<<blocks(n, WARPS), THREADS>>>(step);
        hidden_error<<<grid, THREADS>>>(step);
        update<<<blocks(net_.n_params, THREADS), THREADS>>>(step);
        return succeeded(cudaGetLastError(), "starting a training step");
    }

    /* Waits for the steps started; the sum of the losses of the n rows from place `start` on. */
    bool
    losses(uint32_t start, uint32_t n, double *ret_sum)
    {
        std::vector<float> losses(n);

        if (!from_gpu(losses.data(), arrays_.losses + start, n))
            return false;
        *ret_sum = 0;
        for (const float loss : losses)
            *ret_sum += (double)loss;
        return true;
    }

    /* 0, 1 when told to stop, or -1: see struct digits_trainer. */
    int
    train_epoch(const uint32_t *order, double *ret_loss_sum)
    {
        if (!set_order(order))
            return -1;
        for (uint32_t start = 0; start < data_.n_train; start += options_.batch) {
            const uint32_t rest = data_.n_train - start;

            if (digits_told_to_stop())
                return 1;
            if (!step(start, rest < options_.batch ? rest : options_.batch))
                return -1;
        }
        return losses(0, data_.n_train, ret_loss_sum) ? 0 : -1;
    }

    bool
    right(uint32_t *ret_right)
    {
        const dim3 grid(blocks(net_.units, THREADS), data_.n_val);
        const uint32_t zero = 0;

        if (!to_gpu(arrays_.right, &zero, 1))
            return false;
        hidden_layer<<<grid, THREADS>>>(arrays_.pixels, nullptr, data_.n_train, arrays_.weights,
                                        net_.units, 0, 0, 1.0f, arrays_.hidden);
        count_right<<<blocks(data_.n_val, WARPS), THREADS>>>(arrays_, net_.units, data_.n_train,
                                                             data_.n_val);
        return succeeded(cudaGetLastError(), "starting the validation") &&
               from_gpu(ret_right, arrays_.right, 1);
    }

  private:
    template <typename T>
    bool
    allocate(T *&ret_array, size_t n)
    {
        void *memory = nullptr;

        if (!succeeded(cudaMalloc(&memory, n * sizeof(T)), "allocating memory on the GPU"))
            return false;
        allocated_.push_back(memory);
        ret_array = static_cast<T *>(memory);
        return true;
    }

    template <typename T>
    static bool
    to_gpu(T *to, const T *from, size_t n)
    {
        return succeeded(cudaMemcpy(to, from, n * sizeof(T), cudaMemcpyHostToDevice),
                         "copying to the GPU");
    }

    template <typename T>
    static bool
    from_gpu(T *to, const T *from, size_t n)
    {
        return succeeded(cudaMemcpy(to, from, n * sizeof(T), cudaMemcpyDeviceToHost),
                         "copying from the GPU");
    }

    /* Counts the step as taken. */
    step_arguments
    arguments(uint32_t start, uint32_t n)
    {
        step_arguments step = {};

        step.arrays = arrays_;
        step.units = net_.units;
        step.start = start;
        step.n = n;
        step.dropout_key = digits_dropout_key(options_.seed, net_.n_steps);
        step.dropout_threshold = digits_dropout_threshold(options_.dropout);
        step.dropout_scale = (float)(1.0 / (1.0 - options_.dropout));
        step.adam = options_.adam;
        step.nesterov = options_.nesterov;
        step.rate = (float)options_.lr;
        step.momentum = (float)options_.momentum;
        net_.n_steps++;
        step.correction1 =
            (float)(1.0 / (1.0 - std::pow((double)DIGITS_ADAM_BETA1, (double)net_.n_steps)));
        step.correction2 =
            (float)(1.0 / (1.0 - std::pow((double)DIGITS_ADAM_BETA2, (double)net_.n_steps)));
        return step;
    }

    const digits_options &options_;
    const digits_data &data_;
    digits_net &net_;
    gpu_arrays arrays_ = {};
    std::vector<void *> allocated_;
};

/* A network that frees itself. */
struct OwnNet {
    digits_net net = {};

    OwnNet() = default;
    OwnNet(const OwnNet &) = delete;
    OwnNet &operator=(const OwnNet &) = delete;
    ~OwnNet()
    {
        digits_net_done(&net);
    }
};

int
train(const digits_options &options, const digits_data &data)
{
    OwnNet own;
    if (digits_net_init(&own.net, &options) < 0)
        return 1;
    Gpu gpu(options, data, own.net);
    if (!gpu.start())
        return 1;

    digits_trainer trainer = {};
    trainer.state = &gpu;
    trainer.train_epoch = [](void *state, const uint32_t *order, double *ret_loss_sum) {
        return static_cast<Gpu *>(state)->train_epoch(order, ret_loss_sum);
    };
    trainer.count_right = [](void *state, uint32_t *ret_right) {
        return static_cast<Gpu *>(state)->right(ret_right) ? 0 : -1;
    };
    trainer.load = [](void *state) { return static_cast<Gpu *>(state)->load() ? 0 : -1; };
    trainer.fetch = [](void *state) { return static_cast<Gpu *>(state)->fetch() ? 0 : -1; };
    return digits_run(&options, &data, &own.net, &trainer);
}

/* Takes the first steps on both sides; the largest relative difference of a loss and the largest
 * difference of a weight. */
bool
compare(const digits_options &options, const digits_data &data, double *ret_loss_difference,
        double *ret_weight_difference)
{
    OwnNet reference, own;
    if (digits_net_init(&reference.net, &options) < 0 || digits_net_init(&own.net, &options) < 0)
        return false;
    Gpu gpu(options, data, own.net);
    std::vector<uint32_t> order(data.n_train);
    digits_shuffle(options.seed, 1, data.n_train, order.data());
    digits_cpu *cpu = digits_cpu_new(&options, &data, &reference.net);
    bool ok = cpu != nullptr && gpu.start() && gpu.load() && gpu.set_order(order.data());

    *ret_loss_difference = *ret_weight_difference = 0;
    for (uint32_t i = 0; ok && i < CHECK_STEPS; i++) {
        const uint32_t start = i * options.batch;
        if (start >= data.n_train)
            break;
        const uint32_t rest = data.n_train - start, n = rest < options.batch ? rest : options.batch;
        const double expected = digits_cpu_step(cpu, order.data() + start, n);
        double found = 0;
        ok = gpu.step(start, n) && gpu.losses(start, n, &found);
        *ret_loss_difference =
            std::fmax(*ret_loss_difference, std::fabs(found - expected) / std::fabs(expected));
    }
    ok = ok && gpu.fetch();
    for (size_t i = 0; ok && i < own.net.n_params; i++)
        *ret_weight_difference =
            std::fmax(*ret_weight_difference,
                      std::fabs((double)own.net.weights[i] - (double)reference.net.weights[i]));
    digits_cpu_free(cpu);
    return ok;
}

int
check(const digits_options &given, const digits_data &data)
{
    const struct {
        const char *name;
        bool adam, nesterov;
        double lr, momentum, dropout;
    } cases[] = {
        {"sgd", false, false, 0.05, 0.0, 0.0},          {"momentum", false, false, 0.02, 0.9, 0.0},
        {"nesterov", false, true, 0.02, 0.9, 0.3},      {"adam", true, false, 0.003, 0.0, 0.0},
        {"adam+dropout", true, false, 0.003, 0.0, 0.5},
    };
    bool passed = true;

    for (const auto &one : cases) {
        digits_options options = given;
        double loss_difference, weight_difference;

        options.adam = one.adam;
        options.nesterov = one.nesterov;
        options.lr = one.lr;
        options.momentum = one.momentum;
        options.dropout = one.dropout;
        if (!compare(options, data, &loss_difference, &weight_difference))
            return 1;
        std::printf("check case=%s loss_difference=%.2e weight_difference=%.2e\n", one.name,
                    loss_difference, weight_difference);
        passed = passed && loss_difference <= CHECK_TOLERANCE;
    }
    std::puts(passed ? "check passed" : "check failed: GPU and CPU disagree");
    return passed ? 0 : 1;
}

} // namespace

int
main(int argc, char **argv)
{
    digits_options options;
    digits_data data;
    int devices = 0;
    const int parsed = digits_options_parse(argc, argv, &options);

    if (parsed != 0)
        return parsed < 0 ? 2 : 0;
    const cudaError_t found = cudaGetDeviceCount(&devices);
    if (found != cudaSuccess || devices == 0) {
        std::fprintf(stderr, "digits: no GPU can be used here: %s\n",
                     found != cudaSuccess ? cudaGetErrorString(found) : "none is visible");
        return 3;
    }
    if (digits_data_init(&data, &options) < 0)
        return 1;
    const int status = options.check ? check(options, data) : train(options, data);
    digits_data_done(&data);
    return status;
}
