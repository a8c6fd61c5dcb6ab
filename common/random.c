#include "common/random.h"

#include <math.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"

#define ROUNDS 10
#define MULTIPLIER_0 UINT32_C(0xD2511F53)
#define MULTIPLIER_1 UINT32_C(0xCD9E8D57)
#define WEYL_0 UINT32_C(0x9E3779B9)
#define WEYL_1 UINT32_C(0xBB67AE85)

static void
next_block(struct assay_random *random)
{
    uint32_t key0 = random->key[0], key1 = random->key[1];
    uint32_t *x = random->block;

    memcpy(x, random->counter, sizeof random->block);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t a = (uint64_t)MULTIPLIER_0 * x[0];
        uint64_t b = (uint64_t)MULTIPLIER_1 * x[2];
        uint32_t y0 = (uint32_t)(b >> 32) ^ x[1] ^ key0;
        uint32_t y2 = (uint32_t)(a >> 32) ^ x[3] ^ key1;

        x[1] = (uint32_t)b;
        x[3] = (uint32_t)a;
        x[0] = y0;
        x[2] = y2;
        key0 += WEYL_0;
        key1 += WEYL_1;
    }
    random->counter[0]++;
    random->used = 0;
}

void
assay_random_init(struct assay_random *random, uint64_t seed, uint64_t subject, uint32_t purpose)
{
    random->key[0] = (uint32_t)seed;
    random->key[1] = (uint32_t)(seed >> 32);
    random->counter[0] = 0;
    random->counter[1] = purpose;
    random->counter[2] = (uint32_t)subject;
    random->counter[3] = (uint32_t)(subject >> 32);
    random->used = 4;
}

uint32_t
assay_random_u32(struct assay_random *random)
{
    if (random->used >= 4)
        next_block(random);
    return random->block[random->used++];
}

uint64_t
assay_random_u64(struct assay_random *random)
{
    uint64_t high = assay_random_u32(random);

    return high << 32 | assay_random_u32(random);
}

double
assay_random_unit(struct assay_random *random)
{
    return (double)(assay_random_u64(random) >> 11) * 0x1p-53;
}

uint64_t
assay_random_below(struct assay_random *random, uint64_t bound)
{
    uint64_t limit, value;

    ASSAY_ASSERT(bound > 0);
    /* Values past the largest multiple of bound would favour small results. */
    limit = UINT64_MAX - UINT64_MAX % bound;
    do
        value = assay_random_u64(random);
    while (value >= limit);
    return value % bound;
}

double
assay_random_normal(struct assay_random *random)
{
    double u = 1.0 - assay_random_unit(random); /* (0, 1]: the logarithm is finite */
    double v = assay_random_unit(random);

    return sqrt(-2.0 * log(u)) * cos(2.0 * 3.14159265358979323846 * v);
}

uint64_t
assay_random_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint64_t)assay_now_us();
    return seed;
}
