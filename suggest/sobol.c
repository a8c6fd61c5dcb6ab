#include "suggest/sobol.h"

#include <stdlib.h>

#include "common/memory.h"
#include "common/random.h"

#define DEGREE_MAX 13 /* 1,111 primitive polynomials up to there */
#define M 10          /* projections are judged on 2^2, 2^4, … 2^M points */

/* The leading M by M part of a generator matrix over GF(2): row r is the r-th
 * digit of the coordinate, bit k of it the k-th digit of the index. */
struct matrix {
    uint16_t rows[M];
};

/* --- primitive polynomials; bit i of a word is the coefficient of x^i --- */

static uint32_t
multiply_mod(uint32_t a, uint32_t b, uint32_t polynomial, unsigned degree)
{
    uint32_t product = 0;

    for (; b != 0; b >>= 1) {
        if (b & 1)
            product ^= a;
        a <<= 1;
        if (a >> degree & 1)
            a ^= polynomial;
    }
    return product;
}

static uint32_t
power_of_x(uint32_t exponent, uint32_t polynomial, unsigned degree)
{
    uint32_t base = degree == 1 ? 1 : 2, result = 1; /* x is 1 modulo x + 1 */

    for (; exponent != 0; exponent >>= 1) {
        if (exponent & 1)
            result = multiply_mod(result, base, polynomial, degree);
        base = multiply_mod(base, base, polynomial, degree);
    }
    return result;
}

/* Primitive: the powers of x run through all 2^degree - 1 residues but 0. */
static bool
is_primitive(uint32_t polynomial, unsigned degree)
{
    uint32_t order = (1u << degree) - 1, rest = order;

    if (power_of_x(order, polynomial, degree) != 1)
        return false;
    for (uint32_t prime = 2; rest > 1; prime++) {
        if (prime * prime > rest)
            prime = rest;
        if (rest % prime != 0)
            continue;
        while (rest % prime == 0)
            rest /= prime;
        if (power_of_x(order / prime, polynomial, degree) == 1)
            return false;
    }
    return true;
}

static unsigned
degree_of(uint32_t polynomial)
{
    return 31u - (unsigned)__builtin_clz(polynomial);
}

/* The next primitive polynomial after the given one, by degree and then value. */
static uint32_t
next_primitive(uint32_t polynomial)
{
    do {
        polynomial += 2; /* the constant term is always 1 */
        ASSAY_ASSERT(degree_of(polynomial) <= DEGREE_MAX);
    } while (!is_primitive(polynomial, degree_of(polynomial)));
    return polynomial;
}

/* --- direction numbers --- */

static void
extend_directions(uint32_t *directions, uint32_t polynomial, const uint32_t *initial)
{
    unsigned degree = degree_of(polynomial);

    for (unsigned k = 0; k < ASSAY_SOBOL_BITS; k++) {
        if (k < degree) {
            directions[k] = initial[k] << (31 - k);
            continue;
        }
        directions[k] = directions[k - degree] ^ directions[k - degree] >> degree;
        for (unsigned i = 1; i < degree; i++) {
            if (polynomial >> (degree - i) & 1)
                directions[k] ^= directions[k - i];
        }
    }
}

static struct matrix
matrix_of(const uint32_t *directions)
{
    struct matrix matrix = {{0}};

    for (unsigned k = 0; k < M; k++) {
        for (unsigned r = 0; r <= k; r++)
            matrix.rows[r] |= (uint16_t)((directions[k] >> (31 - r) & 1) << k);
    }
    return matrix;
}

/* Generator matrices are upper triangular with ones on the diagonal. */
static struct matrix
inverse_of(const struct matrix *matrix)
{
    struct matrix inverse = {{0}};

    for (unsigned r = M; r-- > 0;) {
        inverse.rows[r] = (uint16_t)(1u << r);
        for (unsigned k = r + 1; k < M; k++) {
            if (matrix->rows[r] >> k & 1)
                inverse.rows[r] ^= inverse.rows[k];
        }
    }
    return inverse;
}

static struct matrix
product_of(const struct matrix *a, const struct matrix *b)
{
    struct matrix product = {{0}};

    for (unsigned r = 0; r < M; r++) {
        for (uint32_t bits = a->rows[r]; bits != 0; bits &= bits - 1)
            product.rows[r] ^= b->rows[__builtin_ctz(bits)];
    }
    return product;
}

/* t-value of 2^m points in two dimensions, from R = A * inverse(B).  With n1
 * leading rows of A, at most n2 of B are independent of them, where n2 is the
 * lowest pivot when the n1 rows of R, cut to m columns, are eliminated with
 * their highest columns as pivots. */
static unsigned
t_value(const struct matrix *relative, unsigned m)
{
    uint32_t basis[M] = {0}, mask = (1u << m) - 1;
    unsigned strength = m, lowest = m;

    for (unsigned n1 = 1; n1 <= m; n1++) {
        uint32_t row = relative->rows[n1 - 1] & mask;
        unsigned pivot = degree_of(row);

        while (basis[pivot] != 0) {
            row ^= basis[pivot];
            pivot = degree_of(row);
        }
        basis[pivot] = row;
        lowest = ASSAY_MIN(lowest, pivot);
        strength = ASSAY_MIN(strength, n1 + lowest);
    }
    return m - strength;
}

/* How bad a pair of dimensions is: one bad projection outweighs several fair ones. */
static uint64_t
badness(const struct matrix *a, const struct matrix *inverse_b)
{
    struct matrix relative = product_of(a, inverse_b);
    uint64_t sum = 0;

    for (unsigned m = 2; m <= M; m += 2) {
        unsigned t = t_value(&relative, m);

        sum += (UINT64_C(1) << 2 * t) - 1;
    }
    return sum;
}

/* Candidates tried for a dimension, and how many dimensions before it are looked
 * at: thorough where most studies are, so that 1,000 dimensions stay affordable. */
static void
effort_for(size_t dimension, size_t *ret_candidates, size_t *ret_window)
{
    *ret_candidates = dimension < 64 ? 32 : dimension < 200 ? 10 : 2;
    *ret_window = dimension < 200 ? dimension : 32;
}

/* The m_k of candidate number c: odd and below 2^k.  All combinations in turn
 * where there are no more than `n_candidates`, else random ones. */
static bool
candidate(size_t dimension, unsigned degree, size_t c, size_t n_candidates, uint32_t *ret_initial)
{
    unsigned free_bits = degree * (degree - 1) / 2;
    bool all = free_bits < 16 && (size_t)1 << free_bits <= n_candidates;
    struct assay_random random;

    if (c >= n_candidates || (all && c >= (size_t)1 << free_bits))
        return false;
    assay_random_init(&random, UINT64_C(0x536F626F6C), dimension, (uint32_t)c);
    for (unsigned k = 0; k < degree; k++) {
        uint32_t bits = all ? (uint32_t)c : assay_random_u32(&random);

        ret_initial[k] = (bits & ((1u << k) - 1)) << 1 | 1;
        c >>= all ? k : 0;
    }
    return true;
}

static void
choose_directions(struct assay_sobol *sobol, size_t dimension, uint32_t polynomial,
                  struct matrix *inverses)
{
    unsigned degree = degree_of(polynomial);
    size_t n_candidates, window;
    uint64_t best = UINT64_MAX;
    uint32_t initial[DEGREE_MAX], trial[ASSAY_SOBOL_BITS];

    effort_for(dimension, &n_candidates, &window);
    for (size_t c = 0; candidate(dimension, degree, c, n_candidates, initial); c++) {
        struct matrix matrix;
        uint64_t sum = 0;

        extend_directions(trial, polynomial, initial);
        matrix = matrix_of(trial);
        for (size_t d = dimension - window; d < dimension && sum < best; d++)
            sum += badness(&matrix, &inverses[d]);
        if (sum < best) {
            best = sum;
            memcpy(sobol->directions[dimension], trial, sizeof trial);
            inverses[dimension] = inverse_of(&matrix);
        }
    }
}

void
assay_sobol_init(struct assay_sobol *sobol, size_t n_dimensions)
{
    assay_auto_free struct matrix *inverses = NULL;
    uint32_t polynomial = 1;
    struct matrix identity;

    ASSAY_ASSERT(n_dimensions <= ASSAY_SOBOL_DIMENSIONS_MAX);
    inverses = assay_alloc(n_dimensions + 1, sizeof *inverses);
    sobol->n_dimensions = n_dimensions;
    sobol->directions = assay_zalloc(n_dimensions + 1, sizeof *sobol->directions);
    for (unsigned k = 0; k < ASSAY_SOBOL_BITS; k++)
        sobol->directions[0][k] = 1u << (31 - k); /* van der Corput */
    identity = matrix_of(sobol->directions[0]);
    inverses[0] = inverse_of(&identity);
    for (size_t d = 1; d < n_dimensions; d++) {
        polynomial = next_primitive(polynomial);
        choose_directions(sobol, d, polynomial, inverses);
    }
}

void
assay_sobol_done(struct assay_sobol *sobol)
{
    free(sobol->directions);
    *sobol = (struct assay_sobol){0};
}

uint32_t
assay_sobol_digits(const struct assay_sobol *sobol, size_t dimension, uint32_t index)
{
    const uint32_t *directions = sobol->directions[dimension];
    uint32_t digits = 0;

    for (; index != 0; index &= index - 1)
        digits ^= directions[__builtin_ctz(index)];
    return digits;
}

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t
mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

double
assay_sobol_unit(const struct assay_sobol *sobol, uint64_t seed, size_t dimension, uint32_t index)
{
    uint64_t key = mix(seed ^ mix(dimension)), tail;
    uint32_t digits = assay_sobol_digits(sobol, dimension, index), flips = 0;

    for (unsigned bit = ASSAY_SOBOL_BITS; bit-- > 0;) {
        /* The digits above, led by a one that tells their number. */
        uint64_t above = (UINT64_C(1) << 32 | digits) >> (bit + 1);

        flips |= (uint32_t)(mix(key ^ above) & 1) << bit;
    }
    tail = mix(key ^ (UINT64_C(1) << 32 | digits)) >> 43;
    return ((double)(digits ^ flips) + (double)tail * 0x1p-21) * 0x1p-32;
}

unsigned
assay_sobol_t_value(const struct assay_sobol *sobol, size_t a, size_t b, unsigned m)
{
    struct matrix first = matrix_of(sobol->directions[a]);
    struct matrix second = matrix_of(sobol->directions[b]), relative;

    ASSAY_ASSERT(m >= 1 && m <= M);
    second = inverse_of(&second);
    relative = product_of(&first, &second);
    return t_value(&relative, m);
}
