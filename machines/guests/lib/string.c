/* The functions a freestanding compiler may call on its own. Built without builtins, or the loops would become calls to themselves. */
#include <stddef.h>

void *memset(void *destination, int value, size_t size);
void *memcpy(void *restrict destination, const void *restrict source, size_t size);
void *memmove(void *destination, const void *source, size_t size);
int memcmp(const void *left, const void *right, size_t size);

void *memset(void *destination, int value, size_t size)
{
    unsigned char *d = destination;

    while (size--)
        *d++ = (unsigned char)value;
    return destination;
}

void *memcpy(void *restrict destination, const void *restrict source, size_t size)
{
    unsigned char *d = destination;
    const unsigned char *s = source;

    while (size--)
        *d++ = *s++;
    return destination;
}

void *memmove(void *destination, const void *source, size_t size)
{
    unsigned char *d = destination;
    const unsigned char *s = source;

    if (d < s)
        return memcpy(destination, source, size);
    while (size--)
        d[size] = s[size];
    return destination;
}

int memcmp(const void *left, const void *right, size_t size)
{
    const unsigned char *l = left;
    const unsigned char *r = right;

    for (; size--; l++, r++)
        if (*l != *r)
            return *l - *r;
    return 0;
}
