/* A port of loopback that nobody listens on and that stays so until the test does: one that
 * the kernel gives to no connection by itself, as it gives those of its own range. */
#ifndef ASSAY_TESTS_FREE_PORT_H
#define ASSAY_TESTS_FREE_PORT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/memory.h"
#include "common/random.h"

#define FREE_PORT_FIRST 10000

/* The port that was bound, 0: it is taken. */
static inline int
free_port_bind(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = bind(fd, (struct sockaddr *)&address, length) == 0 &&
                 getsockname(fd, (struct sockaddr *)&address, &length) == 0;

    close(fd);
    return bound ? ntohs(address.sin_port) : 0;
}

static inline int
free_port(void)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    struct assay_random random;
    int first = 0, port = 0;

    if (file == NULL || fscanf(file, "%d", &first) != 1)
        first = 32768;
    if (file != NULL)
        fclose(file);
    assay_random_init(&random, assay_random_seed(), 0, 0);
    for (int i = 0; port == 0 && i < 1000 && first > FREE_PORT_FIRST + 1000; i++)
        port = free_port_bind(FREE_PORT_FIRST + (int)assay_random_below(
                                                    &random, (uint64_t)(first - FREE_PORT_FIRST)));
    return port != 0 ? port : free_port_bind(0);
}

#endif
