/* A trial for bench/turnover: works for a while and prints when its main() began
 * and when it ended, so that the pause between two trials in one slot is measured
 * from outside the service: exit of a process to main() of the next.
 *
 *   turnover_trial X WORK_MS */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double
now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int
main(int argc, char **argv)
{
    double start_us = now_us();
    double x = argc > 1 ? strtod(argv[1], NULL) : 0.0;
    double work_us = argc > 2 ? strtod(argv[2], NULL) * 1e3 : 0.0;
    volatile double sum = 0.0;

    while (now_us() - start_us < work_us)
        sum = sum + 1.0;
    printf("loss=%.17g start_us=%.1f end_us=%.1f\n", (x - 0.3) * (x - 0.3), start_us, now_us());
    return 0;
}
