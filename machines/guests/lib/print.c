#include "print.h"

#include <stdbool.h>
#include <stdint.h>

#include "arch.h"
#include "spinlock.h"
#include "uart.h"

struct spec {
    unsigned width;
    bool zero;
    bool left;
};

static struct spinlock lock;
static uint64_t saved_daif;

void console_lock(void)
{
    uint64_t daif = irq_save();

    spin_lock(&lock);
    saved_daif = daif;
}

void console_unlock(void)
{
    uint64_t daif = saved_daif;

    spin_unlock(&lock);
    irq_restore(daif);
}

static void put(char c)
{
    if (c == '\n')
        uart_putc('\r');
    uart_putc(c);
}

static void put_padding(char c, unsigned width, unsigned length)
{
    while (width-- > length)
        put(c);
}

static void put_string(const char *text, const struct spec *spec)
{
    unsigned length = 0;

    while (text[length])
        length++;
    if (!spec->left)
        put_padding(' ', spec->width, length);
    for (const char *p = text; *p; p++)
        put(*p);
    if (spec->left)
        put_padding(' ', spec->width, length);
}

static void put_number(uint64_t value, unsigned base, bool negative, const struct spec *spec)
{
    char digits[24];
    char *p = digits + sizeof(digits);
    const char *end = p - 1;

    *--p = '\0';
    do {
        *--p = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (spec->zero) {
        unsigned width = spec->width < sizeof(digits) - 2 ? spec->width : sizeof(digits) - 2;
        while ((unsigned)(end - p) + negative < width)
            *--p = '0';
    }
    if (negative)
        *--p = '-';
    put_string(p, spec);
}

static const char *parse_spec(const char *format, struct spec *spec)
{
    *spec = (struct spec){0};
    for (;; format++) {
        if (*format == '-')
            spec->left = true;
        else if (*format == '0' && !spec->width)
            spec->zero = true;
        else if (*format >= '0' && *format <= '9')
            spec->width = spec->width * 10 + (unsigned)(*format - '0');
        else
            return format;
    }
}

static void print_va(const char *format, va_list args)
{
    for (; *format; format++) {
        struct spec spec;
        bool wide;
        int64_t number;

        if (*format != '%') {
            put(*format);
            continue;
        }
        format = parse_spec(format + 1, &spec);
        wide = *format == 'l';
        format += wide;
        switch (*format) {
        case 's':
            put_string(va_arg(args, const char *), &spec);
            break;
        case 'c':
            put((char)va_arg(args, int));
            break;
        case 'd':
            number = wide ? va_arg(args, int64_t) : va_arg(args, int);
            put_number(number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10, number < 0, &spec);
            break;
        case 'u':
            put_number(wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), 10, false, &spec);
            break;
        case 'x':
            put_number(wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), 16, false, &spec);
            break;
        case 'p':
            put_string("0x", &(struct spec){0});
            put_number((uint64_t)(uintptr_t)va_arg(args, void *), 16, false, &spec);
            break;
        case '\0':
            return;
        default:
            put(*format);
        }
    }
}

void print_locked(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_va(format, args);
    va_end(args);
}

void print(const char *format, ...)
{
    va_list args;

    console_lock();
    va_start(args, format);
    print_va(format, args);
    va_end(args);
    console_unlock();
}
