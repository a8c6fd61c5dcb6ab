#include "trial-runner/curl_loader.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

/* The header makes macros of the variadic ones. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

/* X(function): what client/http.c uses. */
#define FUNCTIONS(X)                                                                               \
    X(curl_global_init)                                                                            \
    X(curl_easy_init)                                                                              \
    X(curl_easy_setopt)                                                                            \
    X(curl_easy_getinfo)                                                                           \
    X(curl_easy_perform)                                                                           \
    X(curl_easy_strerror)                                                                          \
    X(curl_easy_cleanup)                                                                           \
    X(curl_slist_append)                                                                           \
    X(curl_slist_free_all)                                                                         \
    X(curl_url)                                                                                    \
    X(curl_url_set)                                                                                \
    X(curl_url_get)                                                                                \
    X(curl_url_cleanup)                                                                            \
    X(curl_free)

static struct {
#define X(function) __typeof__(function) *function;
    FUNCTIONS(X)
#undef X
} curl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *trouble = "libcurl is not installed";

static void
load(void)
{
    /* Debian's names for the GnuTLS and the OpenSSL flavour; the first is upstream's too. */
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
    void *library = NULL, *symbol;

    for (size_t i = 0; library == NULL && i < ASSAY_COUNT(names); i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return;
    trouble = "libcurl is too old";
#define X(function)                                                                                \
    symbol = dlsym(library, #function);                                                            \
    if (symbol == NULL)                                                                            \
        return;                                                                                    \
    memcpy(&curl.function, &symbol, sizeof symbol);
    FUNCTIONS(X)
#undef X
    trouble = NULL;
}

assay_status
assay_curl_load(struct assay_error *err)
{
    pthread_once(&once, load);
    if (trouble != NULL)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s", trouble);
    return ASSAY_OK;
}

/* Every argument of the variadic functions is a long, a curl_off_t or a pointer:
 * of one size and passed alike, so that one form stands for all. */
_Static_assert(sizeof(long) == sizeof(void *) && sizeof(curl_off_t) == sizeof(void *),
               "libcurl's variadic arguments differ in size");

CURLcode
curl_easy_setopt(CURL *handle, CURLoption option, ...)
{
    va_list args;
    void *value;

    va_start(args, option);
    value = va_arg(args, void *);
    va_end(args);
    return curl.curl_easy_setopt(handle, option, value);
}

CURLcode
curl_easy_getinfo(CURL *handle, CURLINFO info, ...)
{
    va_list args;
    void *value;

    va_start(args, info);
    value = va_arg(args, void *);
    va_end(args);
    return curl.curl_easy_getinfo(handle, info, value);
}

CURLcode
curl_global_init(long flags)
{
    return curl.curl_global_init(flags);
}

CURL *
curl_easy_init(void)
{
    return curl.curl_easy_init();
}

CURLcode
curl_easy_perform(CURL *handle)
{
    return curl.curl_easy_perform(handle);
}

const char *
curl_easy_strerror(CURLcode code)
{
    return curl.curl_easy_strerror(code);
}

void
curl_easy_cleanup(CURL *handle)
{
    curl.curl_easy_cleanup(handle);
}

struct curl_slist *
curl_slist_append(struct curl_slist *list, const char *text)
{
    return curl.curl_slist_append(list, text);
}

void
curl_slist_free_all(struct curl_slist *list)
{
    curl.curl_slist_free_all(list);
}

CURLU *
curl_url(void)
{
    return curl.curl_url();
}

CURLUcode
curl_url_set(CURLU *url, CURLUPart part, const char *text, unsigned flags)
{
    return curl.curl_url_set(url, part, text, flags);
}

#if LIBCURL_VERSION_NUM >= 0x080000
typedef const CURLU assay_curl_read_url; /* const since 8.0 */
#else
typedef CURLU assay_curl_read_url;
#endif

CURLUcode
curl_url_get(assay_curl_read_url *url, CURLUPart part, char **ret_text, unsigned flags)
{
    return curl.curl_url_get(url, part, ret_text, flags);
}

void
curl_url_cleanup(CURLU *url)
{
    curl.curl_url_cleanup(url);
}

void
curl_free(void *memory)
{
    curl.curl_free(memory);
}
